//! What an entry may be called; the same for reader and writer.

/// What is wrong with an entry's name.
pub(super) enum NameFault {
    /// No filesystem could hold it, or it would lead elsewhere.
    Invalid,
    /// It does not sort after the name before it.
    Order,
}

/// Checks a name against the one before it in the directory; empty if there is none.
pub(super) fn check(name: &[u8], previous: &[u8]) -> Result<(), NameFault> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0) {
        return Err(NameFault::Invalid);
    }
    if name <= previous {
        return Err(NameFault::Order);
    }
    Ok(())
}

/// Whether a symbolic link can point to `target`.
pub(super) fn is_valid_target(target: &[u8]) -> bool {
    !target.is_empty() && !target.contains(&0)
}
