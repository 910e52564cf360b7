//! Other nodes.

use admin_api::{
    Announcing, DhtInfo, DhtRecord, Holding, PeerInfo, Ping, RecordContent, SeenNode, UpstreamCheck,
    UpstreamInfo, UpstreamState, UpstreamUser,
};

use super::NOW;

const NODES: [&str; 3] = [
    "5f0c9d7e31b24a86b0d2c4f6a8e01357",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
];

/// One that does well, one that does not, and one that nobody has asked yet.
pub fn peers() -> Vec<PeerInfo> {
    let peer = |node: &str, url: &str, caches: &[&str]| PeerInfo {
        node: node.into(),
        url: url.into(),
        caches: caches.iter().map(|&cache| cache.to_owned()).collect(),
        last_seen: NOW - 125,
        load: 7,
        free: 1 << 40,
        latency: Some(1_840),
        breaker_open_for: None,
        inventory_age: Some(1),
    };
    vec![
        peer(NODES[0], "https://cache-1.example.org/", &["main", "staging"]),
        PeerInfo {
            load: 230,
            breaker_open_for: Some(95),
            inventory_age: Some(640),
            ..peer(NODES[1], "http://10.0.0.7:5000/", &["main"])
        },
        PeerInfo { latency: None, inventory_age: None, ..peer(NODES[2], "http://10.0.0.8:5000/", &[]) },
    ]
}

pub fn upstreams() -> Vec<UpstreamInfo> {
    let upstream = |url: &str, caches: &[(&str, u64)]| UpstreamInfo {
        url: url.into(),
        caches: caches
            .iter()
            .map(|&(cache, priority)| UpstreamUser { cache: cache.into(), priority })
            .collect(),
        access: "none".into(),
        state: UpstreamState::Ok,
        lookup_timeout_ms: 4_000,
        negative_ttl_ms: 3_000,
        latency: Some(23_400),
        breaker_open_for: None,
        found: 41_234,
        absent: 9_876,
        remembered: 1_234,
        remembered_paths: 321,
        refused: 0,
        unusable: 0,
        failed: 0,
        hedged: 12,
        nars: 40_000,
        nar_bytes: 300 << 30,
        quarantined: 0,
        last_error: None,
        last_error_at: None,
    };
    let idle = |url: &str, caches: &[(&str, u64)]| UpstreamInfo {
        latency: None,
        found: 0,
        absent: 0,
        remembered: 0,
        remembered_paths: 0,
        hedged: 0,
        nars: 0,
        nar_bytes: 0,
        ..upstream(url, caches)
    };
    vec![
        upstream("https://cache.nixos.org/", &[("main", 1), ("staging", 2)]),
        UpstreamInfo {
            access: "token".into(),
            state: UpstreamState::Refusing,
            refused: 7,
            last_error: Some("it answered with status 401 Unauthorized; are its credentials right?".into()),
            last_error_at: Some(NOW - 61),
            ..idle("https://attic.example.org/team", &[("staging", 1)])
        },
        UpstreamInfo {
            state: UpstreamState::BreakerOpen,
            breaker_open_for: Some(16),
            failed: 5,
            last_error: Some("no answer in time".into()),
            last_error_at: Some(NOW - 2),
            ..idle("http://10.0.0.7:5000/", &[("main", 2)])
        },
        UpstreamInfo {
            access: "bucket".into(),
            state: UpstreamState::Unknown,
            ..idle("s3://nars?region=eu-west-1&endpoint=s3.example.org", &[("main", 3)])
        },
        UpstreamInfo {
            found: 3,
            quarantined: 1,
            last_error: Some("0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq: its NAR is another one than promised".into()),
            last_error_at: Some(NOW - 3_600),
            ..idle("http://odd.example.org/", &[("main", 4)])
        },
    ]
}

pub fn upstream_checks() -> Vec<UpstreamCheck> {
    let check = |url: &str, latency, error: Option<&str>| UpstreamCheck {
        url: url.into(),
        latency,
        error: error.map(Into::into),
    };
    vec![
        check("https://cache.nixos.org/", Some(31_000), None),
        check(
            "https://attic.example.org/team",
            None,
            Some("it answered with status 401 Unauthorized; are its credentials right?"),
        ),
    ]
}

pub fn pings() -> Vec<Ping> {
    let ping =
        |node: &str, url: &str| Ping { node: node.into(), url: url.into(), latency: None, error: None };
    vec![
        Ping { latency: Some(1_234), ..ping(NODES[0], "https://cache-1.example.org/") },
        Ping { error: Some("no answer in time".into()), ..ping(NODES[1], "http://10.0.0.7:5000/") },
    ]
}

pub fn dht() -> DhtInfo {
    DhtInfo {
        node: NODES[2].into(),
        address: "0.0.0.0:4222".into(),
        problem: None,
        public_address: Some("192.0.2.7:4222".into()),
        nodes: vec!["192.0.2.8:4222".into(), "192.0.2.9:4222".into()],
        estimated_size: 3,
        announcing: Announcing { waiting: 1_200, round: 100_000, written: 98_800, failed: 1 },
    }
}

/// A record of each kind.
pub fn records() -> Vec<DhtRecord> {
    let record = |key: String, content| DhtRecord { key, content };
    vec![
        record(
            format!("n:{}", NODES[0]),
            RecordContent::Node {
                url: "https://cache-1.example.org/".into(),
                said: NOW - 125,
                load: 7,
                free: 1 << 40,
                caches: vec!["main".into(), "staging".into()],
                pages: 1,
            },
        ),
        record(
            "m:3".into(),
            RecordContent::Members(vec![SeenNode { node: NODES[0].into(), seen: NOW - 125 }]),
        ),
        record(
            "p:0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq".into(),
            RecordContent::Providers(vec![
                Holding { node: NODES[0].into(), number: 1, cache: Some("main".into()), said: NOW - 125 },
                Holding { node: NODES[2].into(), number: 12, cache: None, said: NOW - 7_200 },
            ]),
        ),
        record(
            "x:hello".into(),
            RecordContent::Note { text: "from the first\u{1b} node".into(), written: NOW - 60 },
        ),
    ]
}
