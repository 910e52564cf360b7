use super::{NarInfo, NarInfoError};
use crate::{Compression, FileHash, NarHash, ParseHashError, Signature, StorePath, StorePathError};

/// The value of a `Deriver` line for an unknown deriver.
const UNKNOWN_DERIVER: &str = "unknown-deriver";
/// Most signatures that are kept of a narinfo. Real ones have a handful.
const MOST_SIGNATURES: usize = 256;

/// The raw values of the fields seen.
#[derive(Default)]
struct Fields<'a> {
    store_path: Option<&'a str>,
    url: Option<&'a str>,
    compression: Option<&'a str>,
    file_hash: Option<&'a str>,
    file_size: Option<&'a str>,
    nar_hash: Option<&'a str>,
    nar_size: Option<&'a str>,
    references: Option<&'a str>,
    deriver: Option<&'a str>,
    ca: Option<&'a str>,
    signatures: Vec<Signature>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, field: &str, value: &'a str) -> Result<(), NarInfoError> {
        let (name, slot) = match field {
            "StorePath" => ("StorePath", &mut self.store_path),
            "URL" => ("URL", &mut self.url),
            "Compression" => ("Compression", &mut self.compression),
            "FileHash" => ("FileHash", &mut self.file_hash),
            "FileSize" => ("FileSize", &mut self.file_size),
            "NarHash" => ("NarHash", &mut self.nar_hash),
            "NarSize" => ("NarSize", &mut self.nar_size),
            "References" => ("References", &mut self.references),
            "Deriver" => ("Deriver", &mut self.deriver),
            "CA" => ("CA", &mut self.ca),
            "Sig" => {
                // Nix keeps other kinds of signatures as text and ignores those that it cannot verify.
                if self.signatures.len() < MOST_SIGNATURES
                    && let Ok(signature) = Signature::parse(value)
                {
                    self.signatures.push(signature);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        if slot.replace(value).is_some() {
            return Err(NarInfoError::Duplicate(name));
        }
        Ok(())
    }
}

pub(super) fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
    let mut fields = Fields::default();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let (field, value) = line
            .strip_suffix('\n')
            .and_then(|line| line.split_once(": "))
            .filter(|(field, _)| !field.contains(':'))
            .ok_or(NarInfoError::Line { line: index + 1 })?;
        fields.take(field, value)?;
    }
    let nar_size = size("NarSize", mandatory("NarSize", fields.nar_size)?)?;
    if nar_size == 0 {
        return Err(NarInfoError::Size("NarSize"));
    }
    Ok(NarInfo {
        store_path: store_path(
            "StorePath",
            mandatory("StorePath", fields.store_path)?,
            StorePath::from_full_path,
        )?,
        url: word("URL", mandatory("URL", fields.url)?)?,
        compression: match fields.compression {
            None | Some("") => Compression::Bzip2,
            Some(name) => Compression::from_narinfo_name(name)?,
        },
        file_hash: fields.file_hash.map(|value| hash("FileHash", value, FileHash::parse)).transpose()?,
        file_size: fields.file_size.map(|value| size("FileSize", value)).transpose()?,
        nar_hash: hash("NarHash", mandatory("NarHash", fields.nar_hash)?, NarHash::parse)?,
        nar_size,
        references: fields
            .references
            .unwrap_or_default()
            .split(' ')
            .filter(|reference| !reference.is_empty())
            .map(|reference| store_path("References", reference, StorePath::from_base_name))
            .collect::<Result<_, _>>()?,
        deriver: fields
            .deriver
            .filter(|deriver| *deriver != UNKNOWN_DERIVER)
            .map(|deriver| store_path("Deriver", deriver, StorePath::from_base_name))
            .transpose()?,
        signatures: fields.signatures,
        ca: fields.ca.filter(|ca| !ca.is_empty()).map(|ca| word("CA", ca)).transpose()?,
    })
}

fn mandatory<'a>(field: &'static str, value: Option<&'a str>) -> Result<&'a str, NarInfoError> {
    value.ok_or(NarInfoError::Missing(field))
}

fn store_path(
    field: &'static str,
    value: &str,
    read: fn(&str) -> Result<StorePath, StorePathError>,
) -> Result<StorePath, NarInfoError> {
    read(value).map_err(|source| NarInfoError::StorePath { field, source })
}

fn hash<H>(
    field: &'static str,
    value: &str,
    read: fn(&str) -> Result<H, ParseHashError>,
) -> Result<H, NarInfoError> {
    read(value).map_err(|source| NarInfoError::Hash { field, source })
}

fn size(field: &'static str, value: &str) -> Result<u64, NarInfoError> {
    // u64's own parser would take a plus sign.
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NarInfoError::Size(field));
    }
    value.parse().map_err(|_| NarInfoError::Size(field))
}

fn word(field: &'static str, value: &str) -> Result<String, NarInfoError> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control();
    if value.is_empty() || value.contains(forbidden) {
        return Err(NarInfoError::Word(field));
    }
    Ok(value.to_owned())
}
