//! `docs/src/reference/configuration.md`: a table of every mapping, and a section for every key.

use super::text::{default_value, description, wrap, yaml};
use crate::config::keys::{ALL, AnyTable, DefaultValue, Entry, Reload};

/// Longest line.
const WIDTH: usize = 120;

const HEAD: &str = "\
# Configuration reference

<!-- Generated from server/src/config/keys by `cargo run --release -- generate-reference .` (`--check` compares). -->

One YAML file configures the daemon. It reads the file given with `--config`, or else the first of these that exists:

1. `$XDG_CONFIG_HOME/cache-server/config.yaml` or `config.yml` (`~/.config` if the variable is not set)
2. `/etc/cache-server/config.yaml`

Without a file it starts on built-in defaults, for this machine only.

    cache-server check-config FILE    # everything that is wrong with a file, with line numbers
    cache-server print-config FILE    # the configuration that it results in, secrets masked
    cachectl reload                   # read the file again (or send SIGHUP)

[`config.example.yaml`](example.md) shows every key with its default in one file.

**Sizes** are a number of bytes, or have a unit: `500M`, `10 GiB`. `K`, `M`, `G`, `T` and `KiB` to `TiB` count in 1024, `KB`
to `TB` in 1000. **Times** have a unit: `30s`, `90min`, `24h`, `7days`. **Relative paths** begin in `server.state-dir`; those
of secrets (`…-file`) begin in `$CREDENTIALS_DIRECTORY`, which systemd sets for `LoadCredential=`, else beside the file. `null`
means the same as leaving a key out. Unknown keys are errors.

A key **on reload** either takes effect or needs a restart: then the old value stays in force, and the reply to the reload
names the key.
";

/// The whole page.
pub fn write() -> String {
    let mut page = String::from(HEAD);
    for table in ALL {
        let title = match table.path() {
            "" => "Top level".to_owned(),
            path => format!("`{path}`"),
        };
        page.push_str(&format!("\n## {title}\n"));
        let topics = table.topics();
        let has_headings = topics.len() > 1;
        for (topic, entries) in topics {
            if has_headings {
                page.push_str(&format!("\n### {topic}\n"));
            }
            page.push_str("\n| Key | Default | On reload | |\n|---|---|---|---|\n");
            for entry in &entries {
                page.push_str(&row(table, entry));
            }
            for entry in &entries {
                page.push_str(&section(table, entry));
            }
        }
    }
    page
}

fn row(table: &'static dyn AnyTable, entry: &Entry) -> String {
    let name = entry.about.name;
    let anchor = full_name(table, name).replace(['.', '[', ']'], "");
    format!(
        "| [`{name}`](#{anchor}) | {} | {} | {} |\n",
        default(entry, "see there"),
        reload(entry),
        entry.about.summary
    )
}

fn section(table: &'static dyn AnyTable, entry: &Entry) -> String {
    let about = entry.about;
    let mut text = format!("\n#### `{}`\n\n{}\n", full_name(table, about.name), wrapped(&description(about)));
    let (one, expected) = (if entry.takes_list { "one or a list of: " } else { "" }, entry.kind.expected());
    let derived = match about.default {
        DefaultValue::Derived(phrase) => phrase,
        _ => "none",
    };
    text.push_str(&format!("\n- Takes: {one}{expected}\n- Default: {}\n", default(entry, derived)));
    text.push_str(&format!("- On reload: {}\n", reload(entry)));
    if entry.kind.is_secret() {
        text.push_str("- Secret: never printed or logged\n");
    }
    if !about.example.is_empty() {
        text.push_str(&format!("\n```yaml\n{}\n```\n", snippet(table.path(), about.name, about.example)));
    }
    text
}

/// Markdown with lines of readable length. Lists keep their items.
fn wrapped(markdown: &str) -> String {
    let paragraph = |text: &str| match text.starts_with("- ") {
        true => text.to_owned(),
        false => wrap(text, WIDTH).join("\n"),
    };
    markdown.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
}

fn full_name(table: &'static dyn AnyTable, name: &str) -> String {
    let dot = if table.path().is_empty() { "" } else { "." };
    format!("{}{dot}{name}", table.path())
}

fn default(entry: &Entry, derived: &str) -> String {
    match (entry.about.default, default_value(entry)) {
        (_, Some(value)) => format!("`{}`", yaml(&value)),
        (DefaultValue::Required, None) => "required".to_owned(),
        (DefaultValue::Derived(_), None) => derived.to_owned(),
        _ => "none".to_owned(),
    }
}

fn reload(entry: &Entry) -> &'static str {
    match (entry.kind.table(), entry.about.reload) {
        (Some(_), Reload::NeedsRestart) => "depends on the key below",
        (_, Reload::Applied) => "takes effect",
        (None, Reload::NeedsRestart) => "needs a restart",
    }
}

/// A key with its value where the file has it.
fn snippet(path: &str, name: &str, value: &str) -> String {
    let mut text = String::new();
    let mut indent = 0;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (key, is_list) = part.strip_suffix("[]").map_or((part, false), |key| (key, true));
        text.push_str(&format!("{:indent$}{key}:\n", ""));
        indent += 2;
        if is_list {
            let is_name = name == "name" && path.ends_with(part);
            let sample = if is_name { value } else { sample_name(key) };
            text.push_str(&format!("{:indent$}- name: {sample}\n", ""));
            if is_name {
                return text.trim_end().to_owned();
            }
            indent += 2;
        }
    }
    format!("{text}{:indent$}{name}: {value}", "")
}

/// A name for the entry of a list that has an example in it.
fn sample_name(list: &str) -> &'static str {
    match list {
        "storages" => "ssd",
        "workspaces" => "production",
        "agents" => "webserver",
        _ => "main",
    }
}
