use proptest::prelude::*;

use super::*;

fn check(len: u64) -> Vec<Range<u64>> {
    let parts: Vec<_> = parts(len).collect();
    assert!((1..=10_000).contains(&parts.len()), "{} parts", parts.len());
    assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, len));
    for pair in parts.windows(2) {
        assert_eq!(pair[0].end, pair[1].start);
        assert_eq!(pair[0].end - pair[0].start, parts[0].end);
    }
    if parts.len() > 1 {
        assert!(parts[0].end >= PART);
        assert!(!parts[parts.len() - 1].is_empty());
    }
    parts
}

#[test]
fn parts_stay_small_until_there_would_be_too_many() {
    assert_eq!(check(0).len(), 1);
    assert_eq!(check(PART).len(), 1);
    assert_eq!(check(PART + 1), [0..PART, PART..PART + 1]);
    assert_eq!(check(PART * 10_000).len(), 10_000);
    assert_eq!(check(PART * 10_000 + 1)[0].end, PART + (1 << 20));
    // The largest object that AWS takes.
    assert!(check(5 << 40)[0].end <= 5 << 30);
}

proptest! {
    #[test]
    fn parts_cover_a_file_without_a_gap(len in 0_u64..6 << 40) {
        check(len);
    }
}
