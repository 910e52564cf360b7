//! Transfers that a client may resume.
//!
//! A NAR from elsewhere is verified as a whole, so its tail costs as much as all of it. A tail is therefore sent only to a
//! client that makes up for an earlier transfer of the same file, and has paid for it with its own bandwidth. Any other range
//! gets the whole file.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;

use crate::federation::TicketText;

/// How long after its end a transfer may be resumed. Nix tries again within seconds.
const GOOD_FOR: Duration = Duration::from_secs(600);
/// How often a transfer may be resumed. Nix makes five attempts in all.
const MOST_TAILS: u8 = 4;
/// The most transfers that are remembered. The oldest are forgotten first.
const MOST: usize = 1024;

/// The transfers that ended, the oldest first.
static ENDED: Ended = Ended(Mutex::new(VecDeque::new()));

struct Ended(Mutex<VecDeque<Transfer>>);

struct Transfer {
    ticket: TicketText,
    /// The position that it reached, as far as is known here: some of it may not have arrived.
    reached: u64,
    tails_left: u8,
    at: Instant,
}

impl Ended {
    fn add(&self, transfer: Transfer) {
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(transfer);
    }

    /// Takes a transfer that reached `start`. Returns how often the rest of it may be resumed in turn.
    fn take(&self, ticket: &TicketText, start: u64) -> Option<u8> {
        let mut all = self.0.lock();
        all.retain(|transfer| transfer.at.elapsed() < GOOD_FOR);
        let reaches = |transfer: &Transfer| {
            transfer.ticket == *ticket && transfer.reached >= start && transfer.tails_left > 0
        };
        let place = all.iter().position(reaches)?;
        all.remove(place).map(|transfer| transfer.tails_left - 1)
    }
}

/// The permission to send a file, or the rest of it.
pub struct Turn {
    /// Where it begins.
    pub start: u64,
    tails_left: u8,
}

/// Returns what a client gets that asks for the file of the ticket from `start` on.
pub fn turn_from(ticket: &TicketText, start: u64) -> Turn {
    match Some(start).filter(|start| *start > 0).and_then(|start| ENDED.take(ticket, start)) {
        Some(tails_left) => Turn { start, tails_left },
        None => Turn { start: 0, tails_left: MOST_TAILS },
    }
}

/// Passes the pieces of a transfer on, and remembers how far it came.
pub fn watched<S>(
    pieces: S,
    ticket: TicketText,
    turn: &Turn,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static
where
    S: Stream<Item = io::Result<Bytes>> + Send + Sync + 'static,
{
    let mut watch = Watch { ticket, reached: turn.start, tails_left: turn.tails_left };
    pieces.inspect(move |piece| watch.note(piece))
}

struct Watch {
    ticket: TicketText,
    reached: u64,
    tails_left: u8,
}

impl Watch {
    fn note(&mut self, piece: &io::Result<Bytes>) {
        self.reached += piece.as_ref().map_or(0, |piece| piece.len() as u64);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let ticket = TicketText(std::mem::take(&mut self.ticket.0));
        let (reached, tails_left) = (self.reached, self.tails_left);
        ENDED.add(Transfer { ticket, reached, tails_left, at: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(text: &str) -> TicketText {
        TicketText(text.to_owned())
    }

    fn transfer(name: &str, reached: u64) -> Transfer {
        Transfer { ticket: ticket(name), reached, tails_left: 1, at: Instant::now() }
    }

    #[test]
    fn a_transfer_is_resumed_once_and_from_where_it_was() {
        let all = Ended(Mutex::default());
        all.add(transfer("a", 100));
        assert_eq!(all.take(&ticket("b"), 10), None);
        assert_eq!(all.take(&ticket("a"), 101), None);
        assert_eq!(all.take(&ticket("a"), 90), Some(0));
        assert_eq!(all.take(&ticket("a"), 90), None);
    }

    #[test]
    fn only_the_latest_transfers_are_remembered() {
        let all = Ended(Mutex::default());
        (0..=MOST).for_each(|number| all.add(transfer(&number.to_string(), 1)));
        assert_eq!(all.take(&ticket("0"), 1), None);
        assert_eq!(all.take(&ticket(&MOST.to_string()), 1), Some(0));
    }

    #[tokio::test]
    async fn a_tail_is_sent_only_to_whom_the_beginning_was_sent() {
        let all = || futures_util::stream::iter([Ok(Bytes::from("abc")), Ok(Bytes::from("def"))]);
        let name = ticket("watched");
        let first = turn_from(&name, 3);
        assert_eq!(first.start, 0);
        let mut begun = Box::pin(watched(all(), name.clone(), &first));
        assert!(begun.next().await.is_some());
        drop(begun);
        assert_eq!(turn_from(&name, 4).start, 0);
        for _ in 0..MOST_TAILS {
            let turn = turn_from(&name, 3);
            assert_eq!(turn.start, 3);
            drop(watched(all(), name.clone(), &turn));
        }
        assert_eq!(turn_from(&name, 3).start, 0);
    }
}
