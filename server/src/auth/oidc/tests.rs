//! Tokens of all kinds, good and hostile, at one provider.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use catalog::{TokenCaches, TokenPermission, TokenScope, UnixTime};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair,
};
use serde_json::{Value, json};

use super::keys::KeySet;
use super::*;
use crate::config::{Condition, OidcAlgorithm, Pattern, RulePermission};

/// Nothing listens there.
const ISSUER: &str = "https://127.0.0.1:9";

struct Curve {
    pair: EcdsaKeyPair,
    document: Vec<u8>,
}

impl Curve {
    fn new() -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.unwrap().as_ref().to_vec();
        let pair = Self::pair(&ECDSA_P256_SHA256_FIXED_SIGNING, &document);
        Self { pair, document }
    }

    fn pair(algorithm: &'static EcdsaSigningAlgorithm, document: &[u8]) -> EcdsaKeyPair {
        EcdsaKeyPair::from_pkcs8(algorithm, document, &SystemRandom::new()).unwrap()
    }

    fn jwk(&self, kid: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig", "x": x, "y": y})
    }

    fn sign(&self, message: &str) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.sign(&message);
        format!("{message}.{}", BASE64.encode(signature))
    }
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "one", "typ": "JWT"})
}

fn claims() -> Value {
    let now = UnixTime::now().0;
    json!({
        "iss": ISSUER, "aud": "cache", "sub": "repo:acme/web:ref:refs/heads/main", "jti": "1", "iat": now, "nbf": now,
        "exp": now + 300, "repository": "acme/web", "ref": "refs/heads/main",
    })
}

/// The usual claims with some that are different; `null` takes one away.
fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn condition(claim: &str, pattern: &str) -> Condition {
    Condition { claim: claim.to_owned(), patterns: vec![Pattern::new(pattern)] }
}

fn rule(conditions: &[(&str, &str)], cache: &str, permission: RulePermission) -> AccessRule {
    AccessRule {
        conditions: conditions.iter().map(|(claim, pattern)| condition(claim, pattern)).collect(),
        caches: vec![cache.parse().unwrap()],
        permission,
        lifetime: Duration::from_secs(3600),
    }
}

fn config() -> OidcProvider {
    OidcProvider {
        name: "provider".parse().unwrap(),
        issuer: ISSUER.to_owned(),
        audiences: vec!["cache".to_owned()],
        rules: vec![rule(
            &[("repository", "acme/*"), ("ref", "refs/heads/main")],
            "main",
            RulePermission::Write,
        )],
        ..OidcProvider::default()
    }
}

async fn judge(config: OidcProvider, keys: &Value, token: &str) -> Result<Verified, Refusal> {
    super::super::crypto::install();
    let keys = KeySet::parse(keys.to_string().as_bytes()).unwrap();
    let provider = Arc::new(Provider::with_keys(config, keys));
    let unverified = Unverified::parse(token)?;
    provider.verify(&unverified, token, &fetcher()).await
}

fn fetcher() -> Fetcher {
    Fetcher::new(crate::tls::trust(&[]).unwrap())
}

#[tokio::test]
async fn a_good_token_opens_what_its_rule_says() {
    let curve = Curve::new();
    let keys = json!({"keys": [curve.jwk("one")]});
    let now = UnixTime::now().0;
    for (number, (header, claims)) in [
        (header(), claims()),
        (json!({"alg": "ES256"}), claims()),
        (json!({"alg": "ES256", "kid": "one", "typ": "at+jwt"}), claims()),
        (header(), with(json!({"aud": ["other", "cache"]}))),
        (header(), with(json!({"exp": now as f64 + 100.5}))),
        (header(), with(json!({"nbf": null, "iat": null}))),
        // Clocks differ.
        (header(), with(json!({"exp": now - 30, "iat": now - 300, "nbf": now - 300}))),
        (header(), with(json!({"nbf": now + 30, "iat": now + 30}))),
        (header(), with(json!({"repository": ["acme/web", "other/web"]}))),
    ]
    .into_iter()
    .enumerate()
    {
        let verified = judge(config(), &keys, &curve.token(&header, &claims)).await;
        let verified = verified.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(verified.claims["ref"], ["refs/heads/main"]);
        assert_eq!(verified.decision.scope, decision("main", TokenPermission::Write));
    }
}

fn decision(cache: &str, permission: TokenPermission) -> TokenScope {
    TokenScope::Caches { caches: TokenCaches::Only(vec![cache.to_owned()]), permission }
}

#[tokio::test]
async fn ed25519_is_accepted_where_it_is_listed_and_nowhere_else() {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let x = BASE64.encode(pair.public_key().as_ref());
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]});
    let message = message(&json!({"alg": "EdDSA", "kid": "one"}), &claims());
    let token = format!("{message}.{}", BASE64.encode(pair.sign(message.as_bytes())));
    let listed = OidcProvider { algorithms: vec![OidcAlgorithm::EdDsa], ..config() };
    assert!(judge(listed, &keys, &token).await.is_ok());
    assert!(judge(config(), &keys, &token).await.is_err());
}

/// Each token is refused for what its name says.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a list")]
async fn hostile_tokens_are_refused() {
    let (curve, other, encrypting) = (Curve::new(), Curve::new(), Curve::new());
    let secret = BASE64.encode([7; 32]);
    let mut for_encryption = encrypting.jwk("encrypting");
    for_encryption["use"] = json!("enc");
    let keys = json!({"keys": [
        curve.jwk("one"), Curve::new().jwk("two"), for_encryption,
        {"kty": "oct", "kid": "secret", "alg": "HS256", "k": secret},
        {"kty": "unheard-of", "kid": "odd"}, {"kid": 7}, "rubbish",
    ]});
    let now = UnixTime::now().0;
    let good = curve.token(&header(), &claims());
    let [head, body, signature] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
    let signed = |claims: Value| curve.token(&header(), &claims);
    let headed = |header: Value| curve.token(&header, &claims());
    let hmac = |key: &[u8], header: Value| {
        let message = message(&header, &claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        format!("{message}.{}", BASE64.encode(tag))
    };
    let asn1 = {
        let message = message(&header(), &claims());
        let pair = Curve::pair(&ECDSA_P256_SHA256_ASN1_SIGNING, &curve.document);
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64.encode(signature))
    };
    let later = signed(with(json!({"jti": "2"})));
    let point = curve.pair.public_key().as_ref();
    let embedded = json!({"alg": "ES256", "kid": "one", "jwk": other.jwk("one")});
    let hostile: Vec<(&str, &str, String)> = vec![
        ("for another audience", "aud", signed(with(json!({"aud": "elsewhere"})))),
        ("for nobody", "aud", signed(with(json!({"aud": null})))),
        ("for a list of others", "aud", signed(with(json!({"aud": ["a", "b"]})))),
        ("for an empty list", "aud", signed(with(json!({"aud": []})))),
        ("for a number", "aud", signed(with(json!({"aud": 7})))),
        ("for an object", "aud", signed(with(json!({"aud": {"cache": true}})))),
        ("for an audience that begins alike", "aud", signed(with(json!({"aud": "cache.evil"})))),
        ("expired", "exp", signed(with(json!({"exp": now - 61})))),
        ("without an end", "exp", signed(with(json!({"exp": null})))),
        ("with a text as its end", "exp", signed(with(json!({"exp": "9999999999"})))),
        ("with a negative end", "exp", signed(with(json!({"exp": -1})))),
        ("with an end beyond all numbers", "exp", signed(with(json!({"exp": 1e300})))),
        ("that begins later", "nbf", signed(with(json!({"nbf": now + 120})))),
        ("with a text as its beginning", "nbf", signed(with(json!({"nbf": "now"})))),
        ("issued in the future", "iat", signed(with(json!({"iat": now + 120})))),
        ("issued after its end", "iat", signed(with(json!({"iat": now + 50, "exp": now + 10})))),
        ("about an event", "events", signed(with(json!({"events": {}})))),
        ("for logging out", "typ", headed(json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"}))),
        ("with a critical extension", "crit", headed(json!({"alg": "ES256", "kid": "one", "crit": ["b64"]}))),
        ("unsigned", "alg", format!("{}.", message(&json!({"alg": "none"}), &claims()))),
        ("unsigned in odd letters", "alg", format!("{}.", message(&json!({"alg": "nOnE"}), &claims()))),
        ("signed with the public key", "alg", hmac(point, json!({"alg": "HS256", "kid": "one"}))),
        ("signed with a published secret", "alg", hmac(&[7; 32], json!({"alg": "HS256", "kid": "secret"}))),
        ("of another algorithm for the key", "kid", headed(json!({"alg": "RS256", "kid": "one"}))),
        ("of an algorithm that is not listed", "alg", headed(json!({"alg": "ES384", "kid": "one"}))),
        ("of an algorithm with a null byte", "alg", headed(json!({"alg": "ES256\u{0}", "kid": "one"}))),
        ("with an unknown key", "kid", headed(json!({"alg": "ES256", "kid": "three"}))),
        ("with a path as its key", "kid", headed(json!({"alg": "ES256", "kid": "../../../dev/null"}))),
        ("with no key of several", "kid", headed(json!({"alg": "ES256"}))),
        (
            "with a key for encryption",
            "kid",
            encrypting.token(&json!({"alg": "ES256", "kid": "encrypting"}), &claims()),
        ),
        ("signed by another key of this name", "signature", other.token(&header(), &claims())),
        ("with a key of its own", "signature", other.token(&embedded, &claims())),
        (
            "with the address of a key",
            "signature",
            other.token(&json!({"alg": "ES256", "kid": "one", "jku": "https://evil.test/jwks"}), &claims()),
        ),
        (
            "with a certificate of its own",
            "signature",
            other.token(
                &json!({"alg": "ES256", "kid": "one", "x5c": ["MIIB"], "x5u": "https://evil.test"}),
                &claims(),
            ),
        ),
        (
            "with the signature of another",
            "signature",
            format!("{head}.{body}.{}", later.rsplit('.').next().unwrap()),
        ),
        ("without its signature", "signature", format!("{head}.{body}.")),
        ("with half of its signature", "signature", format!("{head}.{body}.{}", &signature[..40])),
        ("with a signature of zeros", "signature", format!("{head}.{body}.{}", BASE64.encode([0; 64]))),
        ("with a signature in another form", "signature", asn1),
        (
            "with other claims",
            "signature",
            format!(
                "{head}.{}.{signature}",
                BASE64.encode(with(json!({"repository": "acme/other"})).to_string())
            ),
        ),
        (
            "with another header",
            "signature",
            format!(
                "{}.{body}.{signature}",
                BASE64.encode(json!({"kid": "one", "alg": "ES256"}).to_string())
            ),
        ),
        ("of another repository", "repository", signed(with(json!({"repository": "evil/web"})))),
        (
            "of a repository that begins alike",
            "repository",
            signed(with(json!({"repository": "acmeevil/web"}))),
        ),
        ("of a repository below", "repository", signed(with(json!({"repository": "acme/web/evil"})))),
        ("of a repository above", "repository", signed(with(json!({"repository": "evil/acme/web"})))),
        ("of a repository in capitals", "repository", signed(with(json!({"repository": "ACME/web"})))),
        ("without a repository", "repository", signed(with(json!({"repository": null})))),
        (
            "with an object as its repository",
            "repository",
            signed(with(json!({"repository": {"acme/web": 1}}))),
        ),
        ("with an empty list of repositories", "repository", signed(with(json!({"repository": []})))),
        ("with a newline behind its branch", "ref", signed(with(json!({"ref": "refs/heads/main\n"})))),
        ("of another branch", "ref", signed(with(json!({"ref": "refs/heads/evil"})))),
        ("of a tag", "ref", signed(with(json!({"ref": "refs/tags/main"})))),
        ("of two parts", "token", format!("{head}.{body}")),
        ("of four parts", "token", format!("{good}.{signature}")),
        ("encrypted", "token", format!("{head}.{body}.{signature}.{body}.{signature}")),
        ("with padding", "token", format!("{head}=.{body}.{signature}")),
        ("with a list of claims", "token", format!("{head}.{}.{signature}", BASE64.encode("[]"))),
        ("with rubbish for claims", "token", format!("{head}.{}.{signature}", BASE64.encode("{\"iss\":"))),
        ("with an empty header", "token", format!(".{body}.{signature}")),
        ("larger than any", "token", signed(with(json!({"padding": "x".repeat(20_000)})))),
        ("of nothing at all", "token", String::new()),
    ];
    assert!(hostile.len() > 50);
    for (what, part, token) in hostile {
        match judge(config(), &keys, &token).await {
            Err(Refusal::Wrong { part: found, .. }) => assert_eq!(found, part, "a token {what}"),
            other => panic!("a token {what}: {other:?}"),
        }
    }
}

#[test]
fn a_token_of_another_issuer_is_no_candidate() {
    let config = Config { oidc: vec![config()], ..Config::default() };
    let oidc = Oidc::new(&config, crate::tls::trust(&[]).unwrap());
    let token = |issuer: Value| format!("{}.x", message(&header(), &with(json!({"iss": issuer}))));
    assert!(oidc.is_candidate(&token(json!(ISSUER))));
    for issuer in [
        json!("https://evil.test"),
        json!(format!("{ISSUER}/")),
        json!(format!("{ISSUER}@evil.test")),
        json!("HTTPS://127.0.0.1:9"),
        json!([ISSUER]),
        json!(null),
    ] {
        assert!(!oidc.is_candidate(&token(issuer.clone())), "{issuer}");
    }
}

/// A client without a token cannot make the server ask the provider over and over.
#[tokio::test]
async fn unknown_keys_are_asked_for_a_few_times_only() {
    super::super::crypto::install();
    let curve = Curve::new();
    let keys = KeySet::parse(json!({"keys": [curve.jwk("one")]}).to_string().as_bytes()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
    let provider = Arc::new(Provider::with_keys(OidcProvider { jwks_url: Some(url), ..config() }, keys));
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            drop(stream);
        }
    });
    for number in 0..200 {
        let token = curve.token(&json!({"alg": "ES256", "kid": format!("new-{number}")}), &claims());
        let unverified = Unverified::parse(&token).unwrap();
        assert!(provider.verify(&unverified, &token, &fetcher()).await.is_err());
    }
    let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..=8).contains(&asked), "asked {asked} times");
    // Known keys go on meanwhile.
    let token = curve.token(&header(), &claims());
    assert!(provider.verify(&Unverified::parse(&token).unwrap(), &token, &fetcher()).await.is_ok());
}

/// Every repository against every rule: a job opens what its own rule says and nothing else.
#[test]
fn claims_open_the_caches_of_their_rule_alone() {
    let rules = [
        rule(
            &[("repository", "acme/web"), ("environment", "production")],
            "production",
            RulePermission::Write,
        ),
        rule(&[("repository", "acme/web"), ("ref", "refs/heads/**")], "web", RulePermission::Write),
        rule(&[("repository", "acme/api")], "api", RulePermission::Write),
        rule(&[("repository", "acme/*")], "shared", RulePermission::Read),
        rule(&[("/kubernetes.io/namespace", "builds")], "cluster", RulePermission::Write),
    ];
    let write = |cache| Some(decision(cache, TokenPermission::Write));
    let read = |cache| Some(decision(cache, TokenPermission::Read));
    for (token, expected) in [
        (
            json!({"repository": "acme/web", "ref": "refs/heads/main", "environment": "production"}),
            write("production"),
        ),
        (json!({"repository": "acme/web", "ref": "refs/heads/a/b"}), write("web")),
        (json!({"repository": "acme/web", "ref": "refs/pull/1/merge"}), read("shared")),
        (json!({"repository": "acme/api", "ref": "refs/heads/main"}), write("api")),
        (json!({"repository": "acme/other", "environment": "production"}), read("shared")),
        (json!({"repository": "evil/web", "ref": "refs/heads/main", "environment": "production"}), None),
        (json!({"ref": "refs/heads/main"}), None),
        (json!({"kubernetes.io": {"namespace": "builds"}}), write("cluster")),
        (json!({"kubernetes.io": {"namespace": "other"}}), None),
        (json!({"kubernetes.io": "builds"}), None),
        (json!({"/kubernetes.io/namespace": "builds"}), None),
        (json!({}), None),
    ] {
        let claims = rules::asked_for(&rules, token.as_object().unwrap());
        let decided = evaluate(&rules, &claims).ok().map(|decision| decision.scope);
        assert_eq!(decided, expected, "{token}");
    }
}
