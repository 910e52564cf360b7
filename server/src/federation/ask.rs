//! Asking one other cache for a narinfo, and checking what it says.

use std::time::Instant;

use ::federation::Peer;
use ::federation::record::AnnouncedCache;
use http::StatusCode;
use nix_formats::{Compression, FileHash, NarFileName, NarInfo, PublicKey, StorePathHash};
use url::Url;

use super::Federation;
use super::client::{ClientError, read_body};
use super::ticket::{Source, Ticket, within};
use crate::cache::Cache;
use crate::config::Upstream;

/// Longest narinfo that is taken.
const LONGEST_NARINFO: usize = 1 << 20;
/// The key of cache.nixos.org, as Nix has it built in.
const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const NIXOS_HOST: &str = "cache.nixos.org";

/// Another cache to ask.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which one it is.
    pub source: Source,
    /// Where its narinfos are. Ends in a slash.
    pub base: Url,
    /// Whose signatures count for what it has, besides those that the asking cache trusts.
    pub public_keys: Vec<PublicKey>,
}

/// What another cache says about a path, checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its narinfo.
    pub narinfo: NarInfo,
    /// How its NAR is had.
    pub ticket: Ticket,
}

/// Why a cache's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It does not have the path.
    #[error("it does not have it")]
    Absent,
    /// It did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It answered with another status.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// What it sent is not a narinfo of the path, or cannot be served.
    #[error("it sent a narinfo that {0}")]
    Unusable(String),
    /// Nobody that we trust vouches for it.
    #[error("it sent a narinfo without a signature of a trusted key")]
    Untrusted,
}

/// Where a cache of another node is; `None` if its name is none, and so would lead elsewhere on that node.
pub fn base_of(peer: &Peer, cache: &AnnouncedCache) -> Option<Url> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if cache.name.is_empty() || !cache.name.bytes().all(is_plain) {
        return None;
    }
    let mut base = peer.description.url.clone();
    let prefix = base.path().trim_end_matches('/').to_owned();
    base.set_path(&format!("{prefix}/api/v1/cache/{}/", cache.name));
    Some(base)
}

impl Candidate {
    /// A cache of another node.
    pub fn peer(provider: &::federation::Provider) -> Option<Self> {
        let base = base_of(&provider.peer, &provider.cache)?;
        let public_keys = provider.cache.public_keys.clone();
        Some(Self { source: Source::Peer(base.clone()), base, public_keys })
    }

    /// An upstream.
    pub fn upstream(upstream: &Upstream) -> Self {
        let base = Self::base_of_upstream(&upstream.url);
        let mut public_keys = upstream.public_keys.clone();
        if base.host_str() == Some(NIXOS_HOST) {
            public_keys.extend(PublicKey::parse(NIXOS_KEY));
        }
        Self { source: Source::Upstream(upstream.url.clone()), base, public_keys }
    }

    /// Where the narinfos of an upstream are.
    pub fn base_of_upstream(url: &Url) -> Url {
        let mut base = url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base
    }
}

impl Federation {
    /// Asks the cache for the path, and notes how it does.
    pub(super) async fn ask(
        &self,
        candidate: &Candidate,
        cache: &Cache,
        path: &StorePathHash,
    ) -> Result<Verified, AskError> {
        let begun = Instant::now();
        let asked = self.ask_unnoted(candidate, cache, path).await;
        match &asked {
            Ok(_) | Err(AskError::Absent) => self.health.answered(&candidate.base, begun.elapsed()),
            Err(AskError::Client(_) | AskError::Status(_)) => self.health.failed(&candidate.base),
            Err(AskError::Unusable(_) | AskError::Untrusted) => self.health.lied(&candidate.base),
        }
        if let Err(error) = &asked
            && !matches!(error, AskError::Absent)
        {
            tracing::debug!(cache = %candidate.base, %path, %error, "another cache was of no help");
        }
        asked
    }

    async fn ask_unnoted(
        &self,
        candidate: &Candidate,
        cache: &Cache,
        path: &StorePathHash,
    ) -> Result<Verified, AskError> {
        let unusable = |why: &str| AskError::Unusable(why.to_owned());
        let url = candidate.base.join(&format!("{path}.narinfo")).map_err(|_| unusable("has no URL"))?;
        let answer = self.client.get(&url, self.asker(&candidate.source)).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => return Err(AskError::Absent),
            status => return Err(AskError::Status(status)),
        }
        let text = read_body(answer, LONGEST_NARINFO).await?;
        let text = std::str::from_utf8(&text).map_err(|_| unusable("is not text"))?;
        let narinfo =
            NarInfo::parse(text).map_err(|error| AskError::Unusable(format!("is malformed: {error}")))?;
        if narinfo.store_path.hash() != path {
            return Err(unusable("is about another path"));
        }
        let keys = candidate
            .public_keys
            .iter()
            .chain(&cache.config().trusted_public_keys)
            .cloned()
            .collect::<Vec<_>>();
        if !is_signed(&narinfo, &keys) {
            return Err(AskError::Untrusted);
        }
        let (file_hash, file_size) =
            file_of(&narinfo).ok_or_else(|| unusable("does not say what the file of its NAR is"))?;
        within(&candidate.base, &narinfo.url).ok_or_else(|| unusable("has a URL outside of its cache"))?;
        let ticket = Ticket {
            source: candidate.source.clone(),
            url: narinfo.url.clone(),
            path: *path,
            file: NarFileName { file_hash, compression: narinfo.compression },
            file_size,
            nar_hash: narinfo.nar_hash,
            nar_size: narinfo.nar_size,
        };
        Ok(Verified { narinfo, ticket })
    }

    /// As whom we ask: nodes of the network answer nodes from what they have.
    pub(super) fn asker(&self, source: &Source) -> Option<::federation::NodeId> {
        match source {
            Source::Peer(_) => self.network().map(|network| network.id()),
            Source::Here(_) | Source::Upstream(_) => None,
        }
    }
}

fn is_signed(narinfo: &NarInfo, keys: &[PublicKey]) -> bool {
    let fingerprint = narinfo.fingerprint();
    narinfo.signatures.iter().any(|signature| keys.iter().any(|key| key.verify(&fingerprint, signature)))
}

/// Hash and size of the file. A cache need not tell them; without compression they are those of the NAR.
fn file_of(narinfo: &NarInfo) -> Option<(FileHash, u64)> {
    let uncompressed = narinfo.compression == Compression::None;
    let file_hash = narinfo
        .file_hash
        .or_else(|| uncompressed.then(|| FileHash::from_bytes(*narinfo.nar_hash.as_bytes())))?;
    let file_size = narinfo.file_size.or_else(|| uncompressed.then_some(narinfo.nar_size))?;
    (file_size > 0).then_some((file_hash, file_size))
}
