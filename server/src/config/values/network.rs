//! Hosts, addresses and URLs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::Url;

use super::names::public_key;
use crate::config::Upstream;
use crate::config::keys::{Kind, nearest};
use crate::config::wrong::{Wrong, shown};
use crate::limits::client_address::Network;

/// An address or name to listen on or to connect to, without a port.
pub fn host(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let text = bare.unwrap_or(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(allowed)) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(text, Kind::Host.expected());
    Err(match text.rsplit_once(':') {
        _ if text == "*" => wrong.suggest("every address is `0.0.0.0`, or `::` with IPv6"),
        _ if text.contains("://") => wrong.suggest("leave out the scheme"),
        Some((_, port)) if port.parse::<u16>().is_ok() => wrong.suggest("the port has its own key"),
        _ => wrong,
    })
}

/// An IPv4 address.
pub fn ipv4(text: &str) -> Result<Ipv4Addr, Wrong> {
    text.parse().map_err(|_| Wrong::new(text, Kind::Ipv4.expected()))
}

/// An IP address with a port that is not zero.
pub fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0);
    address.ok_or_else(|| Wrong::new(text, Kind::SocketAddress.expected()))
}

/// An address, or the first bits of several.
pub fn ip_network(text: &str) -> Result<Network, Wrong> {
    text.parse().map_err(|_| {
        Wrong::because(
            format!("{} is not an address", shown(text)),
            "an address, or a network such as `10.0.0.0/8`",
        )
    })
}

/// The URL of an HTTP service.
pub fn http_url(text: &str) -> Result<Url, Wrong> {
    let expected = || Kind::HttpUrl.expected();
    let refuse = |why: &str| Err(Wrong::because(why, expected()));
    let Ok(url) = Url::parse(text) else {
        return Err(Wrong::new(text, expected()));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("contains a user name or password, which do not belong in a URL");
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Wrong::new(text, expected()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or fragment");
    }
    Ok(url)
}

/// The URL of an HTTP server, without a path.
pub fn server_url(text: &str) -> Result<Url, Wrong> {
    without_path(text, Kind::ServerUrl)
}

/// The URL by which one daemon reaches another.
pub fn node_url(text: &str) -> Result<Url, Wrong> {
    without_path(text, Kind::NodeUrl)
}

fn without_path(text: &str, kind: Kind) -> Result<Url, Wrong> {
    let url = http_url(text)?;
    match url.path() {
        "/" => Ok(url),
        path => Err(Wrong::because(format!("has the path {}", shown(path)), kind.expected())),
    }
}

/// A binary cache to ask: its URL, and behind it the keys that it signs with.
pub fn upstream(text: &str) -> Result<Upstream, Wrong> {
    let mut words = text.split_whitespace();
    let url = upstream_url(words.next().unwrap_or_default())?;
    let public_keys = words.map(public_key).collect::<Result<_, _>>()?;
    Ok(Upstream { url, public_keys, ..Upstream::default() })
}

/// The URL of a binary cache to ask.
pub fn upstream_url(text: &str) -> Result<Url, Wrong> {
    match text {
        "nixos" => http_url("https://cache.nixos.org"),
        text if text.starts_with("s3:") => bucket_url(text),
        text => http_url(text),
    }
}

/// Parameters that Nix takes in the URL of a bucket. Those that say how to write to it mean nothing here.
pub const BUCKET_PARAMETERS: &[&str] = &[
    "region",
    "endpoint",
    "scheme",
    "profile",
    "addressing-style",
    "priority",
    "want-mass-query",
    "trusted",
    "compression",
    "parallel-compression",
    "compression-level",
    "narinfo-compression",
    "ls-compression",
    "log-compression",
    "secret-key",
    "secret-keys",
    "write-nar-listing",
    "index-debug-info",
    "local-nar-cache",
    "multipart-upload",
    "multipart-threshold",
    "multipart-chunk-size",
    "buffer-size",
    "storage-class",
    "store",
];

/// The URL of a bucket as Nix writes it.
fn bucket_url(text: &str) -> Result<Url, Wrong> {
    const EXPECTED: &str = "a URL such as `s3://bucket?region=eu-west-1&endpoint=s3.example.org`";
    let refuse = |why: String| Err(Wrong::because(why, EXPECTED));
    let Ok(url) = Url::parse(text) else { return Err(Wrong::new(text, EXPECTED)) };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("contains a user name or password, which do not belong in a URL".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) || url.port().is_some() || url.fragment().is_some() {
        return Err(Wrong::new(text, EXPECTED));
    }
    for (name, value) in url.query_pairs() {
        let is_right = match &*name {
            "scheme" => matches!(&*value, "http" | "https"),
            "addressing-style" => matches!(&*value, "path" | "virtual" | "auto"),
            "endpoint" => {
                let is_url = value.starts_with("http://") || value.starts_with("https://");
                let whole = if is_url { value.to_string() } else { format!("https://{value}") };
                http_url(&whole).is_ok_and(|url| url.path() == "/")
            }
            "region" | "profile" => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
                !value.is_empty() && value.chars().all(is_plain)
            }
            name if BUCKET_PARAMETERS.contains(&name) => true,
            name => {
                let nearest = nearest(name, BUCKET_PARAMETERS.iter().copied());
                let wrong = Wrong::because(format!("has the unknown parameter {}", shown(name)), EXPECTED);
                return Err(match nearest {
                    Some(meant) => wrong.suggest(format!("did you mean `{meant}`?")),
                    None => wrong,
                });
            }
        };
        if !is_right {
            return refuse(format!("has the parameter `{name}`, but {} is none", shown(&value)));
        }
    }
    Ok(url)
}
