//! The man page `cache-server.yaml(5)`: every key, from the tables.

use super::text::{default_value, description, yaml};
use crate::config::keys::{ALL, AnyTable, DefaultValue, Entry, Reload};

const HEAD: &str = r#".TH "CACHE-SERVER.YAML" 5 "" "cache-server" "File Formats"
.SH NAME
cache-server.yaml \- configuration of cache\-server
.SH DESCRIPTION
One YAML file configures the daemon. It reads the file given with \fB\-\-config\fR, or else the first of
\fI$XDG_CONFIG_HOME/cache\-server/config.yaml\fR, the same with \fI.yml\fR, and \fI/etc/cache\-server/config.yaml\fR that exists.
Without a file it starts on built\-in defaults, for this machine only.
.PP
\fBcache\-server check\-config\fR reports everything that is wrong with a file. \fBcachectl reload\fR and SIGHUP apply a changed
file.
.PP
Sizes are a number of bytes, or have a unit: 500M, 10 GiB. K, M, G, T and KiB to TiB count in 1024, KB to TB in 1000. Times have
a unit: 30s, 90min, 24h, 7days. Relative paths begin in \fBserver.state\-dir\fR; those of secrets begin in
\fI$CREDENTIALS_DIRECTORY\fR, else beside the file. Unknown keys are errors.
"#;

const TAIL: &str = r#".SH FILES
.TP
.I /etc/cache\-server/config.yaml
The configuration of the system.
.TP
.I ~/.config/cache\-server/config.yaml
The configuration of a user.
.SH SEE ALSO
.BR cache\-server (1),
.BR cachectl (1)
"#;

/// The whole page.
pub fn write() -> String {
    let mut page = HEAD.to_owned();
    for table in ALL {
        let title = match table.path() {
            "" => "TOP LEVEL".to_owned(),
            path => roff(path).to_uppercase(),
        };
        page.push_str(&format!(".SH \"{title}\"\n"));
        for (_, entries) in table.topics() {
            for entry in &entries {
                page.push_str(&section(table, entry));
            }
        }
    }
    page + TAIL
}

fn section(table: &'static dyn AnyTable, entry: &Entry) -> String {
    let about = entry.about;
    let dot = if table.path().is_empty() { "" } else { "." };
    let name = format!("{}{dot}{}", table.path(), about.name);
    let paragraphs = description(about);
    let text: Vec<String> = paragraphs.split("\n\n").map(paragraph).collect();
    let default = match (about.default, default_value(entry)) {
        (_, Some(value)) => yaml(&value),
        (DefaultValue::Required, None) => "required".to_owned(),
        (DefaultValue::Derived(phrase), None) => phrase.to_owned(),
        _ => "none".to_owned(),
    };
    let list = if entry.takes_list { "one or a list of: " } else { "" };
    let restart = match (entry.kind.table(), about.reload) {
        (None, Reload::NeedsRestart) => " A change needs a restart.",
        _ => "",
    };
    format!(
        ".TP\n.B {}\n{}\n.IP\nTakes {}. Default: {}.{restart}\n",
        roff(&name),
        text.join("\n.IP\n"),
        roff_markdown(&format!("{list}{}", entry.kind.expected())),
        roff_markdown(&default),
    )
}

fn paragraph(markdown: &str) -> String {
    match markdown.strip_prefix("- ") {
        None => roff_markdown(markdown),
        Some(_) => markdown
            .split("\n- ")
            .map(|item| format!("\\(bu {}", roff_markdown(item.trim_start_matches("- "))))
            .collect::<Vec<_>>()
            .join("\n.br\n"),
    }
}

/// Text without markup.
fn roff(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    // A dot or an apostrophe at the start of a line would be a request.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Text with code in backticks, which becomes bold, and links, of which the text stays.
fn roff_markdown(markdown: &str) -> String {
    let mut text = String::new();
    for (index, piece) in markdown.split('`').enumerate() {
        match index % 2 {
            0 => text.push_str(&spaced(&without_links(piece))),
            _ => text.push_str(&format!("\\fB{}\\fR", roff(piece))),
        }
    }
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// As [`roff`], but with the spaces at both ends that separate it from what is beside it.
fn spaced(text: &str) -> String {
    let space = |is_there: bool| if is_there { " " } else { "" };
    if text.trim().is_empty() {
        return space(!text.is_empty()).to_owned();
    }
    let (before, behind) = (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
    let escaped =
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\e").replace('-', "\\-");
    format!("{}{escaped}{}", space(before), space(behind))
}

/// `[text](target)` becomes `text`.
fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((shown, behind)) = link.split_once("](") else { break };
        let Some((_, behind)) = behind.split_once(')') else { break };
        text.push_str(before);
        text.push_str(shown);
        rest = behind;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_roff() {
        assert_eq!(roff_markdown("Set `a-b` to [x](y.md), or so."), "Set \\fBa\\-b\\fR to x, or so.");
        assert_eq!(roff_markdown(".start"), "\\&.start");
        assert_eq!(paragraph("- one\n- two"), "\\(bu one\n.br\n\\(bu two");
    }

    #[test]
    fn every_key_is_in_the_page() {
        let page = write();
        for key in
            ["server.hostname", "caches[].upstreams", "caches[].storages[].s3_bucket", "agents[].workspace"]
        {
            assert!(page.contains(&format!(".B {}\n", roff(key))), "{key}");
        }
    }
}
