//! Ids that lead from what a client was told to the line of the log that says more.

/// Makes an id for a request that failed: 12 digits of the base 16, by chance.
pub fn request_id() -> String {
    let mut bytes = [0; 6];
    // Without randomness the line is found by its time.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        assert_ne!(request_id(), request_id());
        assert_eq!(request_id().len(), 12);
    }
}
