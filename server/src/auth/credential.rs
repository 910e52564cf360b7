//! The text of an `Authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A token as a client presented it, not verified yet.
///
/// `cachix` sends `Bearer TOKEN`, and `Bearer ` with nothing behind it when it has no token. Nix sends what its netrc
/// file holds as Basic; the user name there is arbitrary and ignored.
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// Reads the value of an `Authorization` header. `None` means anonymous: no header, an empty token, or a scheme
    /// that no client of ours uses.
    pub fn from_header(value: Option<&str>) -> Option<Self> {
        let value = value?.trim();
        let (scheme, rest) = value.split_once(' ')?;
        let rest = rest.trim();
        let token = if scheme.eq_ignore_ascii_case("bearer") {
            Zeroizing::new(rest.to_owned())
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = Zeroizing::new(STANDARD.decode(rest).ok()?);
            let text = std::str::from_utf8(&decoded).ok()?;
            let (_user, password) = text.split_once(':')?;
            Zeroizing::new(password.to_owned())
        } else {
            return None;
        };
        (!token.is_empty()).then_some(Self(token))
    }

    /// The token itself.
    pub fn token(&self) -> &str {
        &self.0
    }
}
