//! Rules about the sources that the compiler does not check.

mod error_texts;
mod floors;
mod wordings;

use std::fs;
use std::path::{Path, PathBuf};

/// Returns every Rust source file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
