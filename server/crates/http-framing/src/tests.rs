#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// What becomes of these bytes: how many heads were fine, and whether one was spoiled.
fn followed(text: &[u8], split: usize) -> (u64, bool) {
    let mut framing = Framing::default();
    let mut bytes = text.to_vec();
    let mut is_fine = true;
    for piece in bytes.chunks_mut(split) {
        is_fine &= framing.check(piece);
        if !is_fine {
            break;
        }
    }
    // One byte was changed at most, and only if that was said.
    let changed = bytes.iter().zip(text).filter(|(now, before)| now != before).count();
    assert_eq!(changed, usize::from(!is_fine));
    (framing.heads(), is_fine)
}

#[track_caller]
fn check(text: &str, expected: (u64, bool)) {
    for split in [1, 2, 3, 7, 64, 10_000] {
        assert_eq!(followed(text.as_bytes(), split), expected, "in pieces of {split}: {text:?}");
    }
}

#[test]
fn requests_are_followed_from_one_to_the_next() {
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let posted = "POST / HTTP/1.1\r\nhost: a\r\ncontent-LENGTH:  5 \r\n\r\na\nb\n\n";
    let chunked = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\n\n\r\n\r\n1f \r\n0123456789012345678901234567890\r\n0\r\nx: y\r\n\r\n";
    check(plain, (1, true));
    check(&format!("\r\n\r\n{plain}{posted}{chunked}{posted}{plain}"), (5, true));
    // A value may be as long as it likes.
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\nHost: a\r\n\r\n", "content-length: 5".repeat(40));
    check(&format!("{long}{plain}"), (2, true));
}

#[test]
fn what_two_servers_may_understand_differently_is_spoiled() {
    let after = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for doubtful in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nX: y\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: x\r\n\r\n",
    ] {
        check(&format!("{doubtful}{after}"), (0, false));
        check(&format!("{after}{doubtful}"), (1, false));
    }
    let hidden = format!("GET / HTTP/1.1\r\nx: {}\nHost: a\r\n\r\n", "y".repeat(500));
    check(&hidden, (0, false));
}

#[test]
fn what_every_parser_refuses_is_left_to_it() {
    check("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n\n\n", (1, true));
    check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\n\n", (1, true));
    check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\n", (1, true));
}

/// The bytes of each request, as [`Framing::check_one`] finds them in pieces of this size.
fn requests(text: &str, split: usize) -> Vec<String> {
    let (mut framing, mut bytes) = (Framing::default(), text.as_bytes().to_vec());
    let (mut requests, mut current) = (Vec::new(), Vec::new());
    for piece in bytes.chunks_mut(split) {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = framing.check_one(rest);
            assert!(taken > 0);
            let (request, others) = rest.split_at_mut(taken);
            current.extend_from_slice(request);
            rest = others;
            if framing.is_between_requests() {
                requests.push(String::from_utf8(std::mem::take(&mut current)).unwrap());
            }
        }
    }
    assert!(current.is_empty());
    requests
}

#[test]
fn requests_are_told_apart() {
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let posted = "POST / HTTP/1.1\r\nhost: a\r\ncontent-LENGTH:  5 \r\n\r\na\nb\n\n";
    let chunked = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\n\r\n\r\n0\r\n\r\n";
    let texts = [plain, posted, chunked, posted, plain, plain];
    for split in [1, 2, 3, 7, 64, 10_000] {
        assert_eq!(requests(&texts.concat(), split), texts);
    }
}

#[test]
fn nothing_is_looked_at_after_an_upgrade() {
    let mut framing = Framing::default();
    framing.stop();
    let mut frame = *b"\x81\x05a\nb\n\n";
    assert!(framing.check(&mut frame));
    assert_eq!(&frame, b"\x81\x05a\nb\n\n");
}

proptest! {
    /// However the bytes arrive, the same is found; also in bytes that are no HTTP at all.
    #[test]
    fn pieces_make_no_difference(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "GET / HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked", "Host: a", "\r\n", "\n", "\r", "\r\n\r\n",
                "3\r\nabc\r\n", "0\r\n\r\n", "abc", ":", " ", ";", "content-length", "\0",
            ]),
            0..24,
        ),
        split in 1_usize..9,
    ) {
        let text = parts.concat();
        prop_assert_eq!(followed(text.as_bytes(), split), followed(text.as_bytes(), text.len().max(1)));
    }
}
