use admin_api::Unit;

use crate::output::{age, count, size};

/// A longer wait than this is no forecast.
const LONGEST_WAIT_SECONDS: f64 = 365.0 * 86_400.0;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// So much is done.
    pub done: u64,
    /// So much is there to do, as far as is known.
    pub total: Option<u64>,
    /// What both count.
    pub unit: Unit,
}

impl Figures {
    /// As a person reads it: `12.3 GiB of 43.0 GiB (28 %)`.
    pub fn text(&self) -> String {
        let done = self.amount(self.done);
        match self.total {
            Some(total) => {
                let whole = self.amount(total);
                // Of nothing, everything is done; and 100 % is said only of the whole.
                let percent = (self.done.min(total) as u128 * 100).checked_div(total.into()).unwrap_or(100);
                format!("{done} of {whole}{} ({percent} %)", self.noun())
            }
            None => format!("{done}{}", self.noun()),
        }
    }

    /// The same with the speed, in units per second, and the time that is left if it stays like that.
    pub fn text_at(&self, rate: f64) -> String {
        let mut text = self.text();
        // A job that stands still, or has only just begun, has no speed.
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

    /// What stands behind a number; a size has its unit already.
    fn noun(&self) -> &'static str {
        match self.unit {
            Unit::Files => " files",
            Unit::Paths => " paths",
            Unit::Bytes | Unit::Unknown => "",
        }
    }
}
