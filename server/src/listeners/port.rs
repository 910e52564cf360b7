//! Ports that the configuration asks for, and how they are opened.

use std::io;
use std::net::{IpAddr, SocketAddr};

use admin_api::Purpose;
use rustix::io::Errno;
use tokio::net::TcpListener;

use crate::config::{Config, ServerConfig};
use crate::systemd::InheritedSockets;

/// A port that the configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: u16,
    pub(super) purpose: Purpose,
    /// The cache, where the port belongs to one.
    pub(super) cache: Option<String>,
}

impl Port {
    /// Every TCP port of a configuration; that of the API comes first.
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let server = &config.server;
        let mut ports = vec![
            Self { number: server.server_port, purpose: Purpose::Api, cache: None },
            // The same as on the API port: agents fetch from where they get their orders (protocol reference 7.6).
            Self { number: server.deploy_port, purpose: Purpose::Deploy, cache: None },
        ];
        ports.extend(Self::of_caches(config));
        let metrics = server.metrics_address.map(|address| address.port());
        ports.extend(metrics.map(|number| Self { number, purpose: Purpose::Metrics, cache: None }));
        ports
    }

    /// The host name or address to listen on.
    pub(super) fn host(&self, server: &ServerConfig) -> String {
        match (self.purpose, server.metrics_address) {
            (Purpose::Metrics, Some(address)) => address.ip().to_string(),
            _ => server.hostname.clone(),
        }
    }

    /// The ports of the enabled caches that have one.
    pub(super) fn of_caches(config: &Config) -> impl Iterator<Item = Self> {
        let enabled = config.caches.iter().filter(|cache| cache.enabled);
        enabled.filter_map(|cache| {
            Some(Self { number: cache.port?, purpose: Purpose::Cache, cache: Some(cache.name.to_string()) })
        })
    }

    /// The key of the configuration that asks for the port.
    pub(super) fn key(&self) -> String {
        match (&self.cache, self.purpose) {
            (Some(cache), _) => format!("port of cache `{cache}`"),
            (None, Purpose::Deploy) => "server.deploy-port".to_owned(),
            (None, Purpose::Metrics) => "server.metrics-address".to_owned(),
            (None, _) => "server.server-port".to_owned(),
        }
    }
}

/// What came of opening one port.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) sockets: Vec<OpenSocket>,
    pub(super) refused: Vec<Refused>,
}

pub(super) struct OpenSocket {
    pub(super) listener: TcpListener,
    pub(super) address: String,
    /// What is odd about it.
    pub(super) warning: Option<String>,
}

/// An address that could not be opened.
pub(super) struct Refused {
    /// The address; the port of the host name where that could not be resolved.
    pub(super) address: String,
    /// Unless the host name could not be resolved.
    pub(super) resolved: Option<SocketAddr>,
    pub(super) error: io::Error,
}

/// Takes the sockets that systemd opened for the port, or else listens on every address that `hostname` stands for.
pub(super) async fn open(inherited: &mut InheritedSockets, hostname: &str, port: u16) -> Opened {
    let handed_over = inherited.take_tcp(port);
    let resolved = tokio::net::lookup_host((hostname, port)).await;
    if !handed_over.is_empty() {
        let wanted: Vec<IpAddr> =
            resolved.map(|found| found.map(|one| one.ip()).collect()).unwrap_or_default();
        return adopt(handed_over, hostname, port, &wanted);
    }
    match resolved {
        Ok(addresses) => {
            let mut addresses: Vec<SocketAddr> = addresses.collect();
            addresses.sort();
            addresses.dedup();
            bind(addresses).await
        }
        Err(error) => Opened {
            sockets: Vec::new(),
            refused: vec![Refused { address: format!("{hostname}:{port}"), resolved: None, error }],
        },
    }
}

fn adopt(listeners: Vec<std::net::TcpListener>, hostname: &str, port: u16, wanted: &[IpAddr]) -> Opened {
    let mut opened = Opened::default();
    for listener in listeners {
        let made = listener.local_addr().and_then(|address| {
            listener.set_nonblocking(true)?;
            Ok((address, TcpListener::from_std(listener)?))
        });
        match made {
            Ok((address, listener)) => {
                let warning = (!serves(address.ip(), wanted))
                    .then(|| format!("systemd listens on {address}, while `server.hostname` is {hostname}"));
                opened.sockets.push(OpenSocket { listener, address: address.to_string(), warning });
            }
            Err(error) => {
                opened.refused.push(Refused { address: format!("{hostname}:{port}"), resolved: None, error })
            }
        }
    }
    opened
}

/// Whether a socket on `address` is what a host name asks for that stands for `wanted`. Nothing is known of a name that
/// cannot be resolved.
fn serves(address: IpAddr, wanted: &[IpAddr]) -> bool {
    let all = address.is_unspecified() && address.is_ipv6();
    wanted.is_empty()
        || wanted.contains(&address)
        // A socket on [::] takes connections of both kinds.
        || (all && wanted.iter().any(IpAddr::is_unspecified))
}

pub(super) async fn bind(addresses: Vec<SocketAddr>) -> Opened {
    let mut opened = Opened::default();
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                opened.sockets.push(OpenSocket { listener, address: address.to_string(), warning: None });
            }
            Err(error) => {
                opened.refused.push(Refused { address: address.to_string(), resolved: Some(address), error });
            }
        }
    }
    if !opened.sockets.is_empty() {
        // `localhost` may stand for ::1 on a machine without IPv6.
        opened.refused.retain(|refused| !is_not_of_this_machine(&refused.error));
    }
    opened
}

fn is_not_of_this_machine(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_fits_a_host_name_that_stands_for_its_address() {
        let wanted = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (address, hostname, fits) in [
            ("127.0.0.1", &["127.0.0.1", "::1"][..], true),
            ("0.0.0.0", &["0.0.0.0"], true),
            ("::", &["0.0.0.0"], true),
            ("127.0.0.1", &[], true),
            ("127.0.0.1", &["0.0.0.0"], false),
            ("0.0.0.0", &["127.0.0.1"], false),
            ("::", &["127.0.0.1"], false),
            ("10.0.0.1", &["10.0.0.2"], false),
        ] {
            assert_eq!(
                serves(address.parse().unwrap(), &wanted(hostname)),
                fits,
                "{address} for {hostname:?}"
            );
        }
    }
}
