//! Keys of `server` about what the daemon keeps, who may administer it, and its secrets.

use super::field::{Maybe, One, ReadByDecoder};
use super::field_secret::{FileOfSecret, SecretOrFile};
use super::key::Key;
use super::lens::lens;
use super::table::Topic;
use super::types::{DATABASE, GROUP, MODE, PATH, SECRET_FILE};
use crate::config::{KeySource, ServerConfig};

pub const STATE: Topic<ServerConfig> = Topic {
    title: "State, administration and secrets",
    keys: &[
        Key::new("database", &One(lens!(ServerConfig, database), DATABASE))
            .default("db.sqlite")
            .summary("The catalog: the name of a SQLite file, `sqlite://FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`")
            .details("A relative file name begins in `state-dir`.")
            .example("postgres://cache-server@db.example.org/cache-server"),
        Key::new("database-password-file", &Maybe(lens!(ServerConfig, database_password_file), SECRET_FILE))
            .summary("File with the password for a PostgreSQL database, instead of a password in the URL")
            .example("/run/secrets/cache-database-password"),
        // Where the state is decides where relative paths begin, so the decoder reads it before everything else.
        Key::new("state-dir", &ReadByDecoder(One(lens!(ServerConfig, state_dir), PATH)))
            .derived(
                "`$STATE_DIRECTORY`, which systemd sets; else `/var/lib/cache-server` for root with a configuration file in \
                 `/etc`; else `cache-server` in `$XDG_STATE_HOME` (`~/.local/state`)",
            )
            .summary("Where the daemon keeps what it makes: catalog, keys, the default storage")
            .details("A relative path begins beside the configuration file.")
            .example("/var/lib/cache-server"),
        Key::new("admin-socket", &One(lens!(ServerConfig, admin_socket), PATH))
            .derived("`admin.sock` in `$RUNTIME_DIRECTORY`, which systemd sets, else in `state-dir`")
            .summary("Unix socket for `cachectl`")
            .example("/run/cache-server/admin.sock"),
        Key::new("admin-socket-mode", &One(lens!(ServerConfig, admin_socket_mode), MODE))
            .default("0660")
            .summary("Permissions of the admin socket")
            .details(
                "Every user with access to the socket may do everything. A socket that systemd opened keeps the permissions \
                 and the group of its unit.",
            ),
        Key::new("admin-socket-group", &Maybe(lens!(ServerConfig, admin_socket_group), GROUP))
            .derived("the group of the daemon")
            .summary("Group of the admin socket, by name or number")
            .details("The daemon has to be a member of the group.")
            .example("wheel"),
        Key::new("key", &SERVER_KEY)
            .applied_on_reload()
            .summary("Secret that tokens are signed with")
            .details(
                "Anyone who has it can create tokens, and a new key makes all tokens invalid. Make one with \
                 `openssl rand -hex 32`. Set either `key` or `key-file`; with neither, the daemon makes a key at its first \
                 start and keeps it in `state-dir`. To give up a key that is in use, write `key: null`: a reload of a file \
                 that merely lacks the key is refused. Daemons that share a database need a restart for a new key.",
            ),
        Key::new("key-file", &FileOfSecret { get: SERVER_KEY.get })
            .applied_on_reload()
            .summary("File with the secret that tokens are signed with, instead of `key`")
            .example("/run/secrets/cache-server-key"),
    ],
};

const SERVER_KEY: SecretOrFile<ServerConfig> = SecretOrFile {
    get: |server| Some(server.key.given()),
    set: |server, source| server.key = KeySource::from(source),
    file_key: "key-file",
    // The original system's default, and what its configurations say for "none".
    if_empty: Some("is empty, so the daemon makes a key and keeps it in the state directory"),
};
