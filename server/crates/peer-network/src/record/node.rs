//! `n:<node id>`: the description of a node, in as many pages as it needs.

use nix_formats::PublicKey;
use url::Url;

use super::codec::{Reader, put_text};
use super::{LIMIT, Name, Record};
use crate::identity::is_signed_by;
use crate::{Identity, NodeId, Stamp, Timing};

/// The bytes before the signed part: public key and signature.
const SIGNATURE: usize = 32 + 64;
/// The longest URL that a node can announce.
const LONGEST_URL: usize = 250;
/// The most keys that are announced for a cache.
const MOST_KEYS: usize = 4;

/// A public cache of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnouncedCache {
    /// The number of the cache in provider records.
    pub id: u32,
    /// The name of the cache, which is at `<URL of the node>/api/v1/cache/<name>/`.
    pub name: String,
    /// The keys that it signs with.
    pub public_keys: Vec<PublicKey>,
}

/// The description that a node publishes of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeDescription {
    /// The URL of the node.
    pub url: Url,
    /// The load: 0 is idle, more is slower.
    pub load: u16,
    /// The free space in bytes.
    pub free: u64,
    /// The version of the inventory filters that it serves ([`crate::inventory::VERSION`]); 0 for none.
    pub inventory_version: u8,
    /// A number that changes each time the node starts without stored records.
    pub run: u32,
    /// The time of the announcement.
    pub said: Stamp,
    /// Its public caches.
    pub caches: Vec<AnnouncedCache>,
}

/// A part of a [`NodeDescription`] that fits into a record. The node signs it, because the key of the network must not suffice to
/// impersonate another node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodePage {
    /// The number of pages; 0 if there is no record.
    pub pages: u8,
    /// The content of this page; `None` if there is no record.
    pub description: Option<NodeDescription>,
    encoded: Vec<u8>,
}

impl NodeDescription {
    /// Encodes the description as pages. Leaves out caches that do not fit into a page, and pages beyond the 255th.
    pub(crate) fn pages(&self, identity: &Identity) -> Vec<NodePage> {
        let mut split: Vec<Vec<AnnouncedCache>> = vec![Vec::new()];
        let head = self.head().len() + 2;
        let mut length = head;
        for cache in &self.caches {
            let Some(size) = encode_cache(cache).map(|bytes| bytes.len()) else { continue };
            if head + size > LIMIT - SIGNATURE {
                continue;
            }
            if length + size > LIMIT - SIGNATURE {
                split.push(Vec::new());
                length = head;
            }
            length += size;
            split.last_mut().expect("there is a first page").push(cache.clone());
        }
        split.truncate(u8::MAX.into());
        let pages = u8::try_from(split.len()).unwrap_or(u8::MAX);
        let page = |(number, caches): (u8, Vec<AnnouncedCache>)| {
            let description = Self { caches, ..self.clone() };
            let mut signed = vec![number, pages];
            signed.extend(description.head());
            signed.extend(description.caches.iter().filter_map(encode_cache).flatten());
            let encoded = [&identity.public_key()[..], &identity.sign(&signed), &signed].concat();
            NodePage { pages, description: Some(description), encoded }
        };
        (0..=u8::MAX).zip(split).map(page).collect()
    }

    /// Returns the part that is on every page.
    fn head(&self) -> Vec<u8> {
        let mut bytes = self.said.0.to_be_bytes().to_vec();
        bytes.extend(self.load.to_be_bytes());
        bytes.extend(self.free.to_be_bytes());
        bytes.push(self.inventory_version);
        bytes.extend(self.run.to_be_bytes());
        // The configuration checks the URL; one that is too long is announced as empty.
        let url = Some(self.url.as_str()).filter(|url| url.len() <= LONGEST_URL).unwrap_or_default();
        put_text(&mut bytes, url).expect("its length was checked");
        bytes
    }
}

fn encode_cache(cache: &AnnouncedCache) -> Option<Vec<u8>> {
    let mut bytes = cache.id.to_be_bytes().to_vec();
    put_text(&mut bytes, &cache.name)?;
    let keys = &cache.public_keys[..cache.public_keys.len().min(MOST_KEYS)];
    bytes.push(u8::try_from(keys.len()).ok()?);
    for key in keys {
        put_text(&mut bytes, key.name())?;
        bytes.extend(key.as_bytes());
    }
    Some(bytes)
}

fn decode_cache(reader: &mut Reader<'_>) -> Option<AnnouncedCache> {
    let id = reader.u32()?;
    let name = reader.text()?.to_owned();
    let count = reader.u8()?;
    let mut public_keys = Vec::new();
    for _ in 0..count {
        let name = reader.text()?;
        public_keys.push(PublicKey::from_bytes(name, &reader.array()?).ok()?);
    }
    Some(AnnouncedCache { id, name, public_keys })
}

impl NodePage {
    fn read(node: &NodeId, number: u8, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let public_key = reader.array()?;
        let signature = reader.array()?;
        if NodeId::of_key(&public_key) != *node || !is_signed_by(&public_key, reader.0, &signature) {
            return None;
        }
        if reader.u8()? != number {
            return None;
        }
        let pages = reader.u8()?;
        let said = reader.stamp()?;
        let load = reader.u16()?;
        let free = reader.u64()?;
        let inventory_version = reader.u8()?;
        let run = reader.u32()?;
        let url = Url::parse(reader.text()?).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let mut caches = Vec::new();
        while !reader.is_empty() {
            caches.push(decode_cache(&mut reader)?);
        }
        let description = NodeDescription { url, load, free, inventory_version, run, said, caches };
        Some(Self { pages, description: Some(description), encoded: bytes.to_vec() })
    }
}

impl Record for NodePage {
    fn decode(name: &Name, bytes: &[u8]) -> Option<Self> {
        match name {
            Name::Node(node, number) => Self::read(node, *number, bytes),
            _ => None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        self.encoded.clone()
    }

    fn merge(&mut self, other: Self) {
        let said = |page: &Self| page.description.as_ref().map(|description| description.said);
        if said(self) < said(&other) {
            *self = other;
        }
    }

    fn prune(&mut self, now: Stamp, timing: &Timing) {
        let said = self.description.as_ref().map(|description| description.said);
        if said.is_some_and(|said| !said.is_fresh(now, timing.node_max_age)) {
            *self = Self::default();
        }
    }
}
