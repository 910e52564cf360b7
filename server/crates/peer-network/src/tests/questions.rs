use super::support::*;
use crate::record::Name;
use crate::{Content, Keyring};

const NEW: &[u8] = b"the next secret of the network";

async fn alone(keys: Keyring) -> TestNode {
    TestNode::start(0, &[], keys, fast()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_node_of_the_network_is_answered_and_only_it_can_read_the_answer() {
    let (asking, asked) =
        (alone(Keyring::derive(secret(), [])).await, alone(Keyring::derive(secret(), [])).await);
    let stranger = alone(Keyring::derive(b"another secret", [])).await;
    let question = b"what do you hold?";
    let proof = asking.network.prove(question);
    let answer = asked.network.recognise(question, &proof).unwrap().seal(b"nothing").unwrap();
    assert_eq!(asking.network.open_answer(question, &answer).unwrap(), b"nothing");
    assert_eq!(stranger.network.open_answer(question, &answer), None);
    // The answer to one question is none to another.
    assert_eq!(asking.network.open_answer(b"who are you?", &answer), None);
    for (question, proof) in [
        (&b"who are you?"[..], &proof[..]),
        (question, &proof[1..]),
        (question, &[]),
        (question, &stranger.network.prove(question)),
    ] {
        assert!(asked.network.recognise(question, proof).is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_key_is_changed_nodes_with_either_key_are_answered() {
    let both = alone(Keyring::derive(NEW, [secret()])).await;
    let question = b"what do you hold?";
    for secret in [secret(), NEW] {
        let one = alone(Keyring::derive(secret, [])).await;
        let answer = both.network.recognise(question, &one.network.prove(question)).unwrap();
        assert!(one.network.open_answer(question, &answer.seal(b"this").unwrap()).is_some());
        let answer = one.network.recognise(question, &both.network.prove(question)).unwrap();
        assert!(both.network.open_answer(question, &answer.seal(b"that").unwrap()).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_can_be_looked_at_and_notes_left() {
    let nodes = network(2).await;
    nodes[1].add(1);
    until("it is found", || async { nodes[0].who_has(1).await == [1] }).await;
    let (reader, other) = (&nodes[0].network, nodes[1].network.id());
    let read = reader.read_record(&Name::Providers(hash(1))).await;
    let Some(Content::Providers(holders)) = read else { panic!("{read:?}") };
    assert_eq!(holders.iter().map(|(holder, _)| holder.node).collect::<Vec<_>>(), [other]);
    let read = reader.read_record(&Name::Node(other, 0)).await;
    assert!(matches!(read, Some(Content::Node(page)) if page.description.is_some()));
    let read = reader.read_record(&Name::members_of(&other)).await;
    assert!(
        matches!(read, Some(Content::Members(members)) if members.iter().any(|(node, _)| *node == other))
    );
    assert_eq!(reader.read_record(&Name::Providers(hash(2))).await, None);

    let name = "greeting".parse().unwrap();
    assert_eq!(reader.read_record(&Name::Note(name)).await, None);
    for text in ["hello", "good-bye"] {
        nodes[1].network.write_note(name, text).await.unwrap();
        let read = reader.read_record(&Name::Note(name)).await;
        assert!(matches!(&read, Some(Content::Note(note)) if note.text == text), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_given_another_key_meet_again_under_it() {
    let nodes = network(2).await;
    nodes[1].add(1);
    until("it is found", || async { nodes[0].who_has(1).await == [1] }).await;
    nodes[0].network.set_keys(Keyring::derive(NEW, []));
    until("it is out of reach", || async { nodes[0].who_has(1).await.is_empty() }).await;
    nodes[1].network.set_keys(Keyring::derive(NEW, []));
    until("it is found under the new key", || async { nodes[0].who_has(1).await == [1] }).await;
}
