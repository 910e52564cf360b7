//! What the fuzz target of request framing does with its input.

use http_framing::Framing;

/// A target: its name, which is that of the folder of its corpus as well, and what it does.
type Body = (&'static str, fn(&[u8]));

/// The targets.
pub const BODIES: &[Body] = &[("framing", framing)];

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
