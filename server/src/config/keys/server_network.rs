//! Keys of `server` about other nodes.

use super::field::{Many, Maybe, Nested, One};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::types::{BOOL, COUNT, HOST, IPV4, PORT, POSITIVE_DURATION, SECRET_FILE};
use crate::config::{FederationConfig, ServerConfig};

pub const NETWORK: Topic<ServerConfig> = Topic {
    title: "Other nodes",
    keys: &[
        Key::new("standalone", &One(lens!(ServerConfig, standalone), BOOL))
            .default("false")
            .summary("Whether this node keeps to itself")
            .details("A standalone node neither announces its paths to other nodes nor asks them for missing ones."),
        Key::new("dht-port", &One(lens!(ServerConfig, dht_port), PORT))
            .default("4222")
            .summary("UDP port of the DHT, through which nodes find each other"),
        Key::new("dht-bind-address", &Maybe(lens!(ServerConfig, dht_bind_address), IPV4))
            .derived("the address of `hostname`")
            .summary("IPv4 address that the DHT listens on")
            .example("192.0.2.10"),
        Key::new("dht-public-address", &Maybe(lens!(ServerConfig, dht_public_address), IPV4))
            .derived("the address that other nodes see")
            .summary("IPv4 address under which other nodes find this one, if they cannot tell by themselves")
            .details("Nodes behind one translated address (NAT) cannot all take part.")
            .example("203.0.113.7"),
        Key::new("dht-bootstrap-host", &Many(lens!(ServerConfig, dht_bootstrap_hosts), HOST))
            .summary("Nodes through which this node enters the DHT, one or a list")
            .details("The first node of a network names none.")
            .example("[cache-1.example.org, cache-2.example.org]"),
        Key::new("dht-bootstrap-port", &One(lens!(ServerConfig, dht_bootstrap_port), PORT))
            .default("4222")
            .summary("UDP port of the bootstrap hosts"),
        Key::new("dht-network-key-file", &Many(lens!(ServerConfig, dht_network_key_files), SECRET_FILE))
            .applied_on_reload()
            .summary("File with the key that all nodes of a network share")
            .details(
                "Without it, the nodes with the same `key` form a network. To replace the key, list the new and the old one \
                 until all nodes have both.",
            )
            .example("/run/secrets/cache-network-key"),
        Key::new("dht-max-records", &One(lens!(ServerConfig, dht_max_records), COUNT))
            .default("100000")
            .summary("Largest number of records that this node stores for the network, of at most 1 KiB each")
            .details("Small networks need one record for every path of all nodes."),
        Key::new("federation", &Nested(lens!(ServerConfig, federation), &FEDERATION))
            .summary("How other nodes and upstreams are asked for missing paths"),
    ],
};

/// `server.federation`.
pub const FEDERATION: Table<FederationConfig> = Table {
    title: "`server.federation`",
    path: "server.federation",
    topics: &[Topic {
        title: "Lookups",
        keys: &[
            Key::new("lookup-timeout", &One(lens!(FederationConfig, lookup_timeout), POSITIVE_DURATION))
            .default("400ms")
            .summary("How long a reader waits at most for an answer from other nodes and upstreams")
            .details("After that the reader is asked to try again later."),
        Key::new("watch-interval", &One(lens!(FederationConfig, watch_interval), POSITIVE_DURATION))
            .default("12h")
            .summary("How often to check whether upstreams still have the paths that pushes skipped and that closures need")
            .details("Each check requests the narinfo. See `pin-upstream` and `closures` of a cache."),
        Key::new("local-addresses", &One(lens!(FederationConfig, local_addresses), BOOL))
            .default("false")
            .summary("Whether to contact nodes at loopback and link-local addresses")
            .details(
                "Nodes announce their own addresses: a node with such an address could make this one contact services that only \
                 this machine can reach. A daemon that listens on loopback alone (`hostname`) contacts nodes on this machine \
                 anyway.",
            )],
    }],
};
