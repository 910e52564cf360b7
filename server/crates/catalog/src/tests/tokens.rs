use uuid::Uuid;

use super::support::Backend;
use crate::{DeclaredCache, Forgotten, TokenCaches, TokenPermission, TokenRecord, TokenScope, UnixTime};

fn token(number: u128) -> TokenRecord {
    TokenRecord {
        id: Uuid::from_u128(number),
        subject: "ci".to_owned(),
        scope: TokenScope::Caches { caches: TokenCaches::All, permission: TokenPermission::Write },
        created_at: UnixTime(100),
        expires_at: None,
        revoked_at: None,
        daily_limit: None,
    }
}

pub(super) async fn issued_tokens_are_listed_as_they_were(backend: Backend) {
    let catalog = backend.open().await;
    let caches = ["main", "\"odd\""].map(str::to_owned).to_vec();
    let issued = [
        token(1),
        TokenRecord {
            scope: TokenScope::Caches {
                caches: TokenCaches::Only(caches),
                permission: TokenPermission::Read,
            },
            expires_at: Some(UnixTime(500)),
            ..token(2)
        },
        TokenRecord {
            scope: TokenScope::Caches {
                caches: TokenCaches::Only(vec![]),
                permission: TokenPermission::Admin,
            },
            ..token(3)
        },
        TokenRecord { scope: TokenScope::Agent("web \"1\"".to_owned()), ..token(4) },
        TokenRecord { scope: TokenScope::Activate("production".to_owned()), ..token(5) },
    ];
    for token in &issued {
        catalog.insert_token(token.clone()).await.unwrap();
    }
    assert_eq!(catalog.tokens().await.unwrap(), issued);
}

pub(super) async fn a_token_is_revoked_once(backend: Backend) {
    let catalog = backend.open().await;
    catalog.insert_token(token(1)).await.unwrap();
    catalog.insert_token(token(2)).await.unwrap();
    assert!(catalog.revoke_token(token(1).id).await.unwrap());
    let tokens = catalog.tokens().await.unwrap();
    assert!(tokens[0].revoked_at.is_some());
    assert_eq!(tokens[1], token(2));
    assert!(!catalog.revoke_token(token(1).id).await.unwrap());
    assert!(!catalog.revoke_token(token(9).id).await.unwrap());
    assert_eq!(catalog.tokens().await.unwrap(), tokens);
}

pub(super) async fn an_id_is_issued_once(backend: Backend) {
    let catalog = backend.open().await;
    catalog.insert_token(token(1)).await.unwrap();
    let again = TokenRecord { subject: "someone else".to_owned(), ..token(1) };
    catalog.insert_token(again).await.unwrap_err();
    assert_eq!(catalog.tokens().await.unwrap(), [token(1)]);
}

pub(super) async fn a_token_is_not_for_a_later_cache_of_the_same_name(backend: Backend) {
    let catalog = backend.open().await;
    let declare = |name: &str, enabled| DeclaredCache { name: name.to_owned(), public: true, enabled };
    let cache = catalog.reconcile_caches(&[declare("gone", true)]).await.unwrap()[0].id;
    let only = |names: &[&str]| TokenScope::Caches {
        caches: TokenCaches::Only(names.iter().map(|&name| name.to_owned()).collect()),
        permission: TokenPermission::Write,
    };
    let both = TokenRecord { scope: only(&["gone", "main"]), ..token(1) };
    let alone = TokenRecord { scope: only(&["gone"]), ..token(2) };
    let other = TokenRecord { scope: only(&["main"]), ..token(3) };
    let agent = TokenRecord { scope: TokenScope::Agent("gone".to_owned()), ..token(4) };
    for token in [&both, &alone, &other, &agent] {
        catalog.insert_token(token.clone()).await.unwrap();
    }
    catalog.reconcile_caches(&[declare("gone", false)]).await.unwrap();
    while catalog.forget_cache(cache, 10).await.unwrap() != Forgotten::Cache {}

    let tokens = catalog.tokens().await.unwrap();
    assert_eq!(tokens[0], TokenRecord { scope: only(&["main"]), ..both });
    assert_eq!(tokens[1].scope, alone.scope);
    assert!(tokens[1].revoked_at.is_some());
    assert_eq!(tokens[2..], [other, agent]);
}
