//! The fuzz targets of request framing.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[path = "../../../../fuzz/bodies/http_framing.rs"]
mod bodies;
#[path = "../../../../fuzz/run.rs"]
mod run;

#[test]
fn no_connection_is_understood_in_two_ways() {
    run::run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz"), bodies::BODIES, 20_000);
}
