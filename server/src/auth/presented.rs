//! What somebody presents who has no token of this server, and the token of this server that stands for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog::{SessionRecord, UnixTime};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{AuthError, Tokens, session};
use crate::chain::chain;
use crate::config::Config;
use crate::limits::connections::Peer;
use crate::tls::ClientCertificate;

/// How long a token lasts that stands for something else within one request, in seconds. It may be passed on to another daemon, and
/// begins the upload that goes on without it.
const WITHIN_A_REQUEST: i64 = 600;

/// What has to be done with what somebody presents before a request is answered.
pub enum Preparation {
    /// Nothing.
    Nothing,
    /// This token of ours stands for it.
    Replace(Zeroizing<String>),
    /// It has to be verified, see [`Tokens::prepare`].
    Verify,
}

/// A token of this server that was given in exchange.
pub struct Exchanged {
    /// The token.
    pub token: Zeroizing<String>,
    /// How many seconds it lasts.
    pub lifetime: u64,
    /// What it stands for.
    pub session: SessionRecord,
}

impl Tokens {
    /// Whether anybody may come without a token of this server, or with one that was given in exchange.
    pub fn knows_sessions(&self) -> bool {
        self.oidc.is_configured()
    }

    /// What the configuration says about OpenID providers and certificates from now on.
    pub fn apply_reload(&self, config: &Config) {
        self.oidc.set_config(config);
        self.sessions.judge_again(&self.oidc);
        self.doubts.clear();
    }

    /// What has to be done with a token.
    pub fn preparation(&self, token: &str) -> Preparation {
        match kind(token) {
            Kind::Ours => Preparation::Nothing,
            Kind::OfSession(Some(id)) if self.sessions.find(id).is_some() => Preparation::Nothing,
            Kind::OfSession(_) => Preparation::Verify,
            Kind::Other => match self.sessions.find_proved(token.as_bytes()) {
                Some(session) => Preparation::Replace(self.stand_in(&session.record)),
                None if self.doubts.about(token).is_some() => Preparation::Nothing,
                None if self.oidc.is_candidate(token) => Preparation::Verify,
                None => Preparation::Nothing,
            },
        }
    }

    /// What has to be done with a certificate.
    pub fn preparation_of_certificate(&self, certificate: &ClientCertificate) -> Preparation {
        match self.sessions.find_proved(&certificate.fingerprint) {
            Some(session) => Preparation::Replace(self.stand_in(&session.record)),
            None => Preparation::Verify,
        }
    }

    /// Verifies a token that [`Preparation::Verify`] was said of. Returns the token of ours that stands for it. `None` if it stands for
    /// itself, and if it is refused: then [`Tokens::verify`] refuses it as well.
    pub async fn prepare(&self, token: &str, client: Option<Peer>) -> Option<Zeroizing<String>> {
        let prepared = match kind(token) {
            Kind::OfSession(_) => self.find_elsewhere(token).await.map(|()| None),
            Kind::Ours | Kind::Other => self.prove(token, client).await.map(Some),
        };
        match prepared {
            Ok(session) => session.map(|session| self.stand_in(&session)),
            Err(error) => {
                self.doubts.note(token, error);
                None
            }
        }
    }

    /// The same for a certificate.
    pub async fn prepare_certificate(&self, certificate: &ClientCertificate) -> Option<Zeroizing<String>> {
        let record = session::of_certificate(certificate, &self.oidc)?;
        let record = self.begin(record).await;
        let session = self.sessions.add(record, &self.oidc, Some(&certificate.fingerprint));
        Some(self.stand_in(&session.record))
    }

    /// Gives a token of this server in exchange for one of a provider. The same token gets the same session again, which ends when it
    /// would have ended.
    ///
    /// # Errors
    ///
    /// If the token is refused, or if nothing can be recorded.
    pub async fn exchange(&self, token: &str, client: Option<Peer>) -> Result<Exchanged, AuthError> {
        let verified = self.oidc.verify(token, client).await?;
        let begun = self.catalog.begin_session(session::of_token(&verified, true)).await;
        let record = begun.map_err(|error| {
            tracing::warn!(error = %chain(&error), "cannot give a token in exchange");
            AuthError::Unavailable
        })?;
        if record.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        let left = record.expires_at.0.saturating_sub(UnixTime::now().0);
        let Some(lifetime) = u64::try_from(left).ok().filter(|left| *left > 0) else {
            return Err(AuthError::Expired);
        };
        let token = Zeroizing::new(self.sign_session(&record, record.expires_at));
        let session = self.sessions.add(record, &self.oidc, None).record;
        Ok(Exchanged { token, lifetime, session })
    }

    /// Reads the session of a token that another daemon gave in exchange.
    async fn find_elsewhere(&self, token: &str) -> Result<(), AuthError> {
        let id = self.session_of_token(token).ok_or(AuthError::Invalid)?;
        let found = self.catalog.find_session(id).await.map_err(|error| {
            tracing::warn!(error = %chain(&error), "cannot find out whether a token was revoked");
            AuthError::Unavailable
        })?;
        self.sessions.add(found.ok_or(AuthError::Invalid)?, &self.oidc, None);
        Ok(())
    }

    async fn prove(&self, token: &str, client: Option<Peer>) -> Result<SessionRecord, AuthError> {
        let verified = self.oidc.verify(token, client).await?;
        let record = self.begin(session::of_token(&verified, false)).await;
        Ok(self.sessions.add(record, &self.oidc, Some(token.as_bytes())).record)
    }

    /// Records a session. Without a catalog it is known to this daemon alone: reading goes on.
    async fn begin(&self, record: SessionRecord) -> SessionRecord {
        match self.catalog.begin_session(record.clone()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot record who came without a token of this server");
                record
            }
        }
    }

    /// A token of ours for the time of a request.
    fn stand_in(&self, session: &SessionRecord) -> Zeroizing<String> {
        let soon = UnixTime::now().0.saturating_add(WITHIN_A_REQUEST);
        Zeroizing::new(self.sign_session(session, session.expires_at.min(UnixTime(soon))))
    }
}

/// Whose token it is, by its header alone.
enum Kind {
    Ours,
    /// Of a session, if it can be read.
    OfSession(Option<Uuid>),
    Other,
}

fn kind(token: &str) -> Kind {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
        #[serde(default)]
        typ: Option<String>,
    }
    #[derive(Deserialize)]
    struct Claims {
        jti: Uuid,
    }
    let mut parts = token.split('.');
    let mut decode = || URL_SAFE_NO_PAD.decode(parts.next()?).ok();
    let header = decode().and_then(|header| serde_json::from_slice::<Header>(&header).ok());
    match header {
        Some(Header { alg, typ }) if alg == "HS256" => match typ.as_deref() {
            Some(super::token::SESSION_TYPE) => {
                let claims = decode().and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
                Kind::OfSession(claims.map(|claims| claims.jti))
            }
            _ => Kind::Ours,
        },
        Some(_) => Kind::Other,
        None => Kind::Ours,
    }
}

/// Tokens that were refused a moment ago, and why. They are not looked at again so soon.
#[derive(Default)]
pub struct Doubts(Mutex<HashMap<[u8; 32], (AuthError, Instant)>>);

/// How long that is remembered.
const DOUBTFUL: Duration = Duration::from_secs(5);
/// Tokens that are remembered.
const MOST_DOUBTS: usize = 1024;

impl Doubts {
    fn note(&self, token: &str, error: AuthError) {
        let mut doubts = self.0.lock();
        if doubts.len() >= MOST_DOUBTS {
            doubts.retain(|_, (_, since)| since.elapsed() < DOUBTFUL);
        }
        if doubts.len() < MOST_DOUBTS {
            doubts.insert(hash(token), (error, Instant::now()));
        }
    }

    /// Forgets all of them.
    fn clear(&self) {
        self.0.lock().clear();
    }

    /// Why the token was refused a moment ago, if it was.
    pub(super) fn about(&self, token: &str) -> Option<AuthError> {
        let doubts = self.0.lock();
        if doubts.is_empty() {
            return None;
        }
        let (error, since) = doubts.get(&hash(token))?;
        (since.elapsed() < DOUBTFUL).then(|| error.clone())
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
