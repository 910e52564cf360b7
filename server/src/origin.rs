//! The addresses under which clients reach this daemon, as they see them.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use url::{Host, Url};

use crate::cache::Cache;
use crate::config::ServerConfig;

/// How long this machine's name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(1);

/// The URL by which the daemons that share the catalog reach this one, without a slash at its end.
pub fn node_url(server: &ServerConfig) -> String {
    if let Some(url) = &server.node_url {
        return url.as_str().trim_end_matches('/').to_owned();
    }
    let host = if listens_everywhere(server) { machine_name() } else { url_host(&server.hostname) };
    format!("{}://{host}:{}", server.tls.scheme(), server.server_port)
}

/// The host part of URLs that lead to a daemon with this configuration when no request says how it was reached. Where it
/// listens on every address that is the name of this machine or, if that has no address, the address by which the machine
/// reaches others.
pub async fn reachable_host(server: &ServerConfig) -> String {
    if !listens_everywhere(server) {
        return url_host(&server.hostname);
    }
    let name = machine_name();
    let lookup = async { Some(tokio::net::lookup_host((name.as_str(), 0)).await.ok()?.next().is_some()) };
    let resolves = tokio::time::timeout(RESOLVE, lookup).await == Ok(Some(true));
    match outbound_address() {
        _ if resolves => name,
        Some(address) => url_host(&address.to_string()),
        None => "localhost".to_owned(),
    }
}

fn listens_everywhere(server: &ServerConfig) -> bool {
    server.hostname.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
}

/// What this machine is called.
fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A host name or an address as it stands in a URL.
fn url_host(hostname: &str) -> String {
    match hostname.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => hostname.to_owned(),
    }
}

/// The name under which Nix looks in netrc for the token of a cache at this URL: its host, without brackets and port.
pub fn netrc_machine(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// Whether `cachix use` can set up a private cache at this URL. It writes everything after the scheme into netrc as the name
/// of the machine, and Nix compares that with the host alone.
pub fn suits_cachix_use(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    !host.contains([':', '/'])
}

/// The address that this machine sends from. Connecting a UDP socket sends nothing, and 192.0.2.0/24 is nobody's
/// (RFC 5737).
fn outbound_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Builds absolute URLs.
pub struct Origin {
    public_url: Option<Url>,
    own_host: String,
    server_port: u16,
    /// How URLs begin that lead to a port of the server.
    scheme: &'static str,
}

impl Origin {
    /// URLs under the public one if there is one, else under the host name that a request came to, else under `own_host`.
    pub fn new(server: &ServerConfig, own_host: String) -> Self {
        let (public_url, server_port) = (server.public_url.clone(), server.server_port);
        Self { public_url, own_host, server_port, scheme: server.tls.scheme() }
    }

    /// The URL of the API for clients that have yet to come, without a slash at its end.
    pub fn api_url(&self) -> String {
        self.url(None, "")
    }

    /// An absolute URL on this daemon for a client that reached it as `host`. `path` starts with a slash.
    pub fn url(&self, host: Option<&str>, path: &str) -> String {
        if let Some(public) = &self.public_url {
            let name = public.host_str().unwrap_or_default();
            let same = host.is_none_or(|host| {
                let host = without_port(host);
                host.eq_ignore_ascii_case(name)
                    || host
                        .to_ascii_lowercase()
                        .strip_suffix(name)
                        .is_some_and(|prefix| prefix.ends_with('.'))
            });
            if same {
                // A proxy may have taken the port out of the Host header, and a prefix out of the path.
                return format!("{}{path}", public.as_str().trim_end_matches('/'));
            }
        }
        match host {
            Some(host) => format!("{}://{host}{path}", self.scheme),
            None => format!("{}://{}:{}{path}", self.scheme, self.own_host, self.server_port),
        }
    }

    /// The substituter URL of a cache for a client that reached this daemon as `host`, or for one that has yet to come:
    /// stable, without a trailing slash (protocol reference 3.4).
    pub fn cache_url(&self, cache: &Cache, host: Option<&str>) -> String {
        let config = cache.config();
        let scheme = if config.tls.certificate.is_some() { "https" } else { self.scheme };
        self.url_of_cache(cache.name(), config.port.map(|port| (scheme, port)), host)
    }

    /// `port` is the cache's own, with how URLs that lead there begin.
    fn url_of_cache(&self, name: &str, port: Option<(&str, u16)>, host: Option<&str>) -> String {
        if let Some(public) = &self.public_url {
            return match public.host() {
                Some(Host::Domain(domain)) => {
                    let port = public.port().map(|port| format!(":{port}")).unwrap_or_default();
                    format!("{}://{name}.{domain}{port}", public.scheme())
                }
                // An address has no names below it.
                _ => format!("{}/api/v1/cache/{name}", public.as_str().trim_end_matches('/')),
            };
        }
        let host = host.map_or(self.own_host.as_str(), without_port);
        match port {
            Some((scheme, port)) => format!("{scheme}://{host}:{port}"),
            None => format!("{}://{host}:{}/api/v1/cache/{name}", self.scheme, self.server_port),
        }
    }
}

/// A host without its port; the brackets of an IPv6 address stay.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plain() -> ServerConfig {
        ServerConfig { server_port: 5000, ..ServerConfig::default() }
    }

    /// The daemon listens on 5000, and on the loopback interface, where its public URL leads to.
    fn public(url: &str) -> Origin {
        let public_url = Some(url.parse().unwrap());
        Origin::new(&ServerConfig { public_url, ..plain() }, "localhost".to_owned())
    }

    fn server(yaml: &str) -> ServerConfig {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, format!("{{caches: [], server: {{{yaml}}}}}")).unwrap();
        crate::config::load(&file, &crate::config::Environment::default()).unwrap().config.server
    }

    #[tokio::test]
    async fn urls_for_clients_to_come_lead_to_where_the_daemon_listens() {
        for (hostname, host) in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
            let server = server(&format!("hostname: '{hostname}'"));
            let origin = Origin::new(&server, reachable_host(&server).await);
            assert_eq!(origin.api_url(), format!("http://{host}:5000"));
            assert_eq!(origin.url(None, "/x"), format!("http://{host}:5000/x"));
            assert_eq!(
                origin.url_of_cache("main", Some(("http", 8080)), None),
                format!("http://{host}:8080")
            );
            let by_path = format!("http://{host}:5000/api/v1/cache/main");
            assert_eq!(origin.url_of_cache("main", None, None), by_path);
            assert_eq!(node_url(&server), format!("http://{host}:5000"));
        }
    }

    #[tokio::test]
    async fn where_it_listens_on_every_address_urls_name_one_that_can_be_reached() {
        for hostname in ["0.0.0.0", "::"] {
            let host = reachable_host(&server(&format!("hostname: '{hostname}'"))).await;
            let mut addresses = tokio::net::lookup_host((host.as_str(), 80)).await.unwrap();
            assert!(addresses.all(|address| !address.ip().is_unspecified()), "{host}");
        }
    }

    #[test]
    fn urls_for_clients_to_come_are_public_where_there_is_a_public_url() {
        for (url, port) in [("https://cachix.test", ""), ("http://cachix.test:8000", ":8000")] {
            let origin = public(url);
            let scheme = url.split_once(':').unwrap().0;
            assert_eq!(origin.api_url(), url);
            for host in [None, Some("127.0.0.1:5000"), Some("cachix.test")] {
                let expected = format!("{scheme}://main.cachix.test{port}");
                assert_eq!(origin.url_of_cache("main", Some(("http", 8080)), host), expected);
            }
        }
        for url in ["http://192.0.2.7:8000", "http://[2001:db8::1]"] {
            assert_eq!(public(url).api_url(), url);
            assert_eq!(
                public(url).url_of_cache("main", Some(("http", 80)), None),
                format!("{url}/api/v1/cache/main")
            );
        }
    }

    #[test]
    fn netrc_knows_hosts_alone() {
        for (url, machine, suits) in [
            ("https://main.cachix.test", "main.cachix.test", true),
            ("https://main.cachix.test:8443", "main.cachix.test", false),
            ("http://[::1]:5000/api/v1/cache/main", "::1", false),
            ("http://192.0.2.7/api/v1/cache/main", "192.0.2.7", false),
        ] {
            assert_eq!((netrc_machine(url).as_str(), suits_cachix_use(url)), (machine, suits), "{url}");
        }
    }

    #[test]
    fn without_a_public_url_a_cache_is_where_the_client_came_to() {
        let origin = Origin::new(&plain(), "localhost".to_owned());
        for (host, expected) in [("[::1]:5000", "[::1]"), ("node:5000", "node"), ("10.0.0.1", "10.0.0.1")] {
            assert_eq!(origin.url(Some(host), "/x"), format!("http://{host}/x"));
            let url = origin.url_of_cache("main", Some(("http", 8080)), Some(host));
            assert_eq!(url, format!("http://{expected}:8080"));
        }
    }

    #[test]
    fn urls_of_a_server_with_a_certificate_are_https() {
        let tls = crate::config::ServerTls {
            certificate: Some("c".into()),
            key: Some("k".into()),
            ..Default::default()
        };
        let server = ServerConfig { tls, hostname: "a.test".to_owned(), ..plain() };
        let origin = Origin::new(&server, "a.test".to_owned());
        assert_eq!(origin.api_url(), "https://a.test:5000");
        assert_eq!(origin.url(Some("b.test:1"), "/x"), "https://b.test:1/x");
        assert_eq!(origin.url_of_cache("main", None, None), "https://a.test:5000/api/v1/cache/main");
        assert_eq!(node_url(&server), "https://a.test:5000");
    }

    #[test]
    fn the_port_is_cut_off_and_nothing_else() {
        for (host, expected) in [
            ("example.org", "example.org"),
            ("example.org:80", "example.org"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:5000", "127.0.0.1"),
        ] {
            assert_eq!(without_port(host), expected);
        }
    }

    #[test]
    fn urls_are_public_where_the_client_came_in_by_the_public_name() {
        let origin = public("https://cachix.test/prefix/");
        for host in [None, Some("cachix.test"), Some("CACHIX.test:80"), Some("main.cachix.test")] {
            assert_eq!(origin.url(host, "/x"), "https://cachix.test/prefix/x");
        }
        for host in ["127.0.0.1:5000", "evilcachix.test"] {
            assert_eq!(origin.url(Some(host), "/x"), format!("http://{host}/x"));
        }
    }
}
