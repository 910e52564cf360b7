//! The URL under which a NAR of another cache is had from us: `elsewhere/<ticket>/<file>`.
//!
//! The ticket says where the bytes come from and what they have to be. It is all that is needed to get them, so a restart,
//! or a second reader, needs no memory of the first. It carries an HMAC, so that nobody can make us fetch from elsewhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use nix_formats::{Compression, FileHash, NarFileName, NarHash, NarInfo, StorePathHash};
use sha2::Sha256;
use url::Url;

use crate::derived_key::derive_mac;

/// First byte of a ticket.
const VERSION: u8 = 1;
/// Beside the kind of the source: the hash of the file is not known.
const UNKNOWN_FILE: u8 = 0x80;
/// Bytes of the HMAC that are kept.
const MAC: usize = 16;

/// Where a NAR is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// In another public cache of this daemon, by its name.
    Here(String),
    /// At another node: the base URL of the cache.
    Peer(Url),
    /// At an upstream: its URL.
    Upstream(Url),
}

/// What to fetch from where.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticket {
    /// Where it is.
    pub source: Source,
    /// What the narinfo there says, relative to the cache.
    pub url: String,
    /// The path that it belongs to.
    pub path: StorePathHash,
    /// The name of the file in our URL: its hash and compression. Where its hash is not known, the hash of the NAR stands in.
    pub file: NarFileName,
    /// Whether `file` has the hash of the file. Many caches do not say it: that of the NAR is what is signed.
    pub is_file_known: bool,
    /// Bytes of the file, where that is known.
    pub file_size: Option<u64>,
    /// Hash of the NAR.
    pub nar_hash: NarHash,
    /// Bytes of the NAR.
    pub nar_size: u64,
}

/// A ticket as it stands in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketText(pub String);

/// Makes and checks tickets.
pub struct TicketKey {
    mac: Hmac<Sha256>,
    /// The one before, whose tickets readers still have.
    former: Option<Hmac<Sha256>>,
}

impl TicketKey {
    /// Derives the key, so that nothing made for another purpose is valid here.
    pub fn derive(server_key: &[u8]) -> Self {
        Self { mac: derive_mac(server_key, "cache-server elsewhere v1"), former: None }
    }

    /// The same key, for tickets that `former` has made as well.
    pub fn after(self, former: &Self) -> Self {
        Self { former: Some(former.mac.clone()), ..self }
    }

    /// The URL of the NAR, relative to the cache of that name.
    pub fn url(&self, ticket: &Ticket, cache: &str) -> String {
        let mut bytes = ticket.encode();
        let mac = with(&self.mac, &bytes, &ticket.file, cache).finalize().into_bytes();
        bytes.extend(&mac[..MAC]);
        format!("elsewhere/{}/{}", URL_SAFE_NO_PAD.encode(bytes), ticket.file)
    }

    /// The ticket in the URL of a NAR; `None` if it was not made by us for this file and cache.
    pub fn open(&self, text: &TicketText, file: &NarFileName, cache: &str) -> Option<Ticket> {
        let bytes = URL_SAFE_NO_PAD.decode(&text.0).ok()?;
        let (bytes, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        // Compares in constant time.
        let made = |key: &Hmac<Sha256>| with(key, bytes, file, cache).verify_truncated_left(mac).is_ok();
        if !made(&self.mac) && !self.former.as_ref().is_some_and(made) {
            return None;
        }
        Ticket::decode(bytes, *file)
    }
}

fn with(key: &Hmac<Sha256>, bytes: &[u8], file: &NarFileName, cache: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    // Lengths in front, so that no two different tickets have the same bytes.
    for part in [bytes, file.to_string().as_bytes(), cache.as_bytes()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

impl Ticket {
    /// The ticket for what the narinfo promises.
    pub fn of(source: Source, narinfo: &NarInfo) -> Self {
        // Without compression the file is the NAR. Where the narinfo says something else of it, that is of the bytes as a server with a
        // `Content-Encoding` sends them.
        let is_nar = narinfo.compression == Compression::None;
        let nar_hash = FileHash::from_bytes(*narinfo.nar_hash.as_bytes());
        let file_hash = if is_nar { Some(nar_hash) } else { narinfo.file_hash };
        let file_size = narinfo.file_size.filter(|size| *size > 0 && !is_nar);
        Self {
            source,
            url: narinfo.url.clone(),
            path: *narinfo.store_path.hash(),
            file: NarFileName { file_hash: file_hash.unwrap_or(nar_hash), compression: narinfo.compression },
            is_file_known: file_hash.is_some(),
            file_size: file_size.or_else(|| is_nar.then_some(narinfo.nar_size)),
            nar_hash: narinfo.nar_hash,
            nar_size: narinfo.nar_size,
        }
    }

    /// Hash of the file, where that is known.
    pub fn file_hash(&self) -> Option<FileHash> {
        self.is_file_known.then_some(self.file.file_hash)
    }

    /// More bytes than this no file has that unpacks to the NAR.
    pub fn most_bytes(&self) -> u64 {
        most_bytes_of_file(self.nar_size)
    }

    /// Whether the file that `other` is for can take the place of this one's.
    pub fn takes(&self, other: &Self) -> bool {
        let is_same_nar = other.nar_hash == self.nar_hash && other.nar_size == self.nar_size;
        let is_same_file = other.file == self.file && other.file_size == self.file_size;
        let is_as_good = !self.is_file_known
            && other.file.compression == self.file.compression
            && (self.file_size.is_none() || other.file_size == self.file_size);
        is_same_nar && (is_same_file || is_as_good)
    }

    fn encode(&self) -> Vec<u8> {
        let (kind, place) = match &self.source {
            Source::Here(name) => (0, name.as_str()),
            Source::Peer(url) => (1, url.as_str()),
            Source::Upstream(url) => (2, url.as_str()),
        };
        let unknown = if self.is_file_known { 0 } else { UNKNOWN_FILE };
        let mut bytes = vec![VERSION, kind | unknown];
        bytes.extend(self.path.as_bytes());
        bytes.extend(self.nar_hash.as_bytes());
        bytes.extend(self.nar_size.to_be_bytes());
        bytes.extend(self.file_size.unwrap_or(0).to_be_bytes());
        bytes.extend(u16::try_from(place.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(place.as_bytes());
        bytes.extend(self.url.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8], file: NarFileName) -> Option<Self> {
        let ([VERSION, kind], rest) = bytes.split_first_chunk::<2>()? else { return None };
        let (path, rest) = rest.split_first_chunk()?;
        let (nar_hash, rest) = rest.split_first_chunk()?;
        let (nar_size, rest) = rest.split_first_chunk()?;
        let (file_size, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let text = std::str::from_utf8(rest).ok()?;
        let (place, url) = text.split_at_checked(u16::from_be_bytes(*length).into())?;
        let source = match kind & !UNKNOWN_FILE {
            0 => Source::Here(place.to_owned()),
            1 => Source::Peer(Url::parse(place).ok()?),
            2 => Source::Upstream(Url::parse(place).ok()?),
            _ => return None,
        };
        Some(Self {
            source,
            url: url.to_owned(),
            path: StorePathHash::from_bytes(*path),
            file,
            is_file_known: kind & UNKNOWN_FILE == 0,
            file_size: Some(u64::from_be_bytes(*file_size)).filter(|size| *size > 0),
            nar_hash: NarHash::from_bytes(*nar_hash),
            nar_size: u64::from_be_bytes(*nar_size),
        })
    }
}

/// Returns how many bytes the file of a NAR may have: none of the compressions makes a NAR much longer.
pub fn most_bytes_of_file(nar_size: u64) -> u64 {
    nar_size.saturating_add(nar_size / 8).saturating_add(64 << 10)
}

/// The URL of something in another cache; `None` if it leads out of that.
pub fn within(cache: &Url, relative: &str) -> Option<Url> {
    let strange = |c: char| c.is_ascii_control() || matches!(c, '\\' | '#' | ' ');
    if relative.is_empty() || relative.starts_with('/') || relative.contains(strange) {
        return None;
    }
    let url = cache.join(relative).ok()?;
    // Also refuses `..`, a scheme of its own, and `//host`.
    url.as_str().starts_with(cache.as_str()).then_some(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ticket(source: Source) -> Ticket {
        Ticket {
            source,
            url: "nar/abc.nar.xz".to_owned(),
            path: StorePathHash::from_bytes([1; 20]),
            file: NarFileName { file_hash: FileHash::from_bytes([2; 32]), compression: Compression::Xz },
            is_file_known: true,
            file_size: Some(12),
            nar_hash: NarHash::from_bytes([3; 32]),
            nar_size: 34,
        }
    }

    fn parts(url: &str) -> (TicketText, NarFileName) {
        let mut segments = url.split('/').skip(1);
        let text = TicketText(segments.next().unwrap().to_owned());
        (text, NarFileName::parse(segments.next().unwrap()).unwrap())
    }

    #[test]
    fn a_ticket_comes_back_from_its_url_and_from_no_other() {
        let key = TicketKey::derive(b"secret");
        let base = Url::parse("http://a.example:5000/api/v1/cache/main/").unwrap();
        for source in [Source::Here("main".to_owned()), Source::Peer(base.clone()), Source::Upstream(base)] {
            let ticket = ticket(source);
            let (text, file) = parts(&key.url(&ticket, "main"));
            assert_eq!(key.open(&text, &file, "main"), Some(ticket.clone()));
            assert_eq!(key.open(&text, &file, "other"), None);
            assert_eq!(TicketKey::derive(b"else").open(&text, &file, "main"), None);
            let next = TicketKey::derive(b"next").after(&key);
            assert_eq!(next.open(&text, &file, "main"), Some(ticket.clone()));
            assert_eq!(TicketKey::derive(b"last").after(&next).open(&text, &file, "main"), None);
            let other = NarFileName { compression: Compression::Zstd, ..file };
            assert_eq!(key.open(&text, &other, "main"), None);
            let bytes = URL_SAFE_NO_PAD.decode(&text.0).unwrap();
            for index in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[index] ^= 1;
                let text = TicketText(URL_SAFE_NO_PAD.encode(&changed));
                assert_eq!(key.open(&text, &file, "main"), None, "byte {index}");
            }
        }
        for text in ["", "AA", "%%%"] {
            let (_, file) = parts(&key.url(&ticket(Source::Here(String::new())), "main"));
            assert_eq!(key.open(&TicketText(text.to_owned()), &file, "main"), None);
        }
    }

    #[test]
    fn a_file_of_which_only_the_nar_is_known_is_named_after_that() {
        let key = TicketKey::derive(b"secret");
        for file_size in [None, Some(12)] {
            let mut ticket = ticket(Source::Upstream(Url::parse("http://a.example/").unwrap()));
            ticket.file.file_hash = FileHash::from_bytes(*ticket.nar_hash.as_bytes());
            (ticket.is_file_known, ticket.file_size) = (false, file_size);
            let (text, file) = parts(&key.url(&ticket, "main"));
            assert_eq!(key.open(&text, &file, "main"), Some(ticket.clone()));
            assert_eq!(ticket.file_hash(), None);
            // Any file with the same NAR, packed in the same way, is as good.
            let mut known = Ticket { is_file_known: true, ..ticket.clone() };
            known.file.file_hash = FileHash::from_bytes([9; 32]);
            assert!(ticket.takes(&known) && !known.takes(&ticket));
            assert!(!ticket.takes(&Ticket { nar_hash: NarHash::from_bytes([4; 32]), ..known.clone() }));
            known.file.compression = Compression::Zstd;
            assert!(!ticket.takes(&known));
        }
    }

    #[test]
    fn no_url_leads_out_of_the_cache() {
        let cache = Url::parse("https://a.example/cache/").unwrap();
        assert_eq!(within(&cache, "nar/x.nar").unwrap().as_str(), "https://a.example/cache/nar/x.nar");
        for url in [
            "",
            "/etc/passwd",
            "../x",
            "nar/../../x",
            "http://127.0.0.1/",
            "//b.example/x",
            "\\\\b",
            "x y",
            "file:x",
        ] {
            assert_eq!(within(&cache, url), None, "{url}");
        }
    }
}
