//! The fuzz targets of the daemon's own parsers.

#[path = "../../fuzz/bodies/server.rs"]
mod bodies;
#[path = "../../fuzz/run.rs"]
#[allow(clippy::unwrap_used)]
mod run;

#[test]
fn no_input_breaks_the_daemon() {
    run::run(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz"), bodies::BODIES, 1_500);
}
