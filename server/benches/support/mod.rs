//! What the load and the memory program share: a daemon of their own, store paths to push to it, a client that costs
//! little beside the daemon, and what the kernel says about processes.

pub mod busy;
pub mod client;
pub mod daemon;
pub mod ports;
pub mod process;
pub mod push;
pub mod sample;
pub mod source;

/// These programs report whatever goes wrong and end; nobody looks at the kind of error.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Bytes of a mebibyte.
pub const MIB: u64 = 1 << 20;

/// The value of `--NAME VALUE` on the command line.
pub fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// Whether `--NAME` is on the command line.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}
