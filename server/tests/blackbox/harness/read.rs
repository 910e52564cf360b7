//! Checks that a path can be read and is what was pushed.

use sha2::{Digest as _, Sha256};

use super::{Endpoint, NarInfo, Path, Response};

/// A cache as a reader sees it.
#[derive(Clone)]
pub struct Reader {
    pub endpoint: Endpoint,
    /// What stands before `/HASH.narinfo`; empty at the root of a host.
    pub prefix: String,
    /// For private caches.
    pub token: Option<String>,
}

impl Reader {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, prefix: String::new(), token: None }
    }

    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub fn below(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    #[track_caller]
    pub fn get(&self, rest: &str) -> Response {
        let request = self.endpoint.get(&format!("{}/{rest}", self.prefix));
        match &self.token {
            Some(token) => request.basic("", token).send(),
            None => request.send(),
        }
    }

    /// The status of the path's narinfo.
    #[track_caller]
    pub fn narinfo_status(&self, path: &Path) -> u16 {
        self.get(&format!("{}.narinfo", path.hash)).status
    }

    #[track_caller]
    pub fn narinfo(&self, path: &Path) -> NarInfo {
        NarInfo::parse(self.get(&format!("{}.narinfo", path.hash)).expect(200).text())
    }

    /// Reads narinfo and NAR and compares all of it with what was pushed.
    #[track_caller]
    pub fn assert_has(&self, path: &Path) -> NarInfo {
        let info = self.narinfo(path);
        assert_eq!(info.store_path, path.store_path());
        assert_eq!(info.compression, path.compression.narinfo_name());
        assert_eq!(info.nar_hash, path.nar_hash());
        assert_eq!(info.nar_size, path.nar.len() as u64);
        assert_eq!(info.references, path.references);
        assert_eq!(info.deriver, path.deriver);

        let reply = self.get(&info.url).expect(200);
        assert_eq!(reply.body.len() as u64, info.file_size, "size of {}", info.url);
        assert_eq!(Sha256::digest(&reply.body).to_vec(), info.file_hash_bytes(), "hash of {}", info.url);
        assert!(path.compression.decompress(&reply.body) == path.nar, "{} has another NAR", info.url);
        info
    }

    /// There is no trace of the path: neither narinfo nor, under the name its file would have, a NAR.
    #[track_caller]
    pub fn assert_lacks(&self, path: &Path) {
        assert_eq!(self.narinfo_status(path), 404, "narinfo of {}", path.base_name());
        for hash in [path.file_hash_hex(), path.file_hash_nix32()] {
            let url = format!("nar/{hash}.nar.{}", path.compression.extension());
            assert_eq!(self.get(&url).status, 404, "{url}");
        }
    }
}

impl super::Site {
    /// The cache at NAME.HOST, with a read token.
    #[track_caller]
    pub fn reader(&self, cache: &str) -> Reader {
        let token = self.token(cache, super::Permission::Read);
        Reader::new(self.cache(cache)).with_token(&token)
    }
}
