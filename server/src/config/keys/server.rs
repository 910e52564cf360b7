//! `server`, and of its keys those about addresses and those that caches fall back to.

use super::field::{Many, Maybe, Nested, One};
use super::key::Key;
use super::lens::lens;
use super::server_network::NETWORK;
use super::server_operation::OPERATION;
use super::server_state::STATE;
use super::table::{Table, Topic};
use super::tls::SERVER_TLS;
use super::types::{CREDENTIAL_FILE, DAYS, HOST, NODE_URL, PORT, SERVER_URL, Type, words};
use crate::config::{ServerConfig, StorageType, Strategy};

const STORAGE_TYPE: Type<StorageType> = words();
const STRATEGY: Type<Strategy> = words();

/// `server`.
pub const SERVER: Table<ServerConfig> =
    Table { title: "`server`", path: "server", topics: &[ADDRESSES, STATE, DEFAULTS, OPERATION, NETWORK] };

const ADDRESSES: Topic<ServerConfig> = Topic {
    title: "Addresses",
    keys: &[
        Key::new("hostname", &One(lens!(ServerConfig, hostname), HOST))
            .default("localhost")
            .summary("Address or host name to listen on")
            .details("`0.0.0.0` is every address, `::` every address with IPv6.")
            .example("0.0.0.0"),
        Key::new("server-port", &One(lens!(ServerConfig, server_port), PORT))
            .default("5000")
            .summary("Port of the API")
            .details("Every cache is reachable here too, as `NAME.HOST` and as `/api/v1/cache/NAME/`."),
        Key::new("deploy-port", &One(lens!(ServerConfig, deploy_port), PORT))
            .default("5001")
            .summary("Second port for the agents of Cachix Deploy")
            .details(
                "`server-port` serves the same. Agents always connect to port 443 of the host, or to port 80 for plain HTTP: \
                 let a reverse proxy forward that port to one of the two, or set one of the two to 80.",
            ),
        Key::new("public-url", &Maybe(lens!(ServerConfig, public_url), SERVER_URL))
            .summary("How clients reach this server")
            .details(
                "Its host is the `HOST` of `NAME.HOST`, in the URLs of the caches and in the names of signing keys. Without \
                 it, clients are sent to the ports of the caches.",
            )
            .example("https://cache.example.org"),
        Key::new("node-url", &Maybe(lens!(ServerConfig, node_url), NODE_URL))
            .derived("`http://HOSTNAME:SERVER-PORT`, or `https://` with `tls`, with the name of this machine if `hostname` stands for every address")
            .summary("How other daemons that share the database reach this one")
            .details(
                "Several daemons may share one PostgreSQL database and the buckets of their caches. Each needs the same \
                 `key`, `public-url` and caches, and a `state-dir` of its own. The others forward requests about uploads \
                 that began here to this URL.",
            )
            .example("http://node-1.internal:5000"),
        Key::new("tls", &Nested(lens!(ServerConfig, tls), &SERVER_TLS))
            .summary("The certificate of the server, for HTTPS without a web server in front of it"),
        Key::new("trusted-authorities", &Many(lens!(ServerConfig, trusted_authorities), CREDENTIAL_FILE))
            .summary("Files with authorities to trust besides those of the system, one or a list, as PEM")
            .details("They apply to HTTPS connections to other daemons and nodes, to upstreams and to OpenID providers.")
            .example("/etc/cache-server/internal-authority.pem"),
    ],
};

const DEFAULTS: Topic<ServerConfig> = Topic {
    title: "Defaults for caches and storages",
    keys: &[
        Key::new("default-port", &One(lens!(ServerConfig, default_port), PORT))
            .default("8080")
            .applied_on_reload()
            .summary("Port of the first enabled cache that has none")
            .details("Other caches without a port are reachable at `server-port` only."),
        Key::new("default-retention", &One(lens!(ServerConfig, default_retention), DAYS))
            .default("4")
            .applied_on_reload()
            .summary("Days that a path is kept after its last use, in caches without a `retention`"),
        Key::new("default-storage", &One(lens!(ServerConfig, default_storage), STORAGE_TYPE))
            .default("local")
            .applied_on_reload()
            .summary("Type of the storages without a `type`"),
        Key::new("default-storage-strategy", &One(lens!(ServerConfig, default_storage_strategy), STRATEGY))
            .default("round-robin")
            .applied_on_reload()
            .summary("Strategy of the caches without a `storage-strategy`"),
    ],
};
