use nix_formats::StorePathHash;
use proptest::prelude::*;

use super::*;

const A: &str = "00000000000000000000000000000000";
const B: &str = "zz0123456789abcdfghijklmnpqrsvwx";

/// Reads `body` in pieces of `size` bytes, with room for `room` hashes at a time.
fn read(body: &[u8], size: usize, room: usize) -> Result<Vec<StorePathHash>, String> {
    let mut reader = HashListReader::new(1000);
    let mut all = Vec::new();
    let mut hashes = Vec::with_capacity(room);
    let mut read = || {
        for mut piece in body.chunks(size) {
            while !piece.is_empty() {
                reader.read(&mut piece, &mut hashes)?;
                if hashes.len() == hashes.capacity() {
                    all.append(&mut hashes);
                }
            }
        }
        all.append(&mut hashes);
        reader.finish()
    };
    read().map_err(|error: HttpError| format!("{error:?}"))?;
    Ok(all)
}

fn hashes(texts: &[&str]) -> Vec<StorePathHash> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn every_spelling_of_a_list_of_hashes_is_read_in_pieces_of_any_size() {
    let escaped = A.replacen('0', "\\u0030", 3);
    let lists = [
        ("[]".to_owned(), hashes(&[])),
        (" \t\r\n[ \n ] \n".to_owned(), hashes(&[])),
        (format!("[\"{A}\"]"), hashes(&[A])),
        (format!("[\"{A}\",\"{B}\"]"), hashes(&[A, B])),
        (format!("\n[\n  \"{A}\" ,\r\n\t\"{B}\"\n]\n"), hashes(&[A, B])),
        (format!("[\"{escaped}\", \"{B}\", \"{B}\"]"), hashes(&[A, B, B])),
    ];
    for (body, expected) in lists {
        for size in [1, 2, 3, 7, 1000] {
            for room in [1, 2, 10] {
                assert_eq!(read(body.as_bytes(), size, room), Ok(expected.clone()), "{body:?}");
            }
        }
    }
}

#[test]
fn everything_else_is_refused_with_its_position_or_its_text() {
    let bodies: [(&[u8], &str); 19] = [
        (b"", "ends too early (byte 0"),
        (b"[", "ends too early (byte 1"),
        (b"[\"abc", "ends too early (byte 5"),
        (b"{}", "expected `[`, found `{` (byte 1"),
        (b"null", "expected `[`, found `n`"),
        (b"[1]", "expected a string or `]`, found `1` (byte 2"),
        (b"[null]", "found `n`"),
        (b"[[]]", "found `[` (byte 2"),
        (b"[,]", "found `,`"),
        (b"[]]", "expected nothing more, found `]` (byte 3"),
        (b"[\"short\"]", "`short` is not a store path hash"),
        (b"[\"\"]", "`` is not a store path hash"),
        (b"[\"a\\nb\"]", "`a\\\\nb` is not a store path hash"),
        (b"[\"a\nb\"]", "expected no control character, found `\\\\n` (byte 4"),
        (b"[\"\\x\"]", "expected an escape of JSON, found `x`"),
        (b"[\"\\u00g0\"]", "expected a hexadecimal digit, found `g`"),
        (b"[\"\\ud83d\\ude00\"]", "`\\\\ud83d` cannot be part of a store path hash"),
        (b"[\"\xff\xfe\"]", "is not a store path hash"),
        (b"\xef\xbb\xbf[]", "found `\\\\xef` (byte 1"),
    ];
    for (body, expected) in bodies {
        let error = read(body, 1000, 10).unwrap_err();
        assert!(error.contains(expected), "{error} for {body:?}");
        assert_eq!(read(body, 1, 1).unwrap_err(), error);
    }
    for body in
        [format!("[\"{A}\"\"{B}\"]"), format!("[\"{A}\",]"), format!("[\"{A}0\"]"), "[\"x".repeat(500)]
    {
        read(body.as_bytes(), 1000, 10).unwrap_err();
    }
}

#[test]
fn a_list_has_an_end() {
    let body = format!("[{}]", vec![format!("\"{A}\""); 1001].join(","));
    assert!(read(body.as_bytes(), 1000, 10).unwrap_err().contains("more than 1000 hashes"));
}

proptest! {
    #[test]
    fn it_accepts_what_a_json_parser_accepts(body in r#"[\[\]",\\ u0a-z/]{0,12}"#) {
        let by_serde: Option<Vec<StorePathHash>> = serde_json::from_str::<Vec<String>>(&body)
            .ok()
            .and_then(|texts| texts.iter().map(|text| text.parse().ok()).collect());
        prop_assert_eq!(read(body.as_bytes(), 3, 2).ok(), by_serde);
    }

    #[test]
    fn it_reads_back_what_a_json_writer_wrote(bytes in prop::collection::vec(any::<[u8; 20]>(), 0..50)) {
        let list: Vec<StorePathHash> = bytes.into_iter().map(StorePathHash::from_bytes).collect();
        let body = serde_json::to_vec_pretty(&list).unwrap();
        prop_assert_eq!(read(&body, 17, 4), Ok(list));
    }
}
