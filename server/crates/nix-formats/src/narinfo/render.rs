use std::fmt;

use super::NarInfo;
use crate::STORE_DIR;

impl fmt::Display for NarInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "StorePath: {STORE_DIR}/{}", self.store_path)?;
        writeln!(f, "URL: {}", first_line(&self.url))?;
        writeln!(f, "Compression: {}", self.compression)?;
        if let Some(hash) = &self.file_hash {
            writeln!(f, "FileHash: {}", hash.to_prefixed())?;
        }
        if let Some(size) = self.file_size {
            writeln!(f, "FileSize: {size}")?;
        }
        writeln!(f, "NarHash: {}", self.nar_hash.to_prefixed())?;
        writeln!(f, "NarSize: {}", self.nar_size)?;
        f.write_str("References:")?;
        if self.references.is_empty() {
            // Nix takes the value from the second byte after the colon on; without the space that is the next line.
            f.write_str(" ")?;
        }
        for reference in &self.references {
            write!(f, " {reference}")?;
        }
        f.write_str("\n")?;
        if let Some(deriver) = &self.deriver {
            writeln!(f, "Deriver: {deriver}")?;
        }
        for signature in &self.signatures {
            writeln!(f, "Sig: {signature}")?;
        }
        if let Some(ca) = &self.ca {
            writeln!(f, "CA: {}", first_line(ca))?;
        }
        Ok(())
    }
}

/// A value in a public field must not be able to add lines.
fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).next().unwrap_or_default()
}
