//! Entries of `upstreams` that are mappings, because the URL and the keys do not say enough.

use super::field::{Many, Maybe, One};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::types::{DURATION, POSITIVE_DURATION, PUBLIC_KEY, SECRET_FILE, TEXT, UPSTREAM_URL};
use crate::config::section::Section;
use crate::config::{Upstream, UpstreamCredentials};

/// An entry of `upstreams`.
pub const UPSTREAM: Table<Upstream> =
    Table { title: "an entry of `upstreams`", path: "caches[].upstreams[]", topics: &[LOOKUPS, CREDENTIALS] };

const LOOKUPS: Topic<Upstream> = Topic {
    title: "Lookups",
    keys: &[
        Key::new("url", &One(lens!(Upstream, url), UPSTREAM_URL))
            .required()
            .applied_on_reload()
            .summary("URL of the binary cache: `https://…`, `http://…`, `s3://…`, or `nixos` for https://cache.nixos.org")
            .details(
                "The URL of a bucket is written as for Nix, with the parameters `region`, `endpoint`, `scheme`, `profile` and \
                 `addressing-style`.",
            )
            .example("\"https://cache.example.org\""),
        Key::new("public-keys", &Many(lens!(Upstream, public_keys), PUBLIC_KEY))
            .applied_on_reload()
            .summary("Public keys that the upstream signs with, one or a list")
            .details("The `trusted-public-keys` of the cache count as well. The key of cache.nixos.org is built in.")
            .example("[\"cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=\"]"),
        Key::new("lookup-timeout", &One(lens!(Upstream, lookup_timeout), POSITIVE_DURATION))
            .default("4s")
            .applied_on_reload()
            .summary("How long the upstream may take to say whether it has a path")
            .details(
                "After that it counts as failed, and the next upstream is asked. Readers do not wait that long: after \
                 `server.federation.lookup-timeout` they are asked to try again, and then get the answer. Nix retries for about 5 \
                 seconds.",
            )
            .example("2s"),
        Key::new("negative-ttl", &One(lens!(Upstream, negative_ttl), DURATION))
            .default("3s")
            .applied_on_reload()
            .summary("How long it is remembered that the upstream does not have a path")
            .details(
                "Longer times save requests, but a path that is pushed to the upstream in the meantime is reported as absent, and \
                 Nix remembers that for an hour.",
            )
            .example("1min"),
    ],
};

const CREDENTIALS: Topic<Upstream> = Topic {
    title: "Credentials",
    keys: &[
        Key::new("user", &Maybe(lens!(Upstream, credentials.user), TEXT))
            .applied_on_reload()
            .summary("User name for the password")
            .details("Some servers, such as Cachix, want a password without a user name.")
            .example("reader"),
        Key::new("password-file", &Maybe(lens!(Upstream, credentials.password_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File with the password")
            .details(
                "Credentials are sent to the host of the URL only, never to where it redirects. The files are read again every \
                 minute, so a new password needs no reload.",
            )
            .example("/run/secrets/upstream-password"),
        Key::new("token-file", &Maybe(lens!(Upstream, credentials.token_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File with a bearer token")
            .example("/run/secrets/upstream-token"),
        Key::new("netrc-file", &Maybe(lens!(Upstream, credentials.netrc_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File in the format of the `netrc-file` of Nix, with an entry for the host of the URL")
            .example("/etc/nix/netrc"),
        Key::new("headers-file", &Maybe(lens!(Upstream, credentials.headers_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File with further headers to send, a line `Name: value` each")
            .example("/run/secrets/upstream-headers"),
        Key::new(
            "client-certificate-file",
            &Maybe(lens!(Upstream, credentials.client_certificate_file), SECRET_FILE),
        )
        .applied_on_reload()
        .summary("File with a client certificate, and the chain above it, in PEM")
        .example("/run/secrets/upstream-client.crt"),
        Key::new("client-key-file", &Maybe(lens!(Upstream, credentials.client_key_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File with the private key of the client certificate, in PEM")
            .details("Without it, the file of the certificate has the key as well.")
            .example("/run/secrets/upstream-client.key"),
        Key::new("s3-access-key-file", &Maybe(lens!(Upstream, credentials.s3_access_key_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File with the access key id for a bucket")
            .details(
                "Without keys, they come from the environment of the daemon, from the `profile` of the URL or from the role of the \
                 machine, as for Nix. If there are none, requests are not signed, which is right for public buckets.",
            )
            .example("/run/secrets/upstream-access-key"),
        Key::new("s3-secret-key-file", &Maybe(lens!(Upstream, credentials.s3_secret_key_file), SECRET_FILE))
            .applied_on_reload()
            .summary("File with the secret access key for a bucket")
            .example("/run/secrets/upstream-secret-key"),
    ],
};

/// Whether the text form says everything about the upstream.
pub fn is_text(upstream: &Upstream) -> bool {
    let Upstream { url, public_keys, .. } = upstream.clone();
    *upstream == Upstream { url, public_keys, ..Upstream::default() }
}

/// Reports keys that do not go together.
pub fn check(section: &Section<'_>, upstream: &Upstream) {
    const FOR_BUCKETS: [&str; 2] = ["s3-access-key-file", "s3-secret-key-file"];
    const FOR_SERVERS: [&str; 7] = [
        "user",
        "password-file",
        "token-file",
        "netrc-file",
        "headers-file",
        "client-certificate-file",
        "client-key-file",
    ];
    let UpstreamCredentials { user, password_file, client_certificate_file, client_key_file, .. } =
        &upstream.credentials;
    let useless: &[&str] = if upstream.is_bucket() { &FOR_SERVERS } else { &FOR_BUCKETS };
    for key in useless.iter().filter(|key| section.has(key)) {
        let kind = if upstream.is_bucket() { "a bucket" } else { "a web server" };
        section.error(key, format!("is given, but the upstream is {kind}"));
    }
    let ways = ["password-file", "token-file", "netrc-file"];
    let mut given = ways.into_iter().filter(|key| section.has(key));
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        section.error(second, format!("is given together with `{first}`; give only one of them"));
    }
    if user.is_some() && password_file.is_none() {
        section.error("user", "is given without `password-file`");
    }
    if client_key_file.is_some() && client_certificate_file.is_none() {
        section.error("client-key-file", "is given without `client-certificate-file`");
    }
    if client_certificate_file.is_some() && upstream.url.scheme() == "http" {
        section.error("client-certificate-file", "is given, but the URL is not `https://`");
    }
    for (key, other) in [(FOR_BUCKETS[0], FOR_BUCKETS[1]), (FOR_BUCKETS[1], FOR_BUCKETS[0])] {
        if upstream.is_bucket() && section.has(key) && !section.has(other) {
            section.error(key, format!("is given without `{other}`"));
        }
    }
}
