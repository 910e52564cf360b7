//! The parts of a token of a provider.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Refusal;

/// Largest token in bytes. Those of GitHub have about 1500.
const MOST: usize = 16 << 10;

/// The header of a token (RFC 7515, section 4.1), as far as it matters here.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// The signature algorithm.
    pub alg: String,
    /// The key.
    #[serde(default)]
    pub kid: Option<String>,
    /// What kind of token it is.
    #[serde(default)]
    pub typ: Option<String>,
    /// Extensions that must be understood.
    #[serde(default)]
    pub crit: Option<Value>,
}

/// A token whose signature was not verified: nothing in it is true yet.
#[derive(Debug)]
pub struct Unverified {
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
}

impl Unverified {
    /// Takes a token apart.
    ///
    /// # Errors
    ///
    /// If it is no JSON Web Token in the compact form.
    pub fn parse(token: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::wrong("token", "it is not a JSON Web Token");
        if token.len() > MOST {
            return Err(malformed());
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        Ok(Self {
            header: serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?,
            claims: serde_json::from_slice(&decode(claims)?).map_err(|_| malformed())?,
        })
    }

    /// The issuer that it claims to be of.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }
}
