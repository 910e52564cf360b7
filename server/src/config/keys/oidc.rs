//! Entries of `oidc` and `client-certificates`.

use super::field::{Entries, Many, Maybe, One};
use super::field_conditions::Conditions;
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::types::{CACHE_NAME, HTTP_URL, NAME, POSITIVE_DURATION, TEXT, Type, words};
use crate::config::{AccessRule, OidcAlgorithm, OidcProvider, RulePermission};

const ALGORITHM: Type<OidcAlgorithm> = words();
const PERMISSION: Type<RulePermission> = words();

/// An entry of `oidc`.
pub const OIDC: Table<OidcProvider> = Table {
    title: "an entry of `oidc`",
    path: "oidc[]",
    topics: &[Topic {
        title: "OpenID provider",
        keys: &[
            Key::new("name", &One(lens!(OidcProvider, name), NAME))
                .required()
                .applied_on_reload()
                .summary("Name of the provider, in the log and in lists of tokens")
                .example("github"),
            Key::new("issuer", &One(lens!(OidcProvider, issuer), TEXT))
                .required()
                .applied_on_reload()
                .summary("URL of the provider, exactly as it stands in the claim `iss` of its tokens")
                .details("Its keys are found at `/.well-known/openid-configuration` below it. `http://` is accepted for this machine only.")
                .example("https://token.actions.githubusercontent.com"),
            Key::new("audience", &Many(lens!(OidcProvider, audiences), TEXT))
                .required()
                .applied_on_reload()
                .summary("Values of the claim `aud` that are accepted, one or a list")
                .details("Choose one that no other service of yours accepts, such as the URL of this server.")
                .example("https://cache.example.org"),
            Key::new("jwks-url", &Maybe(lens!(OidcProvider, jwks_url), HTTP_URL))
                .derived("what the provider says")
                .applied_on_reload()
                .summary("URL of the keys of the provider")
                .details("For providers that cannot be asked at their `issuer`.")
                .example("https://ci.internal/jwks"),
            Key::new("algorithms", &Many(lens!(OidcProvider, algorithms), ALGORITHM))
                .derived("`[RS256, ES256]`")
                .applied_on_reload()
                .summary("Signature algorithms that are accepted")
                .example("[EdDSA]"),
            Key::new("rules", &Entries(lens!(OidcProvider, rules), &OIDC_RULE))
                .required()
                .applied_on_reload()
                .summary("Which of its tokens permit what; the first rule that fits decides")
                .example("[{claims: {repository: acme/*}, caches: [main], permission: write}]"),
        ],
    }],
};

/// An entry of `oidc[].rules`.
pub const OIDC_RULE: Table<AccessRule> = Table {
    title: "an entry of `rules`",
    path: "oidc[].rules[]",
    topics: &[Topic {
        title: "Rule",
        keys: &[
            CLAIMS
                .summary("Claims that a token must have, each with one pattern or a list of which one must fit")
                .details(
                    "`*` stands for any characters but slashes, `**` for any at all. A claim with several values fits if one of \
                     them does. A name that begins with a slash is a JSON pointer, such as `/kubernetes.io/namespace`.",
                )
                .example("{repository: acme/*, ref: refs/heads/main}"),
            CACHES,
            RULE_PERMISSION,
            Key::new("lifetime", &One(lens!(AccessRule, lifetime), POSITIVE_DURATION))
                .default("1h")
                .applied_on_reload()
                .summary("Lifetime of the tokens that this server gives in exchange, at most a day")
                .details("A token of the provider that is used directly lasts as long as the provider says."),
        ],
    }],
};

/// An entry of `client-certificates`.
pub const CLIENT_CERTIFICATE: Table<AccessRule> = Table {
    title: "an entry of `client-certificates`",
    path: "client-certificates[]",
    topics: &[Topic {
        title: "Rule",
        keys: &[
            CLAIMS
                .summary("What a certificate must say, each with one pattern or a list of which one must fit")
                .details(
                    "`cn` is the common name, `dns`, `email` and `uri` are alternative names, `subject` and `issuer` are whole \
                     names, and `fingerprint` is the SHA-256 of the certificate in lower-case hexadecimal digits. `*` stands for \
                     any characters but slashes, `**` for any at all.",
                )
                .example("{dns: \"*.builders.example.org\"}"),
            CACHES,
            RULE_PERMISSION,
        ],
    }],
};

const CLAIMS: Key<AccessRule> =
    Key::new("claims", &Conditions(lens!(AccessRule, conditions))).required().applied_on_reload();

const CACHES: Key<AccessRule> = Key::new("caches", &Many(lens!(AccessRule, caches), CACHE_NAME))
    .required()
    .applied_on_reload()
    .summary("The caches that are opened, one or a list")
    .example("[main]");

const RULE_PERMISSION: Key<AccessRule> =
    Key::new("permission", &One(lens!(AccessRule, permission), PERMISSION))
        .default("write")
        .applied_on_reload()
        .summary("What is permitted on them: `read`, or `write` for pushing as well");
