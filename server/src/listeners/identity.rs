//! Those who come without a token of this server: with one of an OpenID provider, or with a certificate.
//!
//! What they present is verified here, and a short token of this server put in its place, so that nothing else in the daemon ever sees a
//! token of a provider: no handler, no log and no other daemon that a request is passed on to.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use zeroize::Zeroizing;

use crate::auth::{Credential, Preparation};
use crate::core::Core;
use crate::limits::client_address::client_of;
use crate::limits::connections::Peer;
use crate::tls::ClientCertificate;

/// Something that has to be looked up before the request can be answered.
pub struct Preparing {
    core: Arc<Core>,
    presented: Presented,
    client: Option<Peer>,
}

enum Presented {
    Token(Zeroizing<String>),
    Certificate(Arc<ClientCertificate>),
}

/// Looks at what the client presents, and replaces it if its session is known. `None` if the request can be answered as it is then,
/// which is so for nearly all of them.
pub fn prepare<B>(
    core: &Arc<Core>,
    request: &mut Request<B>,
    peer: IpAddr,
    certificate: Option<Arc<ClientCertificate>>,
) -> Option<Preparing> {
    if certificate.is_none() && !core.tokens.knows_sessions() {
        return None;
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = match (Credential::from_header(header), certificate) {
        (Some(credential), _) => match core.tokens.preparation(credential.token()) {
            Preparation::Nothing => return None,
            Preparation::Replace(token) => {
                authorize(request, &token);
                return None;
            }
            Preparation::Verify => Presented::Token(Zeroizing::new(credential.token().to_owned())),
        },
        (None, Some(certificate)) => match core.tokens.preparation_of_certificate(&certificate) {
            Preparation::Nothing => return None,
            Preparation::Replace(token) => {
                authorize(request, &token);
                return None;
            }
            Preparation::Verify => Presented::Certificate(certificate),
        },
        (None, None) => return None,
    };
    let forwarded = request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let client = Peer::of(client_of(peer, forwarded, &core.config().server.trusted_proxies));
    Some(Preparing { core: core.clone(), presented, client })
}

impl Preparing {
    /// Verifies what the client presents, and replaces it. What is wrong stays, to be refused where a token is needed.
    pub async fn finish<B>(self, request: &mut Request<B>) {
        let token = match &self.presented {
            Presented::Token(token) => self.core.tokens.prepare(token, self.client).await,
            Presented::Certificate(certificate) => self.core.tokens.prepare_certificate(certificate).await,
        };
        if let Some(token) = token {
            authorize(request, &token);
        }
    }
}

fn authorize<B>(request: &mut Request<B>, token: &str) {
    let text = Zeroizing::new(format!("Bearer {token}"));
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
}
