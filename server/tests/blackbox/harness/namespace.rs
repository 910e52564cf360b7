//! A network of its own, for a daemon that takes the ports it takes.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

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

/// Moves the calling thread, and those and the programs that it starts from now on, into a new network whose machine has these
/// addresses and loopback.
pub fn enter_new(addresses: &[&str]) {
    let add =
        addresses.iter().map(|address| format!("ip addr add {address}/32 dev lo && ")).collect::<String>();
    let script = format!("ip link set lo up && {add}echo ready && exec sleep 60");
    let mut holder = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare runs");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "a network namespace takes root, and `ip`");
    let network = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("entering a network namespace takes root");
    // Whoever is in it keeps it.
    holder.kill().unwrap();
    holder.wait().unwrap();
}
