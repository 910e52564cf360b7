//! The addresses under which clients reach this daemon, as they see them.

use std::net::IpAddr;

use url::Url;
use warp::{Filter, Rejection};

use crate::cache::Cache;
use crate::config::ServerConfig;

/// The text of the `Host` header.
pub fn host() -> impl Filter<Extract = (Option<String>,), Error = Rejection> + Copy {
    warp::header::optional::<String>("host")
}

/// The URL by which the daemons that share the catalog reach this one, without a slash at its end.
pub fn node_url(server: &ServerConfig) -> String {
    if let Some(url) = &server.node_url {
        return url.as_str().trim_end_matches('/').to_owned();
    }
    let host = match server.hostname.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        }
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => server.hostname.clone(),
    };
    format!("http://{host}:{}", server.server_port)
}

/// Builds absolute URLs.
pub struct Origin {
    public_url: Option<Url>,
    server_port: u16,
}

impl Origin {
    /// URLs under `public_url` if there is one, else under the host name that a request came to.
    pub fn new(public_url: Option<Url>, server_port: u16) -> Self {
        Self { public_url, server_port }
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
        format!("http://{}{path}", host.unwrap_or("localhost"))
    }

    /// The substituter URL of a cache: stable, without a trailing slash (protocol reference 3.4).
    pub fn cache_url(&self, cache: &Cache, host: Option<&str>) -> String {
        if let Some(public) = &self.public_url {
            let port = public.port().map(|port| format!(":{port}")).unwrap_or_default();
            return format!(
                "{}://{}.{}{port}",
                public.scheme(),
                cache.name(),
                public.host_str().unwrap_or_default()
            );
        }
        let host = without_port(host.unwrap_or("localhost"));
        match cache.config().port {
            Some(port) => format!("http://{host}:{port}"),
            None => format!("http://{host}:{}/api/v1/cache/{}", self.server_port, cache.name()),
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
        let origin = Origin::new(Some("https://cachix.test/prefix/".parse().unwrap()), 80);
        for host in [None, Some("cachix.test"), Some("CACHIX.test:80"), Some("main.cachix.test")] {
            assert_eq!(origin.url(host, "/x"), "https://cachix.test/prefix/x");
        }
        for host in ["127.0.0.1:5000", "evilcachix.test"] {
            assert_eq!(origin.url(Some(host), "/x"), format!("http://{host}/x"));
        }
    }
}
