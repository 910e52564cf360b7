//! `cachectl push`: uploads store paths of this machine to a server, near or far, as the cachix client does.
//!
//! It speaks the Cachix API over HTTP and needs a token, but no admin socket. What a path consists of is asked of Nix; its bytes
//! are read from the store.
//!
//! | file | what |
//! |---|---|
//! | `run.rs` | finds out what is missing, uploads it in parallel, and sums up |
//! | `watch.rs` | pushes what appears in the store, until it is stopped |
//! | `upload.rs` | one path: its parts, their order, their repetition |
//! | `pack.rs` | the NAR of a path, compressed and cut into parts |
//! | `store.rs` | what Nix knows of paths |
//! | `api.rs` | the requests of the Cachix API |
//! | `client.rs`, `retry.rs` | HTTPS, and when a request is repeated |
//! | `credentials.rs`, `netrc.rs` | where the token comes from |
//! | `error.rs` | every failure |

mod api;
mod client;
pub mod credentials;
mod error;
mod netrc;
mod pack;
mod retry;
mod run;
mod store;
mod upload;
mod watch;

#[cfg(test)]
mod tests;

pub use api::Server;
pub use error::PushError;
pub use pack::Packing;
pub use run::{Pusher, Summary};
pub use store::{Store, store_path_of};
pub use upload::Uploader;
pub use watch::watch;
