//! Daemons of one network, on loopback.

use serde_json::{Value, json};

use crate::harness::{Path, SOON, Site, wait_for};

/// The UDP port of a daemon: the number of its deploy port, which nobody else has.
fn dht_port(config: &Value) -> Value {
    config["server"]["deploy-port"].clone()
}

/// Makes a daemon take part in the network of the node at that port, or begin a network.
pub fn join(config: &mut Value, entry: Option<u16>) {
    let (api, dht) = (config["server"]["server-port"].clone(), dht_port(config));
    let server = &mut config["server"];
    server["standalone"] = json!(false);
    server["node-url"] = json!(format!("http://127.0.0.1:{api}"));
    server["dht-port"] = dht;
    // Tests run beside many others, and a node that was not asked for a while takes a moment.
    server["federation"] = json!({"lookup-timeout": "5s", "local-addresses": true});
    if let Some(entry) = entry {
        server["dht-bootstrap-host"] = json!("127.0.0.1");
        server["dht-bootstrap-port"] = json!(entry);
    }
}

/// A network of `count` daemons that enter it through the first.
pub fn start(count: usize) -> Vec<Site> {
    start_with(count, |_, _| {})
}

/// The same, with changes to the configuration of each.
pub fn start_with(count: usize, edit: impl Fn(usize, &mut Value)) -> Vec<Site> {
    let mut sites: Vec<Site> = Vec::new();
    for number in 0..count {
        let entry = sites.first().map(|first| first.port("deploy"));
        sites.push(Site::with(|config| {
            join(config, entry);
            edit(number, config);
        }));
    }
    sites
}

/// Waits until the daemon answers for a path that another one has.
#[track_caller]
pub fn soon_finds(site: &Site, cache: &str, path: &Path) {
    let reader = site.reader(cache);
    wait_for(SOON, "the other daemon finds it", || (reader.narinfo_status(path) == 200).then_some(()));
}
