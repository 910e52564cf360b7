//! What systemd and the daemon say to each other.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::site::HOST;
use crate::harness::{Endpoint, SOON, Site, wait_for};

fn daemon_with_socket(directory: &Path) -> Command {
    let mut command = Command::new(DAEMON);
    command.env_clear().stdin(Stdio::null()).env("NOTIFY_SOCKET", directory.join("notify.sock"));
    command
}

/// Everything that comes in at `notify.sock`. When the daemon says that it is ready, `when_ready` looks whether it is.
fn listen(directory: &Path, when_ready: impl Fn() + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let socket = UnixDatagram::bind(directory.join("notify.sock")).unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let messages = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.contains("READY=1") {
                when_ready();
            }
            messages.lock().unwrap().extend(message.lines().map(str::to_owned));
        }
    });
    heard
}

fn count(heard: &Mutex<Vec<String>>, line: &str) -> usize {
    heard.lock().unwrap().iter().filter(|heard| *heard == line).count()
}

#[test]
fn systemd_hears_when_the_daemon_is_ready_and_when_it_stops() {
    let heard = Mutex::new(None);
    let was_ready = Arc::new(Mutex::new(None));
    let mut site = Site::launched(
        |config, directory| {
            let api = Endpoint {
                address: (Ipv4Addr::LOCALHOST, config["server"]["server-port"].as_u64().unwrap() as u16)
                    .into(),
                host: HOST.to_owned(),
            };
            let was_ready = was_ready.clone();
            let ask = move || {
                let answer = api.get("/api/v1/cache/pub").try_send();
                *was_ready.lock().unwrap() = Some(answer.is_ok_and(|reply| reply.status == 200));
            };
            let _ = fs::remove_file(directory.join("notify.sock"));
            *heard.lock().unwrap() = Some(listen(directory, ask));
        },
        daemon_with_socket,
    );
    let heard = heard.into_inner().unwrap().unwrap();
    wait_for(SOON, "READY=1", || (count(&heard, "READY=1") > 0).then_some(()));
    assert_eq!(*was_ready.lock().unwrap(), Some(true), "it answers when it says that it is ready");
    assert_eq!(count(&heard, "STOPPING=1"), 0);
    assert_eq!(count(&heard, "WATCHDOG=1"), 0, "nobody asked for it");
    site.daemon().signal(Signal::TERM);
    assert_eq!(site.daemon().wait().code(), Some(0));
    wait_for(SOON, "STOPPING=1", || (count(&heard, "STOPPING=1") > 0).then_some(()));
}

#[test]
fn the_watchdog_is_kept_quiet() {
    let heard = Mutex::new(None);
    let site = Site::launched(
        |_, directory| {
            let _ = fs::remove_file(directory.join("notify.sock"));
            *heard.lock().unwrap() = Some(listen(directory, || ()));
        },
        |directory| {
            let mut command = daemon_with_socket(directory);
            command.env("WATCHDOG_USEC", "400000");
            command
        },
    );
    let heard = heard.into_inner().unwrap().unwrap();
    wait_for(SOON, "the watchdog is told again and again", || {
        (count(&heard, "WATCHDOG=1") >= 4).then_some(())
    });
    drop(site);
}

/// The shell gives the daemon its standard input as descriptor 3, as systemd would give it a socket.
const HANDING_OVER: &str = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null";

#[test]
fn an_inherited_socket_is_listened_on() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // A client that came before the daemon did waits in the socket's queue and is served.
    let early = Endpoint { address: listener.local_addr().unwrap(), host: HOST.to_owned() };
    let waiting = std::thread::spawn(move || early.get("/api/v1/cache/pub").send().status);
    let edit = |config: &mut Value, _: &Path| config["server"]["server-port"] = json!(port);
    let mut site = Site::launched(edit, move |_| {
        let mut command = Command::new("/bin/sh");
        command.env_clear().stdin(OwnedFd::from(listener.try_clone().unwrap())).args([
            "-c",
            HANDING_OVER,
            DAEMON,
        ]);
        command
    });
    assert_eq!(waiting.join().unwrap(), 200);
    site.api().get("/api/v1/cache/pub").send().expect(200);
    // The ports that were not handed over are bound as ever.
    site.cache_port("pub").get("/nix-cache-info").send().expect(200);
    assert_eq!(site.daemon().terminate().code(), Some(0));
}
