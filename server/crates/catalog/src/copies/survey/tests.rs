//! What is decided about a file, for storages 1 to 9. The fast ones are 1 and 2, and 8 and 9 are durable.

#![allow(clippy::unwrap_used)]

use nix_formats::{Compression, FileHash, NarHash};

use super::*;
use crate::UnixTime;
use crate::entity::values::Count;

fn survey(copies: u64) -> Survey {
    let all: Vec<StorageId> = (1..=9).map(StorageId).collect();
    Survey {
        cache: CacheId(1),
        copies,
        counted: all.clone(),
        durable: vec![StorageId(8), StorageId(9)],
        fast: vec![StorageId(1), StorageId(2)],
        written: 9,
        readable: all,
    }
}

fn home_on(storage: i64) -> nar::Model {
    nar::Model {
        id: NarId(1),
        cache: CacheId(1),
        storage: StorageId(storage),
        file_hash: FileHash::from_bytes([1; 32]).into(),
        compression: Compression::Zstd.into(),
        file_size: Count::new("a size", 1).unwrap().into(),
        nar_hash: NarHash::from_bytes([1; 32]).into(),
        nar_size: Count::new("a size", 1).unwrap().into(),
        damaged: false,
        created_at: UnixTime(0),
    }
}

/// Copies on these storages. Storage 0 stands for a copy that is wanted.
fn copies_on(storages: &[i64]) -> Vec<nar_copy::Model> {
    let home = home_on(0);
    let copy = |(number, storage): (usize, &i64)| nar_copy::Model {
        id: CopyId(number as i64),
        cache: CacheId(1),
        nar: Some(NarId(1)),
        storage: (*storage > 0).then_some(StorageId(*storage)),
        file_hash: (*home.file_hash).into(),
        compression: (*home.compression).into(),
        file_size: (*home.file_size).into(),
        state: (if *storage > 0 { CopyState::There } else { CopyState::Wanted }).into(),
        exposure: 1,
        claimed_at: None,
        checked_at: None,
    };
    storages.iter().enumerate().map(copy).collect()
}

/// How many copies are wanted besides, and from which storages copies are removed.
fn verdict(copies: u64, home: i64, others: &[i64]) -> (i64, Vec<i64>) {
    let verdict = survey(copies).judge(&home_on(home), &copies_on(others));
    let mut leaving: Vec<i64> = verdict.leaving.iter().map(|copy| others[copy.0 as usize]).collect();
    leaving.sort_unstable();
    (verdict.wanted - verdict.unwanted.len() as i64, leaving)
}

#[test]
fn one_of_the_copies_of_each_file_is_durable() {
    assert_eq!(verdict(1, 1, &[]), (1, vec![]), "one besides what was pushed");
    assert_eq!(verdict(1, 1, &[0]), (0, vec![]), "it is wanted already");
    assert_eq!(verdict(1, 1, &[0, 0]), (-1, vec![]));
    assert_eq!(verdict(1, 8, &[]), (0, vec![]));
    assert_eq!(verdict(1, 1, &[8]), (0, vec![]));
    assert_eq!(verdict(2, 1, &[2]), (1, vec![]), "two that are not");
    assert_eq!(verdict(2, 1, &[2, 9]), (0, vec![2]), "the durable one stays");
    assert_eq!(verdict(3, 1, &[8]), (1, vec![]));
    assert_eq!(verdict(1, 3, &[4, 8]), (0, vec![4]), "it stays wherever the home is");
}

#[test]
fn a_copy_on_a_faster_tier_is_kept_besides() {
    assert_eq!(verdict(1, 8, &[1]), (0, vec![]));
    assert_eq!(verdict(1, 8, &[1, 2]), (0, vec![2]), "but not two");
    assert_eq!(verdict(2, 8, &[3, 1]), (0, vec![]));
    assert_eq!(verdict(2, 8, &[3, 4, 1]), (0, vec![4]));
    assert_eq!(verdict(1, 1, &[3, 4, 8]), (0, vec![3, 4]), "the home may be that copy");
}

#[test]
fn nothing_is_kept_besides_where_all_are_equal() {
    let mut survey = survey(1);
    (survey.durable, survey.fast) = (Vec::new(), Vec::new());
    let verdict = survey.judge(&home_on(1), &copies_on(&[2, 3]));
    assert_eq!(verdict.leaving, [CopyId(1), CopyId(0)]);
}
