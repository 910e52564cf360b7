//! HMAC with SHA-256 for [`jsonwebtoken`]: tokens of this server are signed with a key that only the server has.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use sha2::Sha256;

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(key: &[u8], algorithm: Algorithm, family: AlgorithmFamily) -> Result<Box<Self>> {
        if algorithm != Algorithm::HS256 || family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Box::new(Self(mac)))
    }
}

pub(super) fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Ok(Hs256::new(key.as_bytes(), *algorithm, key.family())?)
}

pub(super) fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Ok(Hs256::new(key.try_get_as_bytes()?, *algorithm, key.family())?)
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        // Takes the same time wherever the first wrong byte is.
        let verified = self.0.clone().chain_update(message).verify_slice(signature);
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The key and the token of RFC 7515, appendix A.1.
    const KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const SIGNED: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn the_example_of_the_standard_is_signed_and_verified() {
        super::super::crypto::install();
        let encoding = EncodingKey::from_urlsafe_base64_secret(&format!("{KEY}==")).unwrap();
        let signature = jsonwebtoken::crypto::sign(SIGNED.as_bytes(), &encoding, Algorithm::HS256).unwrap();
        assert_eq!(signature, SIGNATURE);
        let decoding = DecodingKey::from_secret(encoding.as_bytes());
        let verify = |signature: &str, message: &str| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &decoding, Algorithm::HS256).unwrap()
        };
        assert!(verify(SIGNATURE, SIGNED));
        assert!(!verify(SIGNATURE, &SIGNED[1..]));
        assert!(!verify(&SIGNATURE.replacen('d', "e", 1), SIGNED));
    }

    #[test]
    fn no_other_algorithm_is_taken() {
        let key = EncodingKey::from_secret(b"secret");
        assert!(signer(&Algorithm::HS384, &key).is_err());
        assert!(signer(&Algorithm::RS256, &key).is_err());
        assert!(verifier(&Algorithm::RS256, &DecodingKey::from_secret(b"secret")).is_err());
    }
}
