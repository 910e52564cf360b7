//! Several daemons that find each other through a DHT, and upstreams that are not to be trusted.

mod buckets;
pub mod certificates;
mod closures;
mod credentials;
mod digests;
pub mod encodings;
mod finding;
mod gate;
mod keeping;
mod kinds;
mod lying;
mod neighbours;
pub mod network;
mod node;
mod operators;
mod posing;
mod privacy;
mod products;
mod redirects;
mod skipping;
mod trusting;
pub mod upstream;
mod upstream_list;
mod waiting;
