//! The fuzz targets of the formats of Nix.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[path = "../../../../fuzz/bodies/nix_formats.rs"]
mod bodies;
#[path = "../../../../fuzz/run.rs"]
mod run;

#[test]
fn no_input_breaks_a_parser() {
    run::run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz"), bodies::BODIES, 20_000);
}
