use std::collections::BTreeMap;

use uuid::Uuid;

use super::support::Backend;
use crate::{SessionRecord, TokenPermission, UnixTime};

fn session(number: u128, ends: i64) -> SessionRecord {
    SessionRecord {
        id: Uuid::from_u128(number),
        provider: Some("github".to_owned()),
        subject: "repo:acme/web:ref:refs/heads/main".to_owned(),
        claims: BTreeMap::from([("repository".to_owned(), vec!["acme/web".to_owned()])]),
        caches: vec!["main".to_owned()],
        permission: TokenPermission::Write,
        created_at: UnixTime(100),
        expires_at: UnixTime(ends),
        revoked_at: None,
    }
}

pub(super) async fn a_session_begins_once(backend: Backend) {
    let catalog = backend.open().await;
    let first = session(1, 500);
    assert_eq!(catalog.begin_session(first.clone()).await.unwrap(), first);
    // Presenting the same token again does not make it last longer.
    let again = SessionRecord { created_at: UnixTime(200), ..session(1, 900) };
    assert_eq!(catalog.begin_session(again).await.unwrap(), first);
    let certificate = SessionRecord { provider: None, ..session(2, 600) };
    catalog.begin_session(certificate.clone()).await.unwrap();
    assert_eq!(catalog.sessions_after(UnixTime(0)).await.unwrap(), [first, certificate.clone()]);
    assert_eq!(catalog.sessions_after(UnixTime(500)).await.unwrap(), [certificate]);
}

pub(super) async fn a_session_is_revoked_and_forgotten(backend: Backend) {
    let catalog = backend.open().await;
    catalog.begin_session(session(1, 500)).await.unwrap();
    assert!(catalog.revoke_session(Uuid::from_u128(1)).await.unwrap());
    assert!(!catalog.revoke_session(Uuid::from_u128(1)).await.unwrap());
    assert!(!catalog.revoke_session(Uuid::from_u128(2)).await.unwrap());
    let again = catalog.begin_session(session(1, 500)).await.unwrap();
    assert!(again.revoked_at.is_some());
    assert_eq!(catalog.forget_sessions(UnixTime(500)).await.unwrap(), 0);
    assert_eq!(catalog.forget_sessions(UnixTime(501)).await.unwrap(), 1);
    assert_eq!(catalog.find_session(Uuid::from_u128(1)).await.unwrap(), None);
}
