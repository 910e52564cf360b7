//! What the fuzz targets of request framing do with their input.

use http_framing::Framing;
use http_framing::plain::{self, Parsed};

/// A target: its name, which is that of the folder of its corpus as well, and what it does.
type Body = (&'static str, fn(&[u8]));

/// The targets.
pub const BODIES: &[Body] = &[("framing", framing), ("plain", plain)];

/// Follows the bytes in pieces of this size: how many heads were fine, and whether one was spoiled.
fn followed(data: &[u8], piece: usize) -> (u64, bool) {
    let mut framing = Framing::default();
    let mut bytes = data.to_vec();
    let is_fine = bytes.chunks_mut(piece).all(|piece| framing.check(piece));
    let changed: Vec<(&u8, &u8)> = bytes.iter().zip(data).filter(|(now, before)| now != before).collect();
    match changed[..] {
        [] => assert!(is_fine),
        // Only the end of a line becomes something that no parser takes.
        [(0, b'\n')] => assert!(!is_fine),
        _ => panic!("{changed:?} were changed"),
    }
    (framing.heads(), is_fine)
}

/// However the bytes of a connection arrive, they are understood in one way.
pub fn framing(data: &[u8]) {
    let whole = followed(data, data.len().max(1));
    for piece in [1, 3, 16] {
        assert_eq!(followed(data, piece), whole);
    }
    // Nothing is understood as more than one head for each of its line ends.
    assert!(whole.0 <= data.iter().filter(|byte| **byte == b'\n').count() as u64);
}

/// What is taken for a plain request is the same request for a real parser, and ends where the framing says.
pub fn plain(data: &[u8]) {
    let Parsed::Plain(plain, length) = plain::parse(data, "reserved") else { return };
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(request.parse(data), Ok(httparse::Status::Complete(length)));
    assert_eq!(request.method, Some(if plain.is_head { "HEAD" } else { "GET" }));
    assert_eq!((request.path, request.version), (Some(plain.path), Some(1)));
    let all = |name: &str| -> Vec<&[u8]> {
        let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    for (name, found) in [("host", plain.host), ("authorization", plain.authorization)] {
        assert_eq!(all(name), found.map(str::as_bytes).into_iter().collect::<Vec<_>>());
    }
    for name in
        ["content-length", "transfer-encoding", "range", "if-none-match", "upgrade", "expect", "reserved"]
    {
        assert!(all(name).is_empty(), "{name}");
    }
    for value in all("connection") {
        assert!(value.eq_ignore_ascii_case(b"keep-alive"));
    }
    let (mut framing, mut bytes) = (Framing::default(), data.to_vec());
    assert_eq!(framing.check_one(&mut bytes), length);
    assert!(framing.is_between_requests() && bytes == data);
    // However much of it has come, it is never taken for anything else.
    for end in 0..length {
        assert_eq!(plain::parse(&data[..end], "reserved"), Parsed::Incomplete);
    }
}
