//! `config.example.yaml`: the manual in the form of a configuration file.

use serde_yaml::Value;

use super::text::{default_value, description, wrap, yaml};
use crate::config::keys::{AnyTable, DefaultValue, Entry, FILE, Kind, S3_PREFIX, STORAGE};

/// Longest line.
const WIDTH: usize = 118;

const HEAD: &str = "\
# Configuration of cache-server: every key, its default, and what it means.
#
# The daemon reads the file given with `--config`, or else the first of these that exists:
#   $XDG_CONFIG_HOME/cache-server/config.yaml  (or config.yml; without the variable, below ~/.config)
#   /etc/cache-server/config.yaml
# Without a file it starts on built-in defaults, for this machine only.
#
# Keys that are commented out (`#key: value`) show their defaults: removing the `#` changes nothing. `null` means the same
# as leaving the key out. `cache-server check-config FILE` lists everything that is wrong with a file, and
# `cache-server print-config` shows the configuration that a file results in.
#
# Sizes:  a number of bytes, or with a unit: 500M, 10 GiB (K, M, G, T and KiB to TiB count in 1024, KB to TB in 1000).
# Times:  30s, 90min, 24h, 7days.
# Files:  relative paths begin in `state-dir`; those of secrets (`…-file`) in $CREDENTIALS_DIRECTORY, which systemd sets
#         for LoadCredential=, else beside this file.
#
# This file is generated from server/src/config/keys; docs/src/reference/configuration.md has the same as a page.
";

/// What the example writes for keys without a default. The storage is the one that a cache without storages gets.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("caches[]", "name", "main"),
    ("caches[].storages[]", "name", "default"),
    ("caches[].storages[]", "type", "local"),
    ("caches[].storages[]", "root", "storage"),
];

/// The whole file.
pub fn write() -> String {
    let mut file = String::from(HEAD);
    let table: &'static dyn AnyTable = &FILE;
    for entry in table.entries() {
        file.push('\n');
        write_entry(&mut file, table, &entry, 0);
    }
    file
}

/// The keys of a mapping at the column `indent`, each behind its documentation.
fn write_table(file: &mut String, table: &'static dyn AnyTable, indent: usize) {
    let topics = table.topics();
    let has_headings = topics.len() > 1;
    for (title, entries) in topics {
        if entries.iter().all(|entry| entry.about.name.starts_with(S3_PREFIX)) {
            write_s3(file, &entries, indent - 4);
            continue;
        }
        if has_headings && table.path() != STORAGE.path {
            file.push_str(&format!("{:indent$}## {title}\n\n", ""));
        }
        for entry in entries {
            write_entry(file, table, &entry, indent);
            file.push('\n');
        }
    }
    file.truncate(file.trim_end().len());
    file.push('\n');
}

fn write_entry(file: &mut String, table: &'static dyn AnyTable, entry: &Entry, indent: usize) {
    let name = entry.about.name;
    let shows_no_value = entry.kind.table().is_none()
        && matches!(default_value(entry), None | Some(Value::Sequence(_)))
        && !SAMPLES.iter().any(|(path, key, _)| *path == table.path() && *key == name);
    comment(file, entry, shows_no_value, &format!("{:indent$}# ", ""));
    match entry.kind {
        Kind::Mapping(below) => {
            file.push_str(&format!("{:indent$}{name}:\n", ""));
            write_table(file, below, indent + 2);
        }
        Kind::Entries(below) if entry.about.default == DefaultValue::Required => {
            file.push_str(&format!("{:indent$}{name}:\n", ""));
            write_table(file, below, indent + 4);
        }
        Kind::Entries(below) | Kind::UpstreamOrMapping(below)
            if entry.about.default == DefaultValue::None =>
        {
            file.push_str(&format!("{:indent$}#\n", ""));
            write_sample(file, &below.entries().collect::<Vec<_>>(), &format!("{:indent$}#   ", ""), true);
            file.push_str(&format!("{:indent$}#{name}: []\n", ""));
        }
        Kind::Entries(below) => {
            file.push_str(&format!("{:indent$}#{name}:\n", ""));
            write_table(file, below, indent + 4);
        }
        _ => {
            let sample = SAMPLES.iter().find(|(path, key, _)| *path == table.path() && *key == name);
            let value = match sample {
                Some((_, _, value)) => (*value).to_owned(),
                None => default_value(entry).map_or_else(|| "null".to_owned(), |value| yaml(&value)),
            };
            // The first key of an entry of a list has its dash before it.
            let is_first = table.path().ends_with("[]") && name == "name";
            let (indent, dash) = if is_first { (indent - 2, "- ") } else { (indent, "") };
            let is_written = entry.about.default == DefaultValue::Required && indent <= 2;
            let mark = if is_written { "" } else { "#" };
            file.push_str(&format!("{:indent$}{mark}{dash}{name}: {value}\n", ""));
        }
    }
}

/// The keys of a storage on S3, as an entry that is a comment as a whole.
fn write_s3(file: &mut String, entries: &[Entry], indent: usize) {
    let margin = format!("{:indent$}# ", "");
    for line in [
        "A storage on S3, or on a service that speaks its protocol, has these keys as well:",
        "",
        "  - name: offsite",
        "    type: s3",
        "    root: binary-caches",
        "",
    ] {
        file.push_str(format!("{margin}{line}").trim_end());
        file.push('\n');
    }
    write_sample(file, entries, &format!("{margin}    "), false);
}

/// Keys with examples of values, all of it a comment.
fn write_sample(file: &mut String, entries: &[Entry], margin: &str, is_entry: bool) {
    for (index, entry) in entries.iter().enumerate() {
        let (dash, below) = match (is_entry, index) {
            (true, 0) => ("- ", margin.to_owned()),
            (true, _) => ("  ", format!("{margin}  ")),
            (false, _) => ("", margin.to_owned()),
        };
        comment(file, entry, false, &format!("{below}# "));
        if let Kind::Entries(entries) = entry.kind {
            file.push_str(&format!("{margin}{dash}{}:\n", entry.about.name));
            write_sample(file, &entries.entries().collect::<Vec<_>>(), &format!("{below}  "), true);
            continue;
        }
        // Of a secret and its file only one may be there.
        let value = match (entry.kind, default_value(entry)) {
            (Kind::Secret, _) => "null".to_owned(),
            (_, Some(value)) => yaml(&value),
            (_, None) => entry.about.example.to_owned(),
        };
        file.push_str(&format!("{margin}{dash}{}: {value}\n", entry.about.name));
    }
}

/// The documentation of a key as a comment, with an example of a value if the example is wanted.
fn comment(file: &mut String, entry: &Entry, with_example: bool, margin: &str) {
    let mut text = description(entry.about);
    let mut sentences = Vec::new();
    if let DefaultValue::Derived(phrase) = entry.about.default {
        sentences.push(format!("By default {phrase}."));
    }
    if with_example && !entry.about.example.is_empty() {
        sentences.push(format!("For example `{}`.", entry.about.example));
    }
    if !sentences.is_empty() {
        // A list ends its paragraph.
        text.push_str(if text.contains("\n\n") { "\n\n" } else { " " });
        text.push_str(&sentences.join(" "));
    }
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            file.push_str(margin.trim_end());
            file.push('\n');
        }
        let is_list = paragraph.starts_with("- ");
        let items: Vec<&str> = if is_list { paragraph.lines().collect() } else { vec![paragraph] };
        for item in items {
            for line in wrap(item, WIDTH - margin.chars().count()) {
                file.push_str(&format!("{margin}{line}\n"));
            }
        }
    }
}
