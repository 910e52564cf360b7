use proptest::prelude::*;

use super::*;
use crate::Strategy;

fn turns<'a>(turns: impl IntoIterator<Item = (&'a str, u64)>) -> Turns {
    turns.into_iter().map(|(name, turns)| (Arc::from(name), turns)).collect()
}

#[test]
fn turns_are_counted_from_the_storage_that_had_the_fewest() {
    assert_eq!(turns([("a", 7), ("b", 9), ("c", 8)]).to_string(), "2 b\n1 c\n");
    assert_eq!(turns([("a", 7)]), Turns::default());
    assert_eq!(Turns::default().to_string(), "");
}

#[test]
fn what_is_not_a_list_of_turns_is_refused() {
    for text in ["a", "1", "-1 a", "1a b", "1 a\n\n2 b"] {
        assert_eq!(text.parse::<Turns>(), Err(InvalidTurns), "{text:?}");
    }
}

#[test]
fn turns_without_end_are_survived() {
    let kept = format!("{} a", u64::MAX).parse().unwrap();
    let placement = Placement::new(Strategy::RoundRobin, ["a", "b"].map(storage).to_vec(), &kept);
    assert_eq!(store_many(&placement, 2, 1), "bb");
    placement.reserve(1, &["b".into()]).unwrap().commit();
}

proptest! {
    #[test]
    fn turns_are_read_back_as_they_were_written(
        absolute in prop::collection::btree_map("[^\\s\\p{Cc}/]([^\\p{Cc}/]{0,8}[^\\s\\p{Cc}/])?", 0_u64..1_000, 0..5),
    ) {
        let turns: Turns = absolute.into_iter().map(|(name, turns)| (Arc::from(name), turns)).collect();
        prop_assert_eq!(turns.to_string().parse(), Ok(turns));
    }
}
