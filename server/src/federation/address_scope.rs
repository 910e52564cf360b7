//! Where requests to others may lead.
//!
//! A cache that could send us anywhere could make us ask what only we can reach: services on this machine, in the network
//! around it, the metadata service of a cloud. So a redirect leads to public addresses, and to those of the kind that the
//! upstream itself has: one that the operator runs in a private network may use a bucket there.
//!
//! The same holds for the URLs by which nodes of the network say they are reached. They may be in a private network, but neither
//! on this machine nor on its link, unless the configuration says so (`server.federation.local-addresses`).
//!
//! What is checked is the address that the connection is then made to, so no name server can show one and give another.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;
use url::{Host, Url};

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Reachable by everybody.
    Public,
    /// This machine.
    Loopback,
    /// A private network, the shared address space of a carrier (RFC 6598) included.
    Private,
    /// The link that the machine is on, where clouds have their metadata service.
    LinkLocal,
    /// No single host, or for documentation and tests only.
    Unusable,
}

/// The addresses to which a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressScope {
    /// All: the operator named the host.
    Anywhere,
    /// Those at which nodes of the network may be: public ones and those of private networks.
    OfNodes,
    /// The same, and this machine.
    OfNodesHere,
    /// Public ones, and those of this kind.
    PublicAnd(AddressKind),
}

/// A request leads where it may not.
#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    /// A redirect does.
    #[error("{0} is not a public address")]
    Redirect(IpAddr),
    /// The URL of a node does.
    #[error(
        "{0} is an address of this machine, of its link or of no host; where nodes are meant to be there, set \
         `server.federation.local-addresses: true`"
    )]
    Node(IpAddr),
}

impl AddressScope {
    /// Where a host at this address may redirect to; an unknown one counts as public.
    pub fn of_redirects_from(address: Option<IpAddr>) -> Self {
        Self::PublicAnd(address.map_or(AddressKind::Public, kind_of))
    }

    /// Whether a request may go to the address.
    fn includes(self, address: IpAddr) -> bool {
        let kind = kind_of(address);
        match self {
            Self::Anywhere => true,
            Self::OfNodes => matches!(kind, AddressKind::Public | AddressKind::Private),
            Self::OfNodesHere => Self::OfNodes.includes(address) || kind == AddressKind::Loopback,
            Self::PublicAnd(also) => {
                kind != AddressKind::Unusable && (kind == AddressKind::Public || kind == also)
            }
        }
    }

    /// Refuses a URL whose host is an address out of reach. Hosts with a name are checked when they are resolved.
    ///
    /// # Errors
    ///
    /// If it is.
    pub fn check(self, url: &Url) -> Result<(), Forbidden> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.includes(address) { Ok(()) } else { Err(self.forbids(address)) }
    }

    fn forbids(self, address: IpAddr) -> Forbidden {
        match self {
            Self::OfNodes | Self::OfNodesHere => Forbidden::Node(address),
            Self::Anywhere | Self::PublicAnd(_) => Forbidden::Redirect(address),
        }
    }
}

/// Resolves names to addresses within reach, for the connector: what it returns is what is connected to.
#[derive(Clone, Debug)]
pub struct Resolver(pub AddressScope);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (within, beyond): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|address| reach.includes(address.ip()));
            match beyond.first() {
                Some(address) if within.is_empty() => Err(io::Error::other(reach.forbids(address.ip()))),
                _ => Ok(within.into_iter()),
            }
        })
    }
}

/// Finds what says in an error that a request leads where it may not.
pub fn find_forbidden<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Forbidden> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(forbidden) = inner.and_then(|inner| inner.downcast_ref::<Forbidden>()) {
            return Some(forbidden);
        }
        next = error.source();
    }
    None
}

/// The kind of an address. An IPv6 address that stands for an IPv4 address is of the kind of that one.
fn kind_of(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        [127, ..] => AddressKind::Loopback,
        [169, 254, ..] => AddressKind::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => AddressKind::Unusable,
        _ => AddressKind::Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> AddressKind {
    if let Some(address) = address.to_ipv4_mapped() {
        return kind_of_v4(address);
    }
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind_of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressKind::Private,
        // Teredo, documentation.
        [0x2001, 0 | 0xdb8, ..] => AddressKind::Unusable,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Unusable,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_in_every_disguise() {
        let cases = [
            ("1.1.1.1", AddressKind::Public),
            ("172.32.0.1", AddressKind::Public),
            ("100.128.0.1", AddressKind::Public),
            ("127.0.0.1", AddressKind::Loopback),
            ("127.8.9.1", AddressKind::Loopback),
            ("10.0.0.1", AddressKind::Private),
            ("172.31.255.255", AddressKind::Private),
            ("192.168.1.1", AddressKind::Private),
            ("100.100.100.200", AddressKind::Private),
            ("169.254.169.254", AddressKind::LinkLocal),
            ("0.0.0.0", AddressKind::Unusable),
            ("0.1.2.3", AddressKind::Unusable),
            ("224.0.0.1", AddressKind::Unusable),
            ("255.255.255.255", AddressKind::Unusable),
            ("192.0.2.1", AddressKind::Unusable),
            ("2606:4700::1111", AddressKind::Public),
            ("::1", AddressKind::Loopback),
            ("::", AddressKind::Unusable),
            ("::127.0.0.1", AddressKind::Unusable),
            ("::ffff:127.0.0.1", AddressKind::Loopback),
            ("::ffff:169.254.169.254", AddressKind::LinkLocal),
            ("64:ff9b::a9fe:a9fe", AddressKind::LinkLocal),
            ("2002:7f00:1::", AddressKind::Loopback),
            ("fe80::1", AddressKind::LinkLocal),
            ("fd00:ec2::254", AddressKind::Private),
            ("ff02::1", AddressKind::Unusable),
            ("2001:db8::1", AddressKind::Unusable),
        ];
        for (text, kind) in cases {
            assert_eq!(kind_of(text.parse().unwrap()), kind, "{text}");
        }
    }

    #[test]
    fn redirects_lead_to_public_addresses_and_to_those_of_the_kind_of_the_upstream() {
        let reach = |from: &str| AddressScope::of_redirects_from(Some(from.parse().unwrap()));
        let may = |reach: AddressScope, url: &str| reach.check(&Url::parse(url).unwrap()).is_ok();
        for from in ["1.1.1.1", "127.0.0.1", "10.0.0.1", "169.254.0.1", "0.0.0.0"] {
            assert!(may(reach(from), "https://9.9.9.9/x"));
            assert!(!may(reach(from), "http://224.0.0.1/") && !may(reach(from), "http://0.0.0.0/"));
            // However it is written.
            for url in
                ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:7f00:1]/"]
            {
                assert_eq!(may(reach(from), url), from == "127.0.0.1", "{from} to {url}");
            }
            assert_eq!(may(reach(from), "http://192.168.0.1/"), from == "10.0.0.1");
            assert_eq!(may(reach(from), "http://169.254.169.254/"), from == "169.254.0.1");
        }
        assert!(!may(AddressScope::of_redirects_from(None), "http://127.0.0.1/"));
    }

    #[test]
    fn nodes_are_in_public_and_private_networks_only() {
        let may = |url: &str| AddressScope::OfNodes.check(&Url::parse(url).unwrap()).is_ok();
        assert!(may("http://9.9.9.9/") && may("http://192.168.0.1:5000/") && may("http://[fd00::1]/"));
        for url in [
            "http://127.0.0.1/",
            "http://[::1]:5000/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/",
            "http://[fe80::1]/",
            "http://224.0.0.1/",
            "http://0.0.0.0/",
            "http://[::]/",
        ] {
            assert!(!may(url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        let name: Name = "localhost".parse().unwrap();
        let public = AddressScope::PublicAnd(AddressKind::Public);
        let refused = Resolver(public).call(name.clone()).await.unwrap_err();
        assert!(find_forbidden(&refused).is_some());
        let refused = Resolver(AddressScope::OfNodes).call(name.clone()).await.unwrap_err();
        assert!(find_forbidden(&refused).is_some());
        let loopback = AddressScope::PublicAnd(AddressKind::Loopback);
        assert!(Resolver(loopback).call(name).await.unwrap().next().is_some());
    }
}
