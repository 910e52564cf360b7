//! Watches the memory of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::process;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks at a process until dropped.
pub struct Watch {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    anonymous: AtomicU64,
    high_water_mark: AtomicU64,
    stop: AtomicBool,
}

impl Watch {
    /// Begins to watch.
    pub fn start(pid: u32) -> Self {
        let state = Arc::new(State::default());
        let watched = state.clone();
        let thread = std::thread::spawn(move || {
            while !watched.stop.load(Ordering::Relaxed) {
                watched.look(pid);
                std::thread::sleep(PAUSE);
            }
        });
        Self { state, thread: Some(thread) }
    }

    /// The most anonymous memory that was resident since the last call, in bytes. Waits for a look at least.
    pub fn take_peak(&self) -> u64 {
        std::thread::sleep(2 * PAUSE);
        self.state.anonymous.swap(0, Ordering::Relaxed)
    }

    /// The most memory of any kind that was ever resident, in bytes.
    pub fn high_water_mark(&self) -> u64 {
        self.state.high_water_mark.load(Ordering::Relaxed)
    }
}

impl State {
    fn look(&self, pid: u32) {
        // A process that is gone takes no memory; whoever needs it notices.
        let memory = process::memory(pid).unwrap_or_default();
        self.anonymous.fetch_max(memory.anonymous, Ordering::Relaxed);
        self.high_water_mark.fetch_max(memory.high_water_mark, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
