//! Paths, permissions and groups.

use std::path::{Component, Path, PathBuf};

use crate::config::keys::Kind;
use crate::config::wrong::{Wrong, shown};

/// Permission bits of a file, in octal digits.
pub fn mode(text: &str) -> Result<u32, Wrong> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let expected = Kind::Mode.expected();
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
        Ok(_) if is_octal => Err(Wrong::because(format!("{} is out of range", shown(text)), expected)),
        _ => Err(Wrong::new(text, expected)),
    }
}

/// The name or number of a group.
pub fn group(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains([':', '/']) || text.contains(char::is_whitespace) {
        return Err(Wrong::new(text, Kind::Group.expected()));
    }
    Ok(text.to_owned())
}

/// A path, absolute or not.
pub fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() {
        return Err(Wrong::because("is empty", Kind::Path.expected()));
    }
    if text == "~" || text.starts_with("~/") {
        let wrong = Wrong::new(text, Kind::Path.expected());
        return Err(wrong.suggest("`~` is not expanded, write the home directory out"));
    }
    Ok(PathBuf::from(text))
}

/// `path` relative to `base`, without `.` and `..`. Symbolic links are not followed.
pub fn resolve(base: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    resolved
}
