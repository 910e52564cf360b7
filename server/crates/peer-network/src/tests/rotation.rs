use super::support::*;
use crate::Keyring;

const NEW: &[u8] = b"the next secret of the network";

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_the_old_the_new_and_both_keys_find_each_other() {
    let both = TestNode::start(0, &[], Keyring::derive(secret(), [NEW]), fast()).await;
    let port = both.port().await;
    let old = TestNode::start(1, &[port], Keyring::derive(secret(), []), fast()).await;
    let new = TestNode::start(2, &[port], Keyring::derive(NEW, []), fast()).await;
    both.add(1);
    old.add(2);
    new.add(3);
    until("the old one finds it", || async { old.who_has(1).await == [0] }).await;
    until("the new one finds it", || async { new.who_has(1).await == [0] }).await;
    until("what the old one has is found", || async { both.who_has(2).await == [1] }).await;
    until("what the new one has is found", || async { both.who_has(3).await == [2] }).await;
    assert!(old.who_has(3).await.is_empty());
    assert!(new.who_has(2).await.is_empty());
}
