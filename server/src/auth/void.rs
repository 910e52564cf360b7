//! Tokens that a change of the server key made void.

use catalog::{ServerKeyRecord, TokenRecord, UnixTime};

/// Returns how many of the tokens would be valid, had they not been made with another server key than the last one.
pub fn count_void_tokens(keys: &[ServerKeyRecord], tokens: &[TokenRecord]) -> usize {
    let Some(current) = keys.last() else { return 0 };
    let now = UnixTime::now();
    let in_use = |token: &&TokenRecord| {
        token.revoked_at.is_none() && token.expires_at.is_none_or(|expires_at| expires_at > now)
    };
    let is_void = |token: &&TokenRecord| {
        // Tokens that are older than the first record were made with the key that was recorded first.
        let made_with = keys.iter().rev().find(|key| key.since <= token.created_at).or(keys.first());
        made_with.is_some_and(|key| key.fingerprint != current.fingerprint)
    };
    tokens.iter().filter(in_use).filter(is_void).count()
}

#[cfg(test)]
mod tests {
    use catalog::{TokenCaches, TokenPermission, TokenScope};
    use uuid::Uuid;

    use super::*;

    fn key(id: i64, fingerprint: &str) -> ServerKeyRecord {
        ServerKeyRecord { id, fingerprint: fingerprint.to_owned(), since: UnixTime(id * 100) }
    }

    fn token(created_at: i64) -> TokenRecord {
        TokenRecord {
            id: Uuid::new_v4(),
            subject: "somebody".to_owned(),
            scope: TokenScope::Caches { caches: TokenCaches::All, permission: TokenPermission::Read },
            created_at: UnixTime(created_at),
            expires_at: None,
            revoked_at: None,
            daily_limit: None,
        }
    }

    #[test]
    fn tokens_of_an_earlier_key_are_void_until_it_is_back() {
        let tokens = [50, 150, 250].map(token);
        let (first, second, third) = (key(1, "a"), key(2, "b"), key(3, "a"));
        assert_eq!(count_void_tokens(&[], &tokens), 0);
        assert_eq!(count_void_tokens(std::slice::from_ref(&first), &tokens), 0);
        assert_eq!(count_void_tokens(&[first.clone(), second.clone()], &tokens), 2);
        assert_eq!(count_void_tokens(&[first, second, third], &tokens), 1);
    }

    #[test]
    fn revoked_and_expired_tokens_do_not_count() {
        let revoked = TokenRecord { revoked_at: Some(UnixTime(160)), ..token(150) };
        let expired = TokenRecord { expires_at: Some(UnixTime(160)), ..token(150) };
        assert_eq!(count_void_tokens(&[key(1, "a"), key(2, "b")], &[revoked, expired]), 0);
    }
}
