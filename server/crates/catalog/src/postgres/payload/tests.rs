#![allow(clippy::unwrap_used)]

use nix_formats::StorePathHash;
use proptest::prelude::*;
use uuid::Uuid;

use super::{read, write};
use crate::{AgentId, CacheId, CatalogChange, PathChange};

fn change() -> impl Strategy<Value = CatalogChange> {
    let kind = prop_oneof![
        Just(PathChange::Inserted),
        Just(PathChange::Updated),
        Just(PathChange::Hidden),
        Just(PathChange::Removed),
    ];
    let cache = prop_oneof![1..4_i64, Just(i64::MAX), Just(i64::MIN)].prop_map(CacheId);
    prop_oneof![
        20 => (cache.clone(), any::<[u8; 20]>(), kind).prop_map(|(cache, path, change)| {
            CatalogChange::Path { cache, path: StorePathHash::from_bytes(path), change }
        }),
        2 => cache.prop_map(|cache| CatalogChange::SigningKeys { cache }),
        1 => Just(CatalogChange::Tokens),
        1 => any::<u128>().prop_map(|id| CatalogChange::Deployments { agent: AgentId(Uuid::from_u128(id)) }),
        1 => Just(CatalogChange::Resync),
    ]
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(changes in prop::collection::vec(change(), 0..1000)) {
        let payloads = write(&changes);
        let heard: Vec<_> = payloads.iter().flat_map(|payload| read(payload)).collect();
        prop_assert_eq!(heard, changes);
        for payload in &payloads {
            prop_assert!(payload.len() < 8000, "{}", payload.len());
        }
        let mut different = payloads.clone();
        different.sort();
        different.dedup();
        prop_assert_eq!(different.len(), payloads.len());
    }

    #[test]
    fn anything_can_be_read(payload in ".*") {
        read(&payload);
    }
}

#[test]
fn a_payload_that_is_not_understood_means_to_load_everything_again() {
    let hash = "0".repeat(32);
    for payload in [
        "0 x",
        "0 c",
        "0 cx",
        "0 c1 +",
        "0 c1 +xyz",
        &format!("0 +{hash}"),
        &format!("0 c1 ?{hash}"),
        "0 k",
        "0  t",
        "0 d",
        "0 dx",
    ] {
        assert_eq!(read(payload), [CatalogChange::Resync], "{payload}");
    }
}

#[test]
fn hundreds_of_changes_fit_into_one_payload() {
    let path = StorePathHash::from_bytes([7; 20]);
    let change = CatalogChange::Path { cache: CacheId(1), path, change: PathChange::Inserted };
    assert_eq!(write(&vec![change; 220]).len(), 1);
    assert!(write(&[]).is_empty());
}
