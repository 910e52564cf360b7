//! The kinds of values that keys take, each with what it expects.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nix_formats::PublicKey;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::keys::nearest;
use super::section::{Wrong, quoted, shown};
use super::{CacheName, Name, Upstream};

/// An enum whose variants are words in the file.
pub trait Word: Sized + Copy + 'static {
    /// Every value, in the order that messages list them.
    const ALL: &'static [Self];

    /// The word for it.
    fn word(self) -> &'static str;
}

/// One of the words of an enum.
pub fn word<T: Word>(text: &str) -> Result<T, Wrong> {
    let found = T::ALL.iter().find(|value| value.word() == text);
    found.copied().ok_or_else(|| {
        let words: Vec<_> = T::ALL.iter().map(|value| value.word()).collect();
        let wrong = Wrong::new(text, quoted(&words));
        match nearest(text, words.into_iter()) {
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
        _ => Err(Wrong::new(text, "`true` or `false`")),
    }
}

/// A TCP or UDP port.
pub fn port(text: &str) -> Result<u16, Wrong> {
    number(text, 1, u16::MAX, "a port from 1 to 65535")
}

/// A number of days.
pub fn days(text: &str) -> Result<u32, Wrong> {
    number(text, 1, u32::MAX, "a number of days, at least 1")
}

/// A number of things of which there has to be one.
pub fn count(text: &str) -> Result<u32, Wrong> {
    number(text, 1, u32::MAX, "a number, at least 1")
}

/// The priority of a cache.
pub fn priority(text: &str) -> Result<u32, Wrong> {
    number(text, 0, u32::MAX, "a number, where lower is asked first")
}

/// A share of a storage.
pub fn percentage(text: &str) -> Result<u8, Wrong> {
    number(text, 1, 100, "a percentage from 1 to 100")
}

fn number<T: FromStr + PartialOrd>(text: &str, least: T, most: T, expected: &str) -> Result<T, Wrong> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        let message = format!("{} is not a whole number", shown(text));
        return Err(Wrong::because(message, expected));
    }
    match text.parse() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(Wrong::because(format!("{} is out of range", shown(text)), expected)),
    }
}

/// Units of sizes with their bytes. As in GNU coreutils a bare letter is a power of 1024 and `B` behind it makes it a
/// power of 1000.
const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// A number of bytes.
pub fn size(text: &str) -> Result<u64, Wrong> {
    const EXPECTED: &str = "a size such as `500M`, `10 GiB` or a number of bytes";
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    let (false, Some((_, factor))) = (digits.is_empty(), factor) else {
        return Err(Wrong::new(text, EXPECTED));
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| Wrong::because(format!("{} is out of range", shown(text)), EXPECTED))
}

/// A number of bytes as [`size`] reads it, in the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let divides = |shift: &u32| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(|(_, shift)| divides(shift)) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A length of time.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    const EXPECTED: &str = "a time such as `30s`, `90min` or `2h`";
    humantime::parse_duration(text).map_err(|_| Wrong::new(text, EXPECTED))
}

/// A length of time that is not nothing.
pub fn positive_duration(text: &str) -> Result<Duration, Wrong> {
    match duration(text)? {
        Duration::ZERO => Err(Wrong::new(text, "a time longer than nothing, such as `24h`")),
        duration => Ok(duration),
    }
}

/// The pause between two rounds of something that need not be done at all.
pub fn interval(text: &str) -> Result<Option<Duration>, Wrong> {
    if matches!(text.to_ascii_lowercase().as_str(), "0" | "off" | "no" | "false") {
        return Ok(None);
    }
    match duration(text) {
        Ok(Duration::ZERO) => Ok(None),
        Ok(duration) => Ok(Some(duration)),
        Err(_) => Err(Wrong::new(text, "a time such as `12h`, or `off`")),
    }
}

/// Permission bits of a file, in octal digits.
pub fn mode(text: &str) -> Result<u32, Wrong> {
    const EXPECTED: &str = "permissions in octal digits, such as `\"0660\"`";
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
        Ok(_) if is_octal => Err(Wrong::because(format!("{} is out of range", shown(text)), EXPECTED)),
        _ => Err(Wrong::new(text, EXPECTED)),
    }
}

/// The name or number of a group.
pub fn group(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains([':', '/']) || text.contains(char::is_whitespace) {
        return Err(Wrong::new(text, "the name or number of a group"));
    }
    Ok(text.to_owned())
}

/// A text that is not empty.
pub fn text(text: &str) -> Result<String, Wrong> {
    match text.trim() {
        "" => Err(Wrong::because("is empty", "a text")),
        _ => Ok(text.to_owned()),
    }
}

/// A path, absolute or not.
pub fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() {
        return Err(Wrong::because("is empty", "a path"));
    }
    if text == "~" || text.starts_with("~/") {
        let wrong = Wrong::new(text, "a path");
        return Err(wrong.suggest("`~` is not expanded, write the home directory out"));
    }
    Ok(PathBuf::from(text))
}

/// `path` seen from `base`, without `.` and `..`. Symbolic links are not looked at.
pub fn resolve(base: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    resolved
}

/// An address or name to listen on or to connect to, without a port.
pub fn host(text: &str) -> Result<String, Wrong> {
    const EXPECTED: &str = "an IP address or a host name";
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let text = bare.unwrap_or(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(allowed)) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(text, EXPECTED);
    Err(match text.rsplit_once(':') {
        _ if text == "*" => wrong.suggest("every address is `0.0.0.0`, or `::` with IPv6"),
        _ if text.contains("://") => wrong.suggest("leave out the scheme"),
        Some((_, port)) if port.parse::<u16>().is_ok() => wrong.suggest("the port has its own key"),
        _ => wrong,
    })
}

/// The URL of an HTTP service.
pub fn http_url(text: &str) -> Result<Url, Wrong> {
    const EXPECTED: &str = "a URL such as `https://cache.example.org`";
    let refuse = |why: &str| Err(Wrong::because(why, EXPECTED));
    let Ok(url) = Url::parse(text) else {
        return Err(Wrong::new(text, EXPECTED));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("holds a user name or password, which has no place in a URL");
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Wrong::new(text, EXPECTED));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or fragment");
    }
    Ok(url)
}

/// A binary cache to ask: its URL, and behind it the keys that it signs with.
pub fn upstream(text: &str) -> Result<Upstream, Wrong> {
    let mut words = text.split_whitespace();
    let url = http_url(words.next().unwrap_or_default())?;
    let public_keys = words.map(public_key).collect::<Result<_, _>>()?;
    Ok(Upstream { url, public_keys })
}

/// An IPv4 address.
pub fn ipv4(text: &str) -> Result<Ipv4Addr, Wrong> {
    text.parse().map_err(|_| Wrong::new(text, "an IPv4 address, as the DHT speaks no IPv6"))
}

/// The URL of an HTTP server, without a path.
pub fn server_url(text: &str) -> Result<Url, Wrong> {
    let url = http_url(text)?;
    match url.path() {
        "/" => Ok(url),
        path => {
            let message = format!("has the path {}", shown(path));
            let expected = "scheme and host alone, because caches are reached as `NAME.HOST`";
            Err(Wrong::because(message, expected))
        }
    }
}

/// The URL by which one daemon reaches another.
pub fn node_url(text: &str) -> Result<Url, Wrong> {
    const EXPECTED: &str = "a URL such as `http://node-1.example.org:5000`";
    let url = http_url(text)?;
    if url.scheme() != "http" || url.path() != "/" {
        let message = "is not plain HTTP to a host and port, as daemons speak it among themselves";
        return Err(Wrong::because(message, EXPECTED));
    }
    Ok(url)
}

/// The name of a cache.
pub fn cache_name(text: &str) -> Result<CacheName, Wrong> {
    const EXPECTED: &str = "1 to 63 of `a-z`, `0-9` and `-`, as in a host name, because the cache is reached as \
                            `NAME.HOST`";
    text.parse().map_err(|error| {
        let wrong = Wrong::because(format!("{} {error}", shown(text)), EXPECTED);
        match CacheName::nearest(text) {
            Some(nearest) => wrong.suggest(format!("call it `{nearest}`")),
            None => wrong,
        }
    })
}

/// The name of something else.
pub fn name(text: &str) -> Result<Name, Wrong> {
    text.parse().map_err(|error| {
        let message = format!("{} {error}", shown(text));
        Wrong::because(message, "1 to 100 characters without slashes")
    })
}

/// A public key of Nix.
pub fn public_key(text: &str) -> Result<PublicKey, Wrong> {
    const EXPECTED: &str = "a public key such as \
                            `cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=`";
    // The text is not shown: who mixes keys up puts a secret one here.
    PublicKey::parse(text).map_err(|error| Wrong::because(error.to_string(), EXPECTED))
}

/// Directives that choose what is logged.
pub fn log_filter(text: &str) -> Result<String, Wrong> {
    const EXPECTED: &str = "a filter such as `info` or `info,cache_server=debug`";
    let parsed = EnvFilter::builder().parse(text);
    parsed.map_err(|error| Wrong::because(format!("{}: {error}", shown(text)), EXPECTED))?;
    Ok(text.to_owned())
}
