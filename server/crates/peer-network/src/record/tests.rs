#![allow(clippy::unwrap_used)]

use nix_formats::{PublicKey, SigningKey, StorePathHash};
use proptest::prelude::*;

use super::*;
use crate::{Identity, NodeId};

fn node(number: u32) -> NodeId {
    let mut bytes = [0; NodeId::LEN];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn name() -> Name {
    Name::Providers(StorePathHash::from_bytes([7; 20]))
}

fn public_key(name: &str) -> PublicKey {
    SigningKey::generate(name).unwrap().public_key()
}

fn description(caches: u32) -> NodeDescription {
    let cache = |id| {
        let name = format!("cache-{id}");
        AnnouncedCache { id, public_keys: vec![public_key(&format!("{name}.example.org-1"))], name }
    };
    NodeDescription {
        url: "https://cache.example.org:5000/".parse().unwrap(),
        load: 3,
        free: 1 << 40,
        inventory_version: crate::inventory::VERSION,
        run: 7,
        said: Stamp::now(),
        caches: (0..caches).map(cache).collect(),
    }
}

#[test]
fn a_name_comes_back_from_its_salt() {
    let id = node(3);
    let note = Name::Note("a-_.9".parse().unwrap());
    let names = [Name::Node(id, 0), Name::Node(id, 17), Name::Members(5), name(), note];
    for name in names {
        assert_eq!(Name::parse(&name.to_string()), Some(name));
        assert!(name.salt().len() <= 64);
    }
    let hash = StorePathHash::from_bytes([7; 20]);
    assert_eq!(name().to_string(), format!("p:{hash}"));
    for salt in ["", "p", "p:", "y:1", "x:", "x:a b", "n:0", "m:256", "n:00:x"] {
        assert_eq!(Name::parse(salt), None, "{salt}");
    }
}

#[test]
fn a_node_with_many_caches_takes_several_pages_that_all_fit() {
    let identity = Identity::generate().unwrap();
    let whole = description(40);
    let pages = whole.pages(&identity);
    assert!(pages.len() > 1);
    let mut caches = Vec::new();
    for (number, page) in (0..).zip(&pages) {
        let bytes = page.encode();
        assert!(bytes.len() <= LIMIT, "{}", bytes.len());
        let read = NodePage::decode(&Name::Node(identity.id(), number), &bytes).unwrap();
        assert_eq!(usize::from(read.pages), pages.len());
        caches.extend(read.description.unwrap().caches);
    }
    assert_eq!(caches, whole.caches);
}

#[test]
fn nobody_speaks_for_another_node() {
    let (ours, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let bytes = description(1).pages(&ours)[0].encode();
    assert!(NodePage::decode(&Name::Node(ours.id(), 0), &bytes).is_some());
    // Nor is a page good for another node or another place.
    assert!(NodePage::decode(&Name::Node(other.id(), 0), &bytes).is_none());
    assert!(NodePage::decode(&Name::Node(ours.id(), 1), &bytes).is_none());
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(NodePage::decode(&Name::Node(ours.id(), 0), &changed).is_none(), "byte {index}");
    }
}

#[test]
fn a_full_record_keeps_the_newest_entries() {
    let mut providers = Providers::default();
    let total = u32::try_from(Providers::MOST).unwrap() + 5;
    for number in 0..total {
        providers.set(Holder { node: node(number), cache: 1 }, Stamp(1000 + number));
    }
    let bytes = providers.encode();
    assert!(bytes.len() <= LIMIT);
    let read = Providers::decode(&name(), &bytes).unwrap();
    assert_eq!(read.iter().count(), Providers::MOST);
    assert!(read.find(&Holder { node: node(total - 1), cache: 1 }).is_some());
    assert!(read.find(&Holder { node: node(0), cache: 1 }).is_none());

    let mut members = Members::default();
    (0..100).for_each(|number| members.set(node(number), Stamp(number)));
    assert!(members.encode().len() <= LIMIT);
    const { assert!(Members::MOST >= 48) };
}

#[test]
fn a_note_comes_back_and_is_cut_where_it_is_too_long() {
    let note = |text: String| Note { written: Some(Stamp(7)), text };
    let short = note("Grüße".to_owned());
    assert_eq!(Note::decode(&name(), &short.encode()), Some(short));
    let long = note("ü".repeat(Note::LONGEST)).encode();
    assert!(long.len() <= LIMIT);
    assert_eq!(Note::decode(&name(), &long).unwrap().text, "ü".repeat(Note::LONGEST / 2));
}

#[test]
fn what_is_too_old_or_from_the_future_is_dropped() {
    let timing = Timing::default();
    let now = Stamp(1_800_000_000);
    let day = u32::try_from(timing.provider_max_age.as_secs()).unwrap();
    let mut providers = Providers::default();
    for (number, said) in
        [now.0 - day - 1, now.0 - day, now.0, now.0 + 60, now.0 + 86_400].into_iter().enumerate()
    {
        providers.set(Holder { node: node(u32::try_from(number).unwrap()), cache: 0 }, Stamp(said));
    }
    providers.prune(now, &timing);
    let mut left: Vec<u32> = providers.iter().map(|(_, said)| said.0).collect();
    left.sort_unstable();
    assert_eq!(left, [now.0 - day, now.0, now.0 + 60]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
        let _ = Providers::decode(&name(), &bytes);
        let _ = Members::decode(&Name::Members(0), &bytes);
        let _ = NodePage::decode(&Name::Node(node(1), 0), &bytes);
        let _ = Note::decode(&name(), &bytes);
    }

    #[test]
    fn entries_come_back(entries in proptest::collection::btree_map(0_u32..1000, 0_u32..u32::MAX, 0..40)) {
        let mut providers = Providers::default();
        for (number, said) in entries {
            providers.set(Holder { node: node(number), cache: number % 3 }, Stamp(said));
        }
        prop_assert_eq!(Providers::decode(&name(), &providers.encode()), Some(providers));
    }
}
