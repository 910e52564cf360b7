//! Threads of their own for work that waits for another machine.
//!
//! The runtime's pool of blocking threads is for work that ends by itself. Work that stands still while a client sends
//! nothing would use the pool up, and then every disk access of the daemon waits. Such work gets a thread that nobody else
//! waits for; its caller limits how many there are.

use std::io;

use tokio::sync::oneshot;

/// The stack of such a thread in bytes. Decoders keep their windows and tables on the heap.
const STACK: usize = 1 << 20;

/// The result of work on its own thread. Resolves to an error if the work panicked.
pub type Outcome<T> = oneshot::Receiver<T>;

/// Starts `work` on a new thread called `name` (15 bytes at most). Fails if the process may not have another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Outcome<T>> {
    let (done, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    thread.spawn(move || {
        // A caller that no longer waits needs no result.
        let _ = done.send(work());
    })?;
    Ok(outcome)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_beside_the_pool_and_its_panic_is_an_error() {
        let thread = spawn("test", || std::thread::current().name().map(str::to_owned)).unwrap();
        assert_eq!(thread.await.unwrap().as_deref(), Some("test"));
        let panicking = spawn("test", || panic!("on purpose")).unwrap();
        assert!(panicking.await.is_err());
    }
}
