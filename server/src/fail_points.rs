//! Named steps at which tests let the daemon die, to see what the next start makes of what it left, or panic, to see that
//! it goes on.
//!
//! A build without the feature `fail-points` knows none of them.

/// Ends the process as a power failure would, if the environment variable `CACHE_SERVER_DIE_AT` names this step. Panics when
/// the step that `CACHE_SERVER_PANIC_AT` names is reached for the first time.
#[cfg(feature = "fail-points")]
pub fn reached(step: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static DIE_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CACHE_SERVER_DIE_AT").ok());
    static PANIC_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CACHE_SERVER_PANIC_AT").ok());
    static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
    let panics = PANIC_AT.as_deref() == Some(step) && !HAS_PANICKED.swap(true, Ordering::Relaxed);
    assert!(!panics, "a test lets the step `{step}` panic");
    if DIE_AT.as_deref() == Some(step) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // It is delivered at once, but not before the call returns on every kernel.
        loop {
            std::thread::park();
        }
    }
}

/// Nothing: this build has no steps to die at.
#[cfg(not(feature = "fail-points"))]
pub fn reached(_: &str) {}
