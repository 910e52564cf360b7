//! Headers in a file, a line each.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RANGE, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Headers that belong to the connection or to us.
const OURS: [HeaderName; 9] =
    [ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Reads lines `Name: value`. Empty lines and those that begin with `#` are skipped.
///
/// # Errors
///
/// The number of the line that is not a header, or not one that may be set. Never its text.
pub fn parse(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (index, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let Some((name, mut value)) = header else {
            return Err(format!("line {number} is not `Name: value`"));
        };
        if OURS.contains(&name) {
            return Err(format!("line {number} sets `{name}`, which belongs to the connection"));
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_line_by_line() {
        let headers = parse("# for the gateway\nX-Key: a b\n\nx-key:c\nCF-Access: d: e\n").unwrap();
        assert_eq!(headers.get_all("x-key").iter().collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(headers["cf-access"], "d: e");
        assert!(headers.values().all(HeaderValue::is_sensitive));
    }

    #[test]
    fn a_line_that_is_none_is_named_without_its_text() {
        for (text, message) in [
            ("a: b\nhunter2", "line 2 is not `Name: value`"),
            ("hun ter2: x", "line 1 is not `Name: value`"),
            ("Host: hunter2", "line 1 sets `host`, which belongs to the connection"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
    }
}
