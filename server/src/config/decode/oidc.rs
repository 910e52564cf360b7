//! `oidc` and `client-certificates`.

use std::time::Duration;

use url::{Host, Url};

use super::Context;
use crate::config::claims::Names;
use crate::config::section::Section;
use crate::config::{AccessRule, OidcProvider, keys};

/// The longest life of a token that is given in exchange.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads `oidc`.
pub fn providers(file: &Section<'_>, context: &Context<'_>, caches: &Names) -> Vec<OidcProvider> {
    let (mut names, mut issuers) = (Names::default(), Names::default());
    let sections = file.sections("oidc", &keys::OIDC);
    let read = sections.iter().filter_map(|section| {
        names.claim(section, "name");
        issuers.claim(section, "issuer");
        let mut provider = OidcProvider::default();
        let is_complete = keys::OIDC.read(section, context, &mut provider);
        section.expect("audience");
        section.expect("rules");
        check_url(section, "issuer", section.text("issuer"));
        check_url(section, "jwks-url", section.text("jwks-url"));
        if section.has_empty_list("audience") {
            section.error("audience", "is empty, so no token would be accepted");
        }
        let rules = section.sections("rules", &keys::OIDC_RULE);
        provider.rules = rules
            .iter()
            .filter_map(|section| {
                let mut rule = AccessRule::default();
                let is_complete = keys::OIDC_RULE.read(section, context, &mut rule);
                if rule.lifetime > LONGEST {
                    section.error("lifetime", "is longer than a day");
                }
                (check_caches(section, caches) && is_complete).then_some(rule)
            })
            .collect();
        is_complete.then_some(provider)
    });
    read.collect()
}

/// Reads `client-certificates`.
pub fn client_certificates(file: &Section<'_>, context: &Context<'_>, caches: &Names) -> Vec<AccessRule> {
    let sections = file.sections("client-certificates", &keys::CLIENT_CERTIFICATE);
    let server = file.section_again("server", &keys::SERVER);
    if !sections.is_empty() && !server.section_again("tls", &keys::SERVER_TLS).has("client-authorities") {
        file.warn("client-certificates", "has no effect without `server.tls.client-authorities`");
    }
    let read = sections.iter().filter_map(|section| {
        let mut rule = AccessRule::default();
        let is_complete = keys::CLIENT_CERTIFICATE.read(section, context, &mut rule);
        (check_caches(section, caches) && is_complete).then_some(rule)
    });
    read.collect()
}

fn check_caches(section: &Section<'_>, caches: &Names) -> bool {
    section.expect("caches");
    caches.expect_all(section, "caches", "cache");
    section.has("caches")
}

/// Tokens that anybody on the way could forge are worth nothing.
fn check_url(section: &Section<'_>, key: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    let Ok(url) = Url::parse(text) else {
        if !section.is_wrong(key) {
            section.error(key, "is not a URL");
        }
        return;
    };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        section.error(key, "must begin with `https://`: anyone who can change its replies could push");
    }
}
