//! URLs that authorise the upload of one part and nothing else.
//!
//! The client sends no token with the part itself (protocol reference 4.5), so its URL carries proof: an HMAC over
//! cache, upload, part number, MD5 and time of expiry.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog::UnixTime;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;
use uuid::Uuid;

use crate::derived_key::derive_mac;

/// Longest time that a part URL is valid. It has to outlast the client's retries and the transfers that precede the part.
const LONGEST_VALIDITY: Duration = Duration::from_secs(6 * 3600);

/// The key of part URLs, derived from the server's key.
pub struct PartUrlKey {
    mac: Hmac<Sha256>,
    /// The previous key, whose URLs clients still have.
    former: Option<Hmac<Sha256>>,
    validity: Duration,
}

impl PartUrlKey {
    /// Derives the key from the server's, so that no signature made for another purpose is valid here. No URL outlives the
    /// `upload_expiry`.
    pub fn derive(server_key: &[u8], upload_expiry: Duration) -> Self {
        Self {
            mac: derive_mac(server_key, "cache-server part url v1"),
            former: None,
            validity: upload_expiry.min(LONGEST_VALIDITY),
        }
    }

    /// Lets the key verify URLs that `former` has signed as well.
    pub fn after(self, former: &Self) -> Self {
        Self { former: Some(former.mac.clone()), ..self }
    }
}

/// The upload that a part URL permits.
pub struct SignedPart {
    upload: Uuid,
    number: u32,
    md5: [u8; 16],
    expires: i64,
}

/// The query of a part URL.
#[derive(Deserialize)]
pub struct PartUrlQuery {
    md5: String,
    expires: i64,
    signature: String,
}

impl SignedPart {
    /// Permits the upload of this part from now on, for the validity of `key`.
    pub fn new(key: &PartUrlKey, upload: Uuid, number: u32, md5: [u8; 16]) -> Self {
        let validity = i64::try_from(key.validity.as_secs()).unwrap_or(i64::MAX);
        Self { upload, number, md5, expires: UnixTime::now().0.saturating_add(validity) }
    }

    /// Returns path and query of the URL.
    pub fn sign(&self, key: &PartUrlKey, cache: &str) -> String {
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&key.mac, cache).finalize().into_bytes());
        let md5 = URL_SAFE_NO_PAD.encode(self.md5);
        let Self { upload, number, expires, .. } = self;
        format!(
            "/api/v1/cache/{cache}/multipart-nar/{upload}/part/{number}\
             ?md5={md5}&expires={expires}&signature={signature}"
        )
    }

    /// Verifies a URL and returns the MD5 that the part must have. `None` if the URL is forged or expired.
    pub fn verify(
        key: &PartUrlKey,
        cache: &str,
        upload: Uuid,
        number: u32,
        query: &PartUrlQuery,
    ) -> Option<[u8; 16]> {
        let md5 = URL_SAFE_NO_PAD.decode(&query.md5).ok()?.try_into().ok()?;
        let url = Self { upload, number, md5, expires: query.expires };
        let signature = URL_SAFE_NO_PAD.decode(&query.signature).ok()?;
        // Compares in constant time.
        let is_by = |mac| url.mac(mac, cache).verify_slice(&signature).is_ok();
        if !is_by(&key.mac) && !key.former.as_ref().is_some_and(is_by) {
            return None;
        }
        (query.expires > UnixTime::now().0).then_some(md5)
    }

    fn mac(&self, key: &Hmac<Sha256>, cache: &str) -> Hmac<Sha256> {
        let mut mac = key.clone();
        // The length comes first, so that no two different URLs give the same bytes.
        mac.update(&(cache.len() as u64).to_be_bytes());
        mac.update(cache.as_bytes());
        mac.update(self.upload.as_bytes());
        mac.update(&self.number.to_be_bytes());
        mac.update(&self.md5);
        mac.update(&self.expires.to_be_bytes());
        mac
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn query(url: &str) -> PartUrlQuery {
        serde_yaml::from_str(&url.split_once('?').unwrap().1.replace('&', "\n").replace('=', ": ")).unwrap()
    }

    #[test]
    fn only_the_signed_part_of_the_signed_upload_is_permitted() {
        let key = PartUrlKey::derive(b"secret", Duration::MAX);
        let upload = Uuid::new_v4();
        let url = SignedPart::new(&key, upload, 3, [7; 16]).sign(&key, "main");
        assert_eq!(SignedPart::verify(&key, "main", upload, 3, &query(&url)), Some([7; 16]));
        assert_eq!(SignedPart::verify(&key, "main", upload, 4, &query(&url)), None);
        assert_eq!(SignedPart::verify(&key, "other", upload, 3, &query(&url)), None);
        assert_eq!(SignedPart::verify(&key, "main", Uuid::new_v4(), 3, &query(&url)), None);
        assert_eq!(
            SignedPart::verify(&PartUrlKey::derive(b"else", Duration::MAX), "main", upload, 3, &query(&url)),
            None
        );
        let later = PartUrlQuery { expires: i64::MAX, ..query(&url) };
        assert_eq!(SignedPart::verify(&key, "main", upload, 3, &later), None);
    }

    #[test]
    fn an_expired_url_permits_nothing() {
        let key = PartUrlKey::derive(b"secret", Duration::MAX);
        let upload = Uuid::new_v4();
        let url = SignedPart { expires: UnixTime::now().0 - 1, ..SignedPart::new(&key, upload, 1, [0; 16]) }
            .sign(&key, "main");
        assert_eq!(SignedPart::verify(&key, "main", upload, 1, &query(&url)), None);
    }
}
