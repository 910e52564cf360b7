//! What the fuzz targets of messages between nodes do with their input.

use peer_network::NodeId;
use peer_network::inventory::InventoryMessage;
use peer_network::record::{Members, Name, NodePage, Note, Providers, Record};

/// A target: its name, which is that of the folder of its corpus as well, and what it does.
type Body = (&'static str, fn(&[u8]));

/// The targets.
pub const BODIES: &[Body] = &[("records", records), ("inventories", inventories)];

/// The names of records of every kind.
fn names() -> [Name; 4] {
    let hash = "0".repeat(32);
    let node = NodeId::of_key(&[7; 32]);
    let salts = [format!("n:{node}"), "m:0".to_owned(), format!("p:{hash}"), "x:note".to_owned()];
    salts.map(|salt| Name::parse(&salt).expect("a name"))
}

/// A record that is read comes back from what is written of it.
pub fn records(data: &[u8]) {
    let named = std::str::from_utf8(data).ok().and_then(Name::parse);
    for name in names().into_iter().chain(named) {
        reread::<NodePage>(&name, data);
        reread::<Members>(&name, data);
        reread::<Providers>(&name, data);
        reread::<Note>(&name, data);
    }
}

fn reread<R: Record>(name: &Name, data: &[u8]) {
    if let Some(record) = R::decode(name, data) {
        let bytes = record.encode();
        assert!(bytes.len() <= peer_network::record::LIMIT);
        assert!(R::decode(name, &bytes).is_some(), "what is written can be read");
        let mut merged = record.clone();
        merged.merge(record.clone());
        assert!(merged == record, "a record says nothing new to itself");
    }
}

/// So does a message about an inventory.
pub fn inventories(data: &[u8]) {
    if let Some(message) = InventoryMessage::decode(data) {
        assert_eq!(InventoryMessage::decode(&message.encode()), Some(message));
    }
}
