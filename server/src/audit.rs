//! The audit log: who changed what, from where, and what came of it.
//!
//! One JSON object per line, in a file of its own, or else as events of the target `audit` in the log of the daemon. A thread
//! writes the file, so that no request waits for a disk; lines that it cannot keep up with are counted. Anybody can cause
//! refusals, so of those with the same cause only some are written, and the others counted as well.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde::Serialize;
use uuid::Uuid;

/// Lines that may wait for the disk.
const WAITING: usize = 4096;
/// Refusals with the same cause that are written in each window.
const REFUSALS: u64 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Causes that are told apart.
const MOST_CAUSES: usize = 1024;

/// A change, or an attempt at one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Event {
    /// The id of the token, if a valid one was presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Uuid>,
    /// What the token is for, as the operator said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was proved instead of a token of this server: the claims that the rules ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, Vec<String>>>,
    /// The user, on the admin socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The cache, if the action is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// The method and the pattern of the route.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// The status of the reply.
    pub status: u16,
}

impl Event {
    fn outcome(&self) -> &'static str {
        match self.status {
            ..400 => "done",
            400..500 => "refused",
            _ => "failed",
        }
    }
}

/// What the object of an event is, where the URL does not tell. Handlers attach it to their replies.
#[derive(Clone, Debug)]
pub struct Object(pub String);

/// An event as a line.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    outcome: &'static str,
    #[serde(flatten)]
    event: &'a Event,
    /// Events of the same cause that were left out before this one.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The audit log.
pub struct Audit {
    /// `None` if there is no file.
    lines: Option<SyncSender<String>>,
    causes: Mutex<HashMap<Cause, Window>>,
}

type Cause = (String, u16, Option<Uuid>, Option<IpAddr>);

struct Window {
    began: Instant,
    events: u64,
}

impl Audit {
    /// Opens the log, in a file if there is one.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or there is no thread for it.
    pub fn open(file: Option<&Path>) -> io::Result<Self> {
        let lines = match file {
            Some(path) => {
                let target = Target::open(path.to_owned())?;
                let (sender, receiver) = sync_channel(WAITING);
                std::thread::Builder::new()
                    .name("audit".to_owned())
                    .spawn(move || target.write_all(&receiver))?;
                Some(sender)
            }
            None => None,
        };
        Ok(Self { lines, causes: Mutex::default() })
    }

    /// Records an event. Does not wait.
    pub fn record(&self, event: &Event) {
        let Some(left_out) = self.admit(event) else { return };
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let line = Line { time, outcome: event.outcome(), event, left_out };
        let line = serde_json::to_string(&line).expect("events are plain data");
        match &self.lines {
            Some(lines) => {
                if lines.try_send(line).is_err() {
                    tracing::error!("the audit log cannot keep up: a line is lost");
                }
            }
            None => tracing::info!(target: "audit", "{line}"),
        }
    }

    /// Returns how many events like this one were left out before; `None` if this one is to be left out as well.
    fn admit(&self, event: &Event) -> Option<u64> {
        if event.status < 400 {
            return Some(0);
        }
        let cause = (event.action.clone(), event.status, event.token, event.address);
        let mut causes = self.causes.lock();
        if causes.len() >= MOST_CAUSES {
            causes.retain(|_, window| window.began.elapsed() < WINDOW);
        }
        if causes.len() >= MOST_CAUSES && !causes.contains_key(&cause) {
            return None;
        }
        let window = causes.entry(cause).or_insert(Window { began: Instant::now(), events: 0 });
        let mut left_out = 0;
        if window.began.elapsed() >= WINDOW {
            left_out = window.events.saturating_sub(REFUSALS);
            *window = Window { began: Instant::now(), events: 0 };
        }
        window.events += 1;
        (window.events <= REFUSALS).then_some(left_out)
    }
}

/// The file, as it is written.
struct Target {
    path: PathBuf,
    file: File,
}

impl Target {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&path)?;
        Ok(Self { path, file })
    }

    /// Writes lines until nobody sends any more.
    fn write_all(mut self, lines: &Receiver<String>) {
        for mut line in lines {
            line.push('\n');
            if let Err(error) = self.follow_rotation().and_then(|()| self.file.write_all(line.as_bytes())) {
                tracing::error!(%error, line = line.trim_end(), "cannot write to the audit log");
            }
        }
    }

    /// Opens the file again if it was moved away.
    fn follow_rotation(&mut self) -> io::Result<()> {
        let is_same = |there: std::fs::Metadata| {
            self.file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        };
        if !std::fs::metadata(&self.path).is_ok_and(is_same) {
            *self = Self::open(self.path.clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_one_cause_do_not_fill_the_log() {
        let audit = Audit::open(None).unwrap();
        let refusal = Event { action: "PUT /x".to_owned(), status: 401, ..Event::default() };
        let written = (0..1000).filter(|_| audit.admit(&refusal).is_some()).count();
        assert_eq!(written as u64, REFUSALS);
        let other = Event { status: 403, ..refusal.clone() };
        assert_eq!(audit.admit(&other), Some(0));
        let done = Event { status: 200, ..refusal };
        assert!((0..1000).all(|_| audit.admit(&done) == Some(0)));
    }

    #[test]
    fn a_file_that_could_not_be_opened_again_is_tried_again_with_the_next_line() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("log");
        std::fs::create_dir(&folder).unwrap();
        let mut target = Target::open(folder.join("audit")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(target.follow_rotation().is_err());
        std::fs::create_dir(&folder).unwrap();
        target.follow_rotation().unwrap();
        assert!(folder.join("audit").exists());
    }

    #[test]
    fn causes_are_bounded() {
        let audit = Audit::open(None).unwrap();
        for number in 0..3000 {
            let action = format!("PUT /{number}");
            audit.admit(&Event { action, status: 401, ..Event::default() });
        }
        assert_eq!(audit.causes.lock().len(), MOST_CAUSES);
    }
}
