//! A network of its own, for a daemon that takes the ports it takes.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::daemon::Daemon;
use super::{SOON, wait_for};

/// The start of a command that runs the rest of it in a new network with nothing but a loopback interface.
pub fn unshared_network() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    command
}

/// Moves the calling thread, and those it starts from now on, into the daemon's network.
pub fn enter(daemon: &Daemon) {
    let of_daemon = format!("/proc/{}/ns/net", daemon.pid());
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    wait_for(SOON, "the daemon has a network of its own", || {
        fs::read_link(&of_daemon).ok().filter(|theirs| *theirs != ours)
    });
    let network = File::open(&of_daemon).unwrap();
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("entering a network namespace takes root");
}
