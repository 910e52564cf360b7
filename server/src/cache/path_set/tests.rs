#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn hash(bytes: [u8; 3]) -> StorePathHash {
    let mut all = [0; StorePathHash::LEN];
    all[0] = bytes[0];
    all[9] = bytes[1];
    all[19] = bytes[2];
    StorePathHash::from_bytes(all)
}

fn check(set: &mut PathSet, model: &BTreeMap<StorePathHash, u32>) {
    assert_eq!(set.len(), model.len());
    assert!(set.paths().eq(model.keys().copied()), "in order");
    assert!(set.numbers().map(|number| *number).eq(model.values().copied()));
    for (hash, number) in model {
        assert_eq!(set.get(hash).map(|found| found.load(Ordering::Relaxed)), Some(*number));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert([u8; 3], u32),
    Remove([u8; 3]),
    RetainEven,
}

fn step() -> impl Strategy<Value = Step> {
    // Few different first bytes, so that many paths belong to one place; also to the last one.
    let bytes = (prop::sample::select(vec![0_u8, 1, 127, 128, 254, 255]), 0_u8..4, 0_u8..4);
    let bytes = bytes.prop_map(|(first, second, third)| [first, second, third]);
    prop_oneof![
        6 => (bytes.clone(), 0_u32..100).prop_map(|(bytes, number)| Step::Insert(bytes, number)),
        3 => bytes.prop_map(Step::Remove),
        1 => Just(Step::RetainEven),
    ]
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(steps in prop::collection::vec(step(), 0..300)) {
        let (mut set, mut model) = (PathSet::default(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Insert(bytes, number) => {
                    let (place, is_new) = set.entry(&hash(bytes));
                    *place.get_mut() = number;
                    prop_assert_eq!(is_new, model.insert(hash(bytes), number).is_none());
                }
                Step::Remove(bytes) => {
                    prop_assert_eq!(set.remove(&hash(bytes)), model.remove(&hash(bytes)).is_some());
                }
                Step::RetainEven => {
                    set.retain(|number| number % 2 == 0);
                    model.retain(|_, number| *number % 2 == 0);
                }
            }
            check(&mut set, &model);
        }
    }
}

#[test]
fn a_path_takes_less_than_40_bytes() {
    let mut set = PathSet::default();
    let mut state = 1_u64;
    for number in 1..100_000_u32 {
        let mut bytes = [0; StorePathHash::LEN];
        for byte in &mut bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        set.entry(&StorePathHash::from_bytes(bytes));
        let size = set.places.capacity() * size_of::<Place>();
        assert!(number < 1000 || size < 40 * number as usize, "{size} bytes for {number}");
    }
    assert_eq!(set.len(), 99_999);
}
