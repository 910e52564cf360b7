use admin_api::Unit;

use crate::output::{age, count, size};

/// The longest remaining time that is shown.
const LONGEST_WAIT_SECONDS: f64 = 365.0 * 86_400.0;

/// The progress of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The finished amount.
    pub done: u64,
    /// The whole amount, as far as is known.
    pub total: Option<u64>,
    /// What the amounts count.
    pub unit: Unit,
}

impl Figures {
    /// Renders the progress: `12.3 GiB of 43.0 GiB (28 %)`.
    pub fn text(&self) -> String {
        let done = self.amount(self.done);
        match self.total {
            Some(total) => {
                let whole = self.amount(total);
                // An empty whole is complete, and only the whole is 100 %.
                let percent = (self.done.min(total) as u128 * 100).checked_div(total.into()).unwrap_or(100);
                format!("{done} of {whole}{} ({percent} %)", self.noun())
            }
            None => format!("{done}{}", self.noun()),
        }
    }

    /// Renders the progress with the speed, in units per second, and the time that remains at that speed.
    pub fn text_at(&self, rate: f64) -> String {
        let mut text = self.text();
        // A job that is stalled or has just started has no speed.
        if rate < 0.1 || !rate.is_finite() {
            return text;
        }
        text.push_str(&match self.unit {
            Unit::Bytes => format!(", {}/s", size(rate as u64)),
            _ if rate < 10.0 => format!(", {rate:.1}{}/s", self.noun()),
            _ => format!(", {}{}/s", count(rate as u64), self.noun()),
        });
        if let Some(total) = self.total {
            let seconds = total.saturating_sub(self.done) as f64 / rate;
            if (1.0..LONGEST_WAIT_SECONDS).contains(&seconds) {
                text.push_str(&format!(", {} left", age(seconds as u64)));
            }
        }
        text
    }

    fn amount(&self, number: u64) -> String {
        if self.unit == Unit::Bytes { size(number) } else { count(number) }
    }

    /// The noun after a number. A size already has a unit.
    fn noun(&self) -> &'static str {
        match self.unit {
            Unit::Files => " files",
            Unit::Paths => " paths",
            Unit::Bytes | Unit::Unknown => "",
        }
    }
}
