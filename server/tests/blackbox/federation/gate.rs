//! Stands in front of a daemon and lets only the beginning of each large answer through, until it is opened.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The gate. Those who wait at it are sent away, in the middle of what they were getting, when it is broken down.
#[derive(Clone)]
pub struct Gate {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// The port of the daemon.
    behind: u16,
    open: bool,
    waiting: usize,
}

impl Gate {
    /// How much of an answer passes.
    const PASSES: u64 = 10_000_000;

    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let gate = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let shared = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let gate = shared.clone();
                // Whoever hangs up, on either side, ends it.
                thread::spawn(move || gate.pass(client).ok());
            }
        });
        gate
    }

    /// Puts it in front of the daemon at that port.
    pub fn guard(&self, port: u16) {
        self.shared.0.lock().unwrap().behind = port;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many are in the middle of an answer.
    pub fn waiting(&self) -> usize {
        self.shared.0.lock().unwrap().waiting
    }

    /// Lets everything through from now on. Those who wait are cut off.
    pub fn break_down(&self) {
        self.shared.0.lock().unwrap().open = true;
        self.shared.1.notify_all();
    }

    fn pass(&self, mut client: TcpStream) -> std::io::Result<()> {
        let behind = self.shared.0.lock().unwrap().behind;
        let mut daemon = TcpStream::connect((Ipv4Addr::LOCALHOST, behind))?;
        let (mut asking, mut asked) = (client.try_clone()?, daemon.try_clone()?);
        thread::spawn(move || {
            let copied = std::io::copy(&mut asking, &mut asked);
            asked.shutdown(Shutdown::Both).ok();
            copied
        });
        let mut passed = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = daemon.read(&mut buffer)?;
            if length == 0 {
                return client.shutdown(Shutdown::Both);
            }
            passed += length as u64;
            let mut state = self.shared.0.lock().unwrap();
            if passed > Self::PASSES && !state.open {
                state.waiting += 1;
                drop(self.shared.1.wait_while(state, |state| !state.open).unwrap());
                daemon.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
            drop(state);
            client.write_all(&buffer[..length])?;
        }
    }
}
