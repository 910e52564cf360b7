//! Looking at single records of the network, and leaving notes: for operators who want to know whether and why.

use crate::dht::DhtError;
use crate::record::{Holder, Members, Name, NodePage, Note, NoteName, Providers, Record};
use crate::{Network, NodeId, Stamp};

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A page of what a node says about itself.
    Node(NodePage),
    /// Which nodes there are, and when each was last seen.
    Members(Vec<(NodeId, Stamp)>),
    /// Which caches say that they have a path, and when each last said so.
    Providers(Vec<(Holder, Stamp)>),
    /// A note.
    Note(Note),
}

impl Network {
    /// What the network knows under this name now; `None` if nothing, or nothing that is young enough to be believed.
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

    /// Writes a note, for whoever of the network reads it under this name. It is forgotten like other records.
    ///
    /// # Errors
    ///
    /// If no node of the network stored it.
    pub async fn write_note(&self, name: NoteName, text: &str) -> Result<(), DhtError> {
        let note = Note { written: Some(Stamp::now()), text: text.to_owned() };
        let change = |there: &mut Note| there.clone_from(&note);
        self.dht().update(&Name::Note(name), self.timing(), change).await
    }

    /// With several keys of the network there may be several versions.
    async fn merged<R: Record>(&self, name: &Name) -> R {
        let mut merged = R::default();
        self.dht().read::<R>(name, self.timing()).await.into_iter().for_each(|read| merged.merge(read));
        merged
    }
}
