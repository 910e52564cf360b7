//! `server.tls` and `tls` of a cache.

use super::field::{Many, Maybe};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::types::{CREDENTIAL_FILE, SECRET_FILE};
use crate::config::{CacheTls, ServerTls};

/// `server.tls`.
pub const SERVER_TLS: Table<ServerTls> = Table {
    title: "`server.tls`",
    path: "server.tls",
    topics: &[Topic {
        title: "TLS",
        keys: &[
            Key::new("certificate", &Maybe(lens!(ServerTls, certificate), CREDENTIAL_FILE))
                .summary("File with the certificate of this server, followed by those of intermediate authorities, as PEM")
                .details(
                    "`server-port`, `deploy-port` and the ports of caches then speak HTTPS, with HTTP/2 for clients that can. A \
                     changed file takes effect within seconds, and at once with `cachectl reload`. Clients that ask for a host \
                     name in the certificate of a cache get that certificate instead.",
                )
                .example("/var/lib/acme/cache.example.org/fullchain.pem"),
            Key::new("key", &Maybe(lens!(ServerTls, key), SECRET_FILE))
                .summary("File with the private key of the certificate, as PEM")
                .example("/var/lib/acme/cache.example.org/key.pem"),
            Key::new("client-authorities", &Many(lens!(ServerTls, client_authorities), CREDENTIAL_FILE))
                .summary("Files with the authorities whose certificates clients may present, one or a list")
                .details("Clients without a certificate are served as well. `client-certificates` says what a certificate permits.")
                .example("/etc/cache-server/clients.pem"),
        ],
    }],
};

/// `tls` of a cache.
pub const CACHE_TLS: Table<CacheTls> = Table {
    title: "`tls` of a cache",
    path: "caches[].tls",
    topics: &[Topic {
        title: "TLS",
        keys: &[
            Key::new("certificate", &Maybe(lens!(CacheTls, certificate), CREDENTIAL_FILE))
                .applied_on_reload()
                .summary("File with a certificate for this cache, followed by those of intermediate authorities, as PEM")
                .details(
                    "The `port` of the cache speaks HTTPS with it. With `server.tls`, clients that ask for a host in this certificate \
                     get it on every port.",
                )
                .example("/run/secrets/main-certificate.pem"),
            Key::new("key", &Maybe(lens!(CacheTls, key), SECRET_FILE))
                .applied_on_reload()
                .summary("File with the private key of that certificate, as PEM")
                .example("/run/secrets/main-key.pem"),
        ],
    }],
};
