use super::support::{Backend, Fixture, path_hash, store_path};
use crate::{Keep, NewPin, PinOutcome, PinRecord};

async fn pin(fixture: &Fixture, name: &str, path: u32, keep: Keep) -> PinOutcome {
    let pin = NewPin {
        cache: fixture.cache,
        name: name.to_owned(),
        path: path_hash(path),
        artifacts: vec!["bin/\"tool\"".to_owned()],
        keep,
    };
    fixture.catalog.add_pin(pin).await.unwrap()
}

async fn pins(fixture: &Fixture) -> Vec<PinRecord> {
    fixture.catalog.list_pins(fixture.cache).await.unwrap()
}

async fn revisions(fixture: &Fixture) -> Vec<(String, u64)> {
    let pins = pins(fixture).await;
    pins.into_iter().map(|pin| (pin.name, pin.revision)).collect()
}

pub(super) async fn each_pin_of_a_name_is_a_new_revision(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 2).await;
    let keeps = [Keep::All, Keep::Days(3), Keep::Revisions(9), Keep::Forever];
    for (revision, keep) in (1..).zip(keeps) {
        let outcome = pin(&fixture, "v1", 1, keep).await;
        assert_eq!(outcome, PinOutcome::Added { revision });
    }
    let other = pin(&fixture, "a", 2, Keep::All).await;
    assert_eq!(other, PinOutcome::Added { revision: 1 });

    let pins = pins(&fixture).await;
    assert_eq!(pins[0].name, "a");
    assert_eq!(pins[0].path, store_path(2));
    assert_eq!(pins[0].artifacts, ["bin/\"tool\""]);
    let newest_first: Vec<_> = pins[1..].iter().map(|pin| pin.keep).collect();
    assert_eq!(newest_first, keeps.into_iter().rev().collect::<Vec<_>>());
}

pub(super) async fn old_revisions_are_trimmed(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    pin(&fixture, "other", 1, Keep::All).await;
    for _ in 0..4 {
        pin(&fixture, "v1", 1, Keep::All).await;
    }
    let named = |revisions: &[u64]| -> Vec<_> {
        let other = std::iter::once(("other".to_owned(), 1));
        let these = revisions.iter().map(|&revision| ("v1".to_owned(), revision));
        other.chain(these).collect()
    };
    pin(&fixture, "v1", 1, Keep::Revisions(3)).await;
    assert_eq!(revisions(&fixture).await, named(&[5, 4, 3]));
    pin(&fixture, "v1", 1, Keep::Revisions(1)).await;
    assert_eq!(revisions(&fixture).await, named(&[6]));
    // Nothing to keep still means the one that was just asked for.
    pin(&fixture, "v1", 1, Keep::Revisions(0)).await;
    assert_eq!(revisions(&fixture).await, named(&[7]));
    pin(&fixture, "v1", 1, Keep::Revisions(5)).await;
    assert_eq!(revisions(&fixture).await, named(&[8, 7]));
}

pub(super) async fn an_unknown_or_hidden_path_cannot_be_pinned(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.damage(1).await;
    assert_eq!(pin(&fixture, "v1", 1, Keep::All).await, PinOutcome::UnknownPath);
    assert_eq!(pin(&fixture, "v1", 2, Keep::All).await, PinOutcome::UnknownPath);
    assert_eq!(pins(&fixture).await, []);
}

pub(super) async fn a_pin_outlives_the_healing_of_its_path(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    pin(&fixture, "v1", 1, Keep::Forever).await;
    fixture.damage(1).await;
    fixture.catalog.commit_path(fixture.commit(1, 2)).await.unwrap();
    assert_eq!(pins(&fixture).await[0].path, store_path(1));
}

pub(super) async fn pins_are_removed_by_revision_or_all_at_once(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    for name in ["v1", "v1", "v1", "other"] {
        pin(&fixture, name, 1, Keep::All).await;
    }
    let remove =
        async |name, revision| fixture.catalog.remove_pins(fixture.cache, name, revision).await.unwrap();
    assert_eq!(remove("v1", Some(2)).await, 1);
    assert_eq!(remove("v1", Some(2)).await, 0);
    assert_eq!(revisions(&fixture).await, [("other".into(), 1), ("v1".into(), 3), ("v1".into(), 1)]);
    assert_eq!(remove("v1", None).await, 2);
    assert_eq!(remove("nothing", None).await, 0);
    assert_eq!(revisions(&fixture).await, [("other".into(), 1)]);
}
