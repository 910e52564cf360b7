//! `nixos-module/keys/keys.json`: what the NixOS options have from the tables.

use std::collections::BTreeMap;

use serde::Serialize;

use super::text::{default_value, description};
use crate::config::keys::{
    AGENT, AnyTable, CACHE, CLIENT_CERTIFICATE, DefaultValue, Entry, Kind, OIDC, OIDC_RULE, Reload, SERVER,
    STORAGE, UPSTREAM, WORKSPACE,
};

type Options = BTreeMap<&'static str, OptionOfKey>;

/// What an option needs to know of its key. The module makes the types of the names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OptionOfKey {
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    list: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    words: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<serde_yaml::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<serde_yaml::Value>,
    #[serde(skip_serializing_if = "is_false")]
    required: bool,
    #[serde(skip_serializing_if = "is_false")]
    reload: bool,
    #[serde(skip_serializing_if = "is_false")]
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Options>,
}

/// The whole file.
pub fn write() -> String {
    let tables: [(&str, &'static dyn AnyTable); 9] = [
        ("agent", &AGENT),
        ("cache", &CACHE),
        ("client-certificate", &CLIENT_CERTIFICATE),
        ("oidc", &OIDC),
        ("oidc-rule", &OIDC_RULE),
        ("server", &SERVER),
        ("storage", &STORAGE),
        ("upstream", &UPSTREAM),
        ("workspace", &WORKSPACE),
    ];
    let sections: BTreeMap<&str, Options> =
        tables.into_iter().map(|(name, table)| (name, options(table))).collect();
    serde_json::to_string_pretty(&sections).unwrap_or_default() + "\n"
}

/// Names are those of attributes, lists of mappings are options of their own, and secrets have no place in the Nix store.
fn options(table: &'static dyn AnyTable) -> Options {
    let has_option =
        |entry: &Entry| entry.about.name != "name" && !matches!(entry.kind, Kind::Secret | Kind::Entries(_));
    table.entries().filter(has_option).map(|entry| (entry.about.name, option(&entry))).collect()
}

fn option(entry: &Entry) -> OptionOfKey {
    let about = entry.about;
    let is_section = entry.kind.table().is_some();
    OptionOfKey {
        description: description(about),
        r#type: (!is_section).then(|| type_name(entry.kind)),
        list: entry.takes_list,
        words: if let Kind::Words(words) = entry.kind { words } else { &[] },
        default: default_value(entry),
        derived: if let DefaultValue::Derived(phrase) = about.default { Some(phrase) } else { None },
        example: serde_yaml::from_str(about.example).ok().filter(|_| !about.example.is_empty()),
        required: about.default == DefaultValue::Required,
        reload: about.reload == Reload::Applied && !is_section,
        secret: entry.kind.is_secret(),
        keys: entry.kind.table().map(options),
    }
}

/// The name of a type in `nixos-module/keys/types.nix`.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Port => "port",
        Kind::Days | Kind::Count => "positive",
        Kind::Priority | Kind::Tier => "unsigned",
        Kind::Percentage => "percentage",
        Kind::Size => "size",
        Kind::Duration | Kind::PositiveDuration => "duration",
        Kind::Interval => "interval",
        Kind::Mode => "mode",
        Kind::SecretFile => "file",
        Kind::Words(_) => "enum",
        Kind::Claims => "claims",
        _ => "text",
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}
