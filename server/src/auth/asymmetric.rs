//! Signatures of OpenID providers for [`jsonwebtoken`], verified by ring.

use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// A public key for one algorithm.
struct PublicKey {
    algorithm: Algorithm,
    key: Kind,
}

enum Kind {
    Rsa { parameters: &'static RsaParameters, modulus: Vec<u8>, exponent: Vec<u8> },
    Other { parameters: &'static dyn VerificationAlgorithm, bytes: Vec<u8> },
}

/// Verifies with a key that is for this algorithm. RSA keys have at least 2048 bits.
pub(super) fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let rsa = |parameters: &'static RsaParameters| match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Kind::Rsa {
            parameters,
            modulus: without_leading_zeros(n),
            exponent: without_leading_zeros(e),
        }),
        DecodingKeyKind::SecretOrDer(_) => Err(ErrorKind::InvalidKeyFormat),
    };
    let other = |parameters: &'static dyn VerificationAlgorithm| {
        let bytes = key.try_get_as_bytes().map_err(|_| ErrorKind::InvalidKeyFormat)?.to_vec();
        Ok(Kind::Other { parameters, bytes })
    };
    let key = match algorithm {
        Algorithm::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => rsa(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => rsa(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => rsa(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => other(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => other(&ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => other(&ED25519),
        _ => Err(ErrorKind::InvalidAlgorithm),
    };
    Ok(Box::new(PublicKey { algorithm, key: key? }))
}

/// Numbers as ring takes them.
fn without_leading_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let verified = match &self.key {
            Kind::Rsa { parameters, modulus, exponent } => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature)
            }
            Kind::Other { parameters, bytes } => {
                UnparsedPublicKey::new(*parameters, bytes).verify(message, signature)
            }
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3: ES256.
    const P256: (&str, &str) =
        ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    /// RFC 8037, appendix A.4: Ed25519.
    const ED25519_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const ED25519_SIGNED: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const ED25519_SIGNATURE: &str =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    #[test]
    fn the_examples_of_the_standards_are_verified() {
        super::super::crypto::install();
        let verify = |signature: &str, message: &str, key: &DecodingKey, algorithm| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap()
        };
        let key = DecodingKey::from_ec_components(P256.0, P256.1).unwrap();
        assert!(verify(SIGNATURE, SIGNED, &key, Algorithm::ES256));
        assert!(!verify(SIGNATURE, &SIGNED[1..], &key, Algorithm::ES256));
        let key = DecodingKey::from_ed_components(ED25519_KEY).unwrap();
        assert!(verify(ED25519_SIGNATURE, ED25519_SIGNED, &key, Algorithm::EdDSA));
        assert!(!verify(ED25519_SIGNATURE, SIGNED, &key, Algorithm::EdDSA));
    }

    #[test]
    fn a_key_is_for_algorithms_of_its_kind_alone() {
        let curve = DecodingKey::from_ec_components(P256.0, P256.1).unwrap();
        for algorithm in [Algorithm::HS256, Algorithm::HS512, Algorithm::RS256, Algorithm::EdDSA] {
            assert!(verifier(algorithm, &curve).is_err(), "{algorithm:?}");
        }
        // The public key as the secret of an HMAC is the oldest forgery of all.
        assert!(verifier(Algorithm::ES256, &DecodingKey::from_secret(b"secret")).is_err());
    }
}
