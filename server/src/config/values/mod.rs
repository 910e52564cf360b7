//! Reading the text of a value. Each function returns the value, or says what is wrong and what is right.
//!
//! [`super::keys`] says which key takes which value.

mod files;
mod names;
mod network;
mod units;

use std::str::FromStr;

pub use files::{group, mode, path, resolve};
pub use names::{cache_name, log_filter, name, public_key, text};
pub use network::{
    BUCKET_PARAMETERS, host, http_url, ip_network, ipv4, node_url, server_url, socket_address, upstream,
    upstream_url,
};
pub use units::{duration, interval, positive_duration, size};

use super::keys::{Kind, nearest};
use super::wrong::{Wrong, shown};

/// An enum whose variants are words in the file.
pub trait Word: Sized + Copy + 'static {
    /// Every value, in the order that messages list them.
    const ALL: &'static [Self];

    /// The words for them, in the same order.
    const WORDS: &'static [&'static str];

    /// The word for it.
    fn word(self) -> &'static str;
}

/// One of the words of an enum.
pub fn word<T: Word>(text: &str) -> Result<T, Wrong> {
    let found = T::ALL.iter().find(|value| value.word() == text);
    found.copied().ok_or_else(|| {
        let wrong = Wrong::new(text, Kind::Words(T::WORDS).expected());
        match nearest(text, T::WORDS.iter().copied()) {
            Some(meant) => wrong.suggest(format!("did you mean `{meant}`?")),
            None => wrong,
        }
    })
}

/// True or false, also in the words of YAML 1.1, which the original system read.
pub fn truth(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(Wrong::new(text, Kind::Bool.expected())),
    }
}

/// A TCP or UDP port.
pub fn port(text: &str) -> Result<u16, Wrong> {
    number(text, 1, u16::MAX, Kind::Port)
}

/// A number of days.
pub fn days(text: &str) -> Result<u32, Wrong> {
    number(text, 1, u32::MAX, Kind::Days)
}

/// A number of things, at least one.
pub fn count(text: &str) -> Result<u32, Wrong> {
    number(text, 1, u32::MAX, Kind::Count)
}

/// The priority of a cache.
pub fn priority(text: &str) -> Result<u32, Wrong> {
    number(text, 0, u32::MAX, Kind::Priority)
}

/// The share of a storage.
pub fn percentage(text: &str) -> Result<u8, Wrong> {
    number(text, 1, 100, Kind::Percentage)
}

/// The tier of a storage.
pub fn tier(text: &str) -> Result<u8, Wrong> {
    number(text, 0, 9, Kind::Tier)
}

fn number<T: FromStr + PartialOrd>(text: &str, least: T, most: T, kind: Kind) -> Result<T, Wrong> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        let message = format!("{} is not a whole number", shown(text));
        return Err(Wrong::because(message, kind.expected()));
    }
    match text.parse() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(Wrong::because(format!("{} is out of range", shown(text)), kind.expected())),
    }
}
