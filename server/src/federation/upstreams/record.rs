//! What became of the requests to an upstream, for operators.

use catalog::UnixTime;
use meters::Counter;
use parking_lot::Mutex;

/// Counts since the upstream was configured, and the last thing that went wrong.
#[derive(Default)]
pub struct UpstreamRecord {
    /// Lookups whose path it has.
    pub found: Counter,
    /// Lookups whose path it does not have.
    pub absent: Counter,
    /// Lookups that were answered from the memory of what it does not have.
    pub remembered: Counter,
    /// Requests that it refused because of their credentials.
    pub refused: Counter,
    /// Lookups whose path it has in a way that is of no use: unsigned, malformed.
    pub unusable: Counter,
    /// Lookups that it did not answer, or with an error.
    pub failed: Counter,
    /// Lookups for which the next one was asked as well, because it took long.
    pub hedged: Counter,
    /// NARs that were begun.
    pub nars: Counter,
    /// Bytes of NARs.
    pub nar_bytes: Counter,
    /// Bytes that contradict what it signed or promised: its paths that were put into quarantine.
    pub quarantined: Counter,
    last_error: Mutex<Option<LastError>>,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct LastError {
    /// When.
    pub at: UnixTime,
    /// What, for a person.
    pub message: String,
    /// Whether nothing has been right since.
    pub is_current: bool,
    /// Whether it is about credentials.
    pub is_refusal: bool,
}

impl UpstreamRecord {
    /// Notes what went wrong.
    pub fn note_error(&self, message: String) {
        self.note(message, false);
    }

    /// Notes that it does not accept our credentials, or that there are none.
    pub fn note_refusal(&self, message: String) {
        self.note(message, true);
    }

    fn note(&self, message: String, is_refusal: bool) {
        *self.last_error.lock() =
            Some(LastError { at: UnixTime::now(), message, is_current: true, is_refusal });
    }

    /// Notes that it works.
    pub fn note_success(&self) {
        if let Some(error) = self.last_error.lock().as_mut() {
            error.is_current = false;
        }
    }

    /// Returns the last thing that went wrong.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }
}
