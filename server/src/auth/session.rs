//! Sessions: those who have proved by a token of an OpenID provider, or by a certificate, who they are.
//!
//! A session has a row in the catalog, so that it can be listed and revoked, and so that a path says later who pushed it. What it permits
//! follows from its claims by the rules that are in force now: a rule that leaves the configuration takes its sessions along.

use std::collections::HashMap;

use catalog::{SessionRecord, TokenCaches, TokenPermission, TokenRecord, TokenScope, UnixTime};
use parking_lot::RwLock;
use ring::digest::{Context, SHA256};
use uuid::Uuid;

use super::oidc::{Claims, Oidc, Origin, Verified};
use crate::tls::ClientCertificate;

/// Sessions that are kept in memory. Others are read again when they are needed.
const MOST: usize = 20_000;
/// How long a session with a certificate lasts. Another one follows it.
const WITH_CERTIFICATE: i64 = 86_400;

/// A session that is known.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its row.
    pub record: SessionRecord,
    /// What it permits now. `None` if no rule fits any more.
    scope: Option<TokenScope>,
}

impl Session {
    /// What it permits by the rules that are in force, within what it permitted when it began and within what was `signed`.
    pub fn scope_within(&self, signed: &TokenScope) -> TokenScope {
        let (Some((now, may)), Some((then, might))) =
            (self.scope.as_ref().and_then(names_of), names_of(signed))
        else {
            return nothing();
        };
        let names = now.iter().filter(|name| self.record.caches.contains(name) && then.contains(name));
        TokenScope::Caches {
            caches: TokenCaches::Only(names.cloned().collect()),
            permission: may.min(might).min(self.record.permission),
        }
    }

    /// Whether it has neither ended nor been revoked.
    pub fn is_good(&self) -> bool {
        self.record.revoked_at.is_none() && self.record.expires_at > UnixTime::now()
    }
}

/// The caches that a scope names, and the permission on them.
fn names_of(scope: &TokenScope) -> Option<(&Vec<String>, TokenPermission)> {
    match scope {
        TokenScope::Caches { caches: TokenCaches::Only(names), permission } => Some((names, *permission)),
        _ => None,
    }
}

fn nothing() -> TokenScope {
    TokenScope::Caches { caches: TokenCaches::Only(Vec::new()), permission: TokenPermission::Read }
}

/// The sessions that are known.
#[derive(Default)]
pub struct Sessions {
    by_id: RwLock<HashMap<Uuid, Session>>,
    /// Sessions by the SHA-256 of what proved them: a token of a provider, or a certificate.
    by_proof: RwLock<HashMap<[u8; 32], Uuid>>,
}

impl Sessions {
    /// Returns the session with this id, if it is known.
    pub fn find(&self, id: Uuid) -> Option<Session> {
        self.by_id.read().get(&id).cloned()
    }

    /// Returns the session that this token or certificate has proved, if that is known and has not ended. It may have been
    /// revoked.
    pub fn find_proved(&self, proof: &[u8]) -> Option<Session> {
        let id = *self.by_proof.read().get(&digest(&[proof]))?;
        self.find(id).filter(|session| session.record.expires_at > UnixTime::now())
    }

    /// Adds a session to those that are known, and what has proved it.
    pub fn add(&self, record: SessionRecord, oidc: &Oidc, proof: Option<&[u8]>) -> Session {
        let session = judge(record, oidc);
        let id = session.record.id;
        let mut by_id = self.by_id.write();
        if by_id.len() >= MOST {
            by_id.retain(|_, session| session.is_good());
        }
        if by_id.len() >= MOST {
            by_id.clear();
        }
        by_id.insert(id, session.clone());
        let mut by_proof = self.by_proof.write();
        if by_proof.len() >= MOST {
            by_proof.retain(|_, id| by_id.contains_key(id));
        }
        if let Some(proof) = proof {
            by_proof.insert(digest(&[proof]), id);
        }
        session
    }

    /// Judges all sessions by other rules. What proved them has to prove them again, as it may prove more by these.
    pub fn judge_again(&self, oidc: &Oidc) {
        self.by_proof.write().clear();
        for session in self.by_id.write().values_mut() {
            *session = judge(session.record.clone(), oidc);
        }
    }

    /// Takes over what the catalog says of those that are known.
    pub fn update(&self, records: Vec<SessionRecord>) {
        let mut by_id = self.by_id.write();
        for record in records {
            if let Some(known) = by_id.get_mut(&record.id) {
                known.record.revoked_at = known.record.revoked_at.or(record.revoked_at);
            }
        }
    }

    /// Notes that a session was revoked.
    pub fn revoke(&self, id: Uuid) {
        if let Some(session) = self.by_id.write().get_mut(&id) {
            session.record.revoked_at = Some(UnixTime::now());
        }
    }
}

/// Finds out what a session permits now.
fn judge(record: SessionRecord, oidc: &Oidc) -> Session {
    let origin = record.provider.clone().map_or(Origin::Certificate, Origin::Provider);
    let scope = oidc.decide(&origin, &record.claims).map(|decision| decision.scope);
    Session { record, scope }
}

/// The row for a token of a provider. One that is used as it is lasts as long as the token, one that is exchanged as long as the rule
/// says. The same token always leads to the same row, so presenting it again gains nothing.
pub fn of_token(verified: &Verified, is_exchange: bool) -> SessionRecord {
    let now = UnixTime::now();
    let lifetime = i64::try_from(verified.decision.lifetime.as_secs()).unwrap_or(i64::MAX);
    let ends = if is_exchange { UnixTime(now.0.saturating_add(lifetime)) } else { verified.ends };
    let kind: &[u8] = if is_exchange { b"exchange" } else { b"direct" };
    let id = id(&[kind, verified.provider.as_bytes(), verified.unique.as_bytes()]);
    let provider = Some(verified.provider.clone());
    record(id, provider, &verified.subject, verified.claims.clone(), &verified.decision.scope, ends)
}

/// The row for a certificate. `None` if no rule fits it.
pub fn of_certificate(certificate: &ClientCertificate, oidc: &Oidc) -> Option<SessionRecord> {
    let decision = oidc.decide(&Origin::Certificate, &certificate.claims)?;
    let now = UnixTime::now().0;
    let day = now.div_euclid(WITH_CERTIFICATE);
    let ends = UnixTime((day + 2).saturating_mul(WITH_CERTIFICATE).min(certificate.ends));
    let id = id(&[b"certificate", &certificate.fingerprint, &day.to_be_bytes()]);
    let subject = certificate.claims.get("subject").and_then(|values| values.first());
    let subject = subject.map_or("", String::as_str);
    Some(record(id, None, subject, certificate.claims.clone(), &decision.scope, ends))
}

fn record(
    id: Uuid,
    provider: Option<String>,
    subject: &str,
    claims: Claims,
    scope: &TokenScope,
    expires_at: UnixTime,
) -> SessionRecord {
    let (caches, permission) = names_of(scope)
        .map_or((Vec::new(), TokenPermission::Read), |(names, permission)| (names.clone(), permission));
    SessionRecord {
        id,
        provider,
        subject: subject.chars().take(500).collect(),
        claims,
        caches,
        permission,
        created_at: UnixTime::now(),
        expires_at,
        revoked_at: None,
    }
}

/// An id that follows from these parts.
fn id(parts: &[&[u8]]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(parts)[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// SHA-256 of the parts, each with its length before it.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Who a session is, for people.
pub fn subject(record: &SessionRecord) -> String {
    match &record.provider {
        Some(provider) => format!("{provider}: {}", record.subject),
        None => format!("certificate: {}", record.subject),
    }
}

/// A session in the form of a token, for lists.
pub fn as_token(record: &SessionRecord) -> TokenRecord {
    TokenRecord {
        id: record.id,
        subject: subject(record),
        scope: TokenScope::Caches {
            caches: TokenCaches::Only(record.caches.clone()),
            permission: record.permission,
        },
        created_at: record.created_at,
        expires_at: Some(record.expires_at),
        revoked_at: record.revoked_at,
        daily_limit: None,
    }
}
