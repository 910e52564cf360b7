use super::*;

const PATH_OF: &str = "/0c5b8vw40dy178xlpddw65q9gf1h2186.narinfo";

fn parsed(text: &str) -> Parsed<'_> {
    parse(text.as_bytes(), "reserved")
}

#[track_caller]
fn check_plain(headers: &str, host: Option<&str>, authorization: Option<&str>) {
    for method in ["GET", "HEAD"] {
        let text = format!("{method} {PATH_OF} HTTP/1.1\r\n{headers}\r\n");
        let plain = Plain { is_head: method == "HEAD", path: PATH_OF, host, authorization };
        let expected = Parsed::Plain(plain, text.len());
        assert_eq!(parsed(&text), expected);
        // Whatever follows is not looked at.
        assert_eq!(parsed(&format!("{text}\n\0")), expected);
        for length in 0..text.len() {
            assert_eq!(parsed(&text[..length]), Parsed::Incomplete, "{:?}", &text[..length]);
        }
    }
}

#[test]
fn plain_requests_are_understood() {
    check_plain("", None, None);
    check_plain("Host: a.example:5000\r\n", Some("a.example:5000"), None);
    check_plain(
        "host:a\r\nUser-Agent: curl/8.17.0 Nix/2.34.1\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip, br, zstd\r\n\
         AUTHORIZATION: \t Basic YTpi \r\nConnection: Keep-Alive\r\nX-Empty:\r\n",
        Some("a"),
        Some("Basic YTpi"),
    );
}

#[test]
fn everything_else_is_left_to_the_parser() {
    for line in [
        "POST / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET /?a HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET a HTTP/1.1",
        "GET /%41 HTTP/1.1",
    ] {
        assert_eq!(parsed(&format!("{line}\r\nHost: a\r\n\r\n")), Parsed::Other, "{line}");
    }
    for header in [
        "Connection: close",
        "Connection: keep-alive, upgrade",
        "Content-Length: 0",
        "transfer-encoding: chunked",
        "Expect: 100-continue",
        "Upgrade: websocket",
        "Range: bytes=0-1",
        "If-None-Match: *",
        "if-range: x",
        "Reserved: x",
        "Host: b",
        "Host:",
        "Authorization:",
        " folded",
        "a b: c",
        "no colon",
        "a : b",
        "a: b\n",
        "a: \u{e9}",
        "a: \u{7f}",
        "a: \0",
        ": a",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
        assert_eq!(parsed(&text), Parsed::Other, "{header}");
    }
    assert_eq!(parsed("\r\nGET / HTTP/1.1\r\n\r\n"), Parsed::Other);
    assert_eq!(parsed("GET / HTTP/1.1\nHost: a\r\n\r\n"), Parsed::Other);
    assert_eq!(
        parsed(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1))),
        Parsed::Other
    );
}

#[test]
fn a_long_head_is_not_plain() {
    let start = "GET / HTTP/1.1\r\na: ";
    let filled = |length: usize| format!("{start}{}", "x".repeat(length - start.len()));
    assert_eq!(parsed(&filled(LONGEST - 1)), Parsed::Incomplete);
    assert_eq!(parsed(&filled(LONGEST)), Parsed::Other);
    let fitting = format!("{}\r\n\r\n", filled(LONGEST - 4));
    assert!(matches!(parsed(&fitting), Parsed::Plain(_, LONGEST)));
    assert_eq!(parsed(&format!("{}\r\n\r\n", filled(LONGEST - 3))), Parsed::Other);
}
