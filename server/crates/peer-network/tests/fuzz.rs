//! The fuzz targets of messages between nodes.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[path = "../../../../fuzz/bodies/peer_network.rs"]
mod bodies;
#[path = "../../../../fuzz/run.rs"]
mod run;

#[test]
fn no_message_of_another_node_breaks_this_one() {
    run::run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz"), bodies::BODIES, 20_000);
}
