//! A Nix store, asked through the `nix` command line: the store of this machine (`daemon`, `auto`), or any that `nix --store` knows.
//!
//! The store keeps no NARs, so they are made and compressed here.

use std::collections::{HashMap, VecDeque};
use std::process::Stdio;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use nix_formats::{Compression, NarHash, NarInfo, Signature, StorePath, StorePathHash};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Mutex;

use super::source::{Nar, SourceError};
use crate::chain::chain;

/// The level of zstd.
const LEVEL: i32 = 3;
/// Bytes that are compressed at once.
const PIECE: usize = 256 << 10;
/// Paths that Nix describes at once. One call takes as long as describing some hundred paths.
const BATCH: usize = 200;

pub(super) struct NixStore {
    /// The store, as `nix --store` takes it.
    url: String,
    known: Mutex<Known>,
}

/// What is known of the store so far.
#[derive(Default)]
struct Known {
    /// The whole names of its paths; none before somebody needs them.
    names: Option<HashMap<StorePathHash, StorePath>>,
    /// The paths that were listed and not described yet, in the order of the list.
    listed: VecDeque<StorePath>,
    /// Those that were described with others and not asked for yet.
    described: HashMap<StorePathHash, NarInfo>,
}

impl NixStore {
    pub(super) async fn open(text: &str) -> Result<Self, SourceError> {
        if text.is_empty() || text.starts_with('-') {
            return Err(SourceError::Unusable(format!("`{text}` is neither a URL nor a Nix store")));
        }
        let store = Self { url: text.to_owned(), known: Mutex::default() };
        // Shows whether the command is there, and the store.
        store.nix(&["store", "ping"], &[]).await.map_err(|error| match error {
            SourceError::Unavailable(reason) => SourceError::Unusable(reason),
            error => error,
        })?;
        Ok(store)
    }

    pub(super) async fn list(&self) -> Result<Vec<StorePathHash>, SourceError> {
        let mut known = self.known.lock().await;
        let paths: Vec<StorePath> = self.names(&mut known).await?.values().cloned().collect();
        // What builds something is no use to those who fetch it.
        known.listed = paths.into_iter().filter(|path| !path.name().ends_with(".drv")).collect();
        Ok(known.listed.iter().map(|path| *path.hash()).collect())
    }

    pub(super) async fn narinfo(&self, hash: &StorePathHash) -> Result<NarInfo, SourceError> {
        let mut known = self.known.lock().await;
        if let Some(narinfo) = known.described.remove(hash) {
            return Ok(narinfo);
        }
        let count = known.listed.len().min(BATCH);
        let batch: Vec<String> = known.listed.drain(..count).map(|path| path.to_full_path()).collect();
        if !batch.is_empty() {
            let described = self.describe(&[], &batch).await?;
            known.described.extend(described);
            if let Some(narinfo) = known.described.remove(hash) {
                return Ok(narinfo);
            }
        }
        let path = self.names(&mut known).await?.get(hash).map(StorePath::to_full_path);
        let path = path.ok_or(SourceError::Absent("it"))?;
        // What it refers to may be asked for next.
        let described = self.describe(&["--recursive"], &[path]).await?;
        known.described.extend(described);
        known.described.remove(hash).ok_or(SourceError::Absent("it"))
    }

    pub(super) async fn nar(&self, narinfo: &NarInfo) -> Result<Nar, SourceError> {
        let path = narinfo.store_path.to_full_path();
        let mut command = self.command(&["store", "dump-path"], &[path]);
        let mut child = command.spawn().map_err(|error| SourceError::Unavailable(error.to_string()))?;
        let output = child.stdout.take().ok_or(SourceError::Absent("its NAR"))?;
        Ok(Nar { body: compressed(child, output), size: None, compression: Compression::Zstd, name: None })
    }

    /// The names of all paths by their hashes. Nix takes whole names only.
    async fn names<'k>(
        &self,
        known: &'k mut Known,
    ) -> Result<&'k HashMap<StorePathHash, StorePath>, SourceError> {
        let names = match known.names.take() {
            Some(names) => names,
            None => {
                let text = self.nix(&["path-info", "--all"], &[]).await?;
                let paths = text.lines().filter_map(|line| StorePath::from_full_path(line).ok());
                paths.map(|path| (*path.hash(), path)).collect()
            }
        };
        Ok(known.names.insert(names))
    }

    async fn describe(
        &self,
        options: &[&str],
        paths: &[String],
    ) -> Result<Vec<(StorePathHash, NarInfo)>, SourceError> {
        let text = self.nix(&[&["path-info", "--json"], options].concat(), paths).await?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| SourceError::Unusable(format!("`nix path-info` printed no JSON: {error}")))?;
        let described = described(&value).into_iter();
        Ok(described.map(|narinfo| (*narinfo.store_path.hash(), narinfo)).collect())
    }

    async fn nix(&self, arguments: &[&str], paths: &[String]) -> Result<String, SourceError> {
        let output = self.command(arguments, paths).stderr(Stdio::piped()).output().await;
        let output = output.map_err(|error| {
            SourceError::Unavailable(format!("cannot run `nix`, which must be in the daemon's PATH: {error}"))
        })?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let mut errors = complaint.lines().filter(|line| line.starts_with("error:"));
            let line = errors.next_back().unwrap_or("it printed no error");
            return Err(SourceError::Unavailable(format!("`nix {}` failed: {line}", arguments.join(" "))));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| SourceError::Unusable("`nix` printed what is not UTF-8".to_owned()))
    }

    fn command(&self, arguments: &[&str], paths: &[String]) -> Command {
        let mut command = Command::new("nix");
        command
            .args(["--extra-experimental-features", "nix-command"])
            // Only the store itself is asked.
            .args(["--option", "substituters", ""])
            .args(arguments)
            .args(["--store", &self.url])
            .args(paths)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Reads what `nix path-info --json` prints: a list up to Nix 2.18, an object by path from then on, later within another object.
/// Paths that it does not know, or describes in another way, are left out.
fn described(value: &Value) -> Vec<NarInfo> {
    match value {
        Value::Array(list) => list.iter().filter_map(|info| narinfo(info["path"].as_str()?, info)).collect(),
        Value::Object(object) => match object.get("info") {
            Some(inner) => described(inner),
            None => object.iter().filter_map(|(path, info)| narinfo(path, info)).collect(),
        },
        _ => Vec::new(),
    }
}

fn narinfo(path: &str, info: &Value) -> Option<NarInfo> {
    let texts = |name: &str| {
        let list = info[name].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let references = texts("references").iter().map(|path| store_path(path)).collect::<Option<_>>()?;
    Some(NarInfo {
        store_path: store_path(path)?,
        url: "nar".to_owned(),
        compression: Compression::Zstd,
        file_hash: None,
        file_size: None,
        nar_hash: NarHash::parse(info["narHash"].as_str()?).ok()?,
        nar_size: info["narSize"].as_u64().filter(|size| *size > 0)?,
        references,
        deriver: info["deriver"].as_str().and_then(store_path),
        signatures: texts("signatures").iter().filter_map(|text| Signature::parse(text).ok()).collect(),
        ca: info["ca"].as_str().filter(|ca| !ca.is_empty()).map(str::to_owned),
    })
}

/// Older versions write whole paths, newer ones base names.
fn store_path(text: &str) -> Option<StorePath> {
    StorePath::from_full_path(text).or_else(|_| StorePath::from_base_name(text)).ok()
}

/// The output of a process, compressed. An error at its end if the process fails. It is killed if nobody reads on.
fn compressed(child: Child, output: ChildStdout) -> BoxStream<'static, Result<Bytes, String>> {
    let state = Compressing { child, output, encoder: None, has_ended: false };
    let pieces = stream::try_unfold(state, |mut state| async move {
        let piece = state.next().await?;
        Ok(piece.map(|piece| (piece, state)))
    });
    pieces.boxed()
}

type Encoder = zstd::stream::write::Encoder<'static, Vec<u8>>;

struct Compressing {
    child: Child,
    output: ChildStdout,
    /// None before the first piece.
    encoder: Option<Encoder>,
    has_ended: bool,
}

impl Compressing {
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        while !self.has_ended {
            let mut piece = Vec::with_capacity(PIECE);
            let mut part = (&mut self.output).take(PIECE as u64);
            part.read_to_end(&mut piece).await.map_err(|error| error.to_string())?;
            let is_last = piece.len() < PIECE;
            if is_last {
                self.has_ended = true;
                let status = self.child.wait().await.map_err(|error| error.to_string())?;
                if !status.success() {
                    return Err(format!("`nix store dump-path` failed: {status}"));
                }
            }
            let encoder = self.encoder.take();
            let (encoder, bytes) = crate::cache::blocking(move || compress(encoder, &piece, is_last))
                .await
                .map_err(|error| chain(&error))?
                .map_err(|error| error.to_string())?;
            self.encoder = encoder;
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }
}

fn compress(
    encoder: Option<Encoder>,
    piece: &[u8],
    is_last: bool,
) -> std::io::Result<(Option<Encoder>, Vec<u8>)> {
    use std::io::Write as _;
    let mut encoder = match encoder {
        Some(encoder) => encoder,
        None => Encoder::new(Vec::new(), LEVEL)?,
    };
    encoder.write_all(piece)?;
    if is_last {
        return Ok((None, encoder.finish()?));
    }
    let bytes = std::mem::take(encoder.get_mut());
    Ok((Some(encoder), bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq";

    fn info(references: &[String]) -> Value {
        json!({
            "narHash": "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", "narSize": 120, "references": references,
            "deriver": format!("/nix/store/{HASH}-a.drv"), "signatures": ["k:nonsense"], "ca": null,
        })
    }

    #[test]
    fn what_each_version_of_nix_prints_is_read() {
        let path = format!("/nix/store/{HASH}-a");
        let mut old = info(std::slice::from_ref(&path));
        old["path"] = json!(path);
        let base_name = format!("{HASH}-a");
        let new = info(std::slice::from_ref(&base_name));
        for text in [
            json!([old, {"path": "/nix/store/x", "valid": false}]),
            json!({path.as_str(): info(std::slice::from_ref(&path)), "/nix/store/x": null}),
            json!({"version": 2, "info": {base_name.as_str(): new}}),
        ] {
            let described = described(&text);
            assert_eq!(described.len(), 1, "{text}");
            assert_eq!(described[0].store_path.to_full_path(), path);
            assert_eq!(described[0].references, [described[0].store_path.clone()]);
            assert_eq!(described[0].nar_size, 120);
            assert!(described[0].deriver.is_some() && described[0].signatures.is_empty());
        }
    }
}
