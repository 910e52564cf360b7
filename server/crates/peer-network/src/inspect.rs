//! Access to single records and notes for operators who diagnose the network.

use crate::dht::DhtError;
use crate::record::{Holder, Members, Name, NodePage, Note, NoteName, Providers, Record};
use crate::{Network, NodeId, Stamp};

/// The content of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A page of the description of a node.
    Node(NodePage),
    /// Nodes, and when each was last seen.
    Members(Vec<(NodeId, Stamp)>),
    /// The caches that claim to have a path, and when each last announced it.
    Providers(Vec<(Holder, Stamp)>),
    /// A note.
    Note(Note),
}

impl Network {
    /// Reads a record; `None` if there is none that has not expired.
    pub async fn read_record(&self, name: &Name) -> Option<Content> {
        match name {
            Name::Node(..) => {
                let page: NodePage = self.merged(name).await;
                page.description.is_some().then_some(Content::Node(page))
            }
            Name::Members(_) => {
                let members: Vec<_> = self.merged::<Members>(name).await.iter().collect();
                (!members.is_empty()).then_some(Content::Members(members))
            }
            Name::Providers(_) => {
                let providers: Vec<_> = self.merged::<Providers>(name).await.iter().collect();
                (!providers.is_empty()).then_some(Content::Providers(providers))
            }
            Name::Note(_) => {
                let note: Note = self.merged(name).await;
                note.written.is_some().then_some(Content::Note(note))
            }
        }
    }

    /// Writes a note, which every node of the network can read under this name. It expires like other records.
    ///
    /// # Errors
    ///
    /// If no node of the network stored it.
    pub async fn write_note(&self, name: NoteName, text: &str) -> Result<(), DhtError> {
        let note = Note { written: Some(Stamp::now()), text: text.to_owned() };
        let change = |there: &mut Note| there.clone_from(&note);
        self.dht().update(&Name::Note(name), self.timing(), change).await
    }

    /// Reads and merges the versions of a record, of which each key of the network may have one.
    async fn merged<R: Record>(&self, name: &Name) -> R {
        let mut merged = R::default();
        self.dht().read::<R>(name, self.timing()).await.into_iter().for_each(|read| merged.merge(read));
        merged
    }
}
