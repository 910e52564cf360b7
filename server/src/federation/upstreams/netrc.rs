//! The format of `~/.netrc`, as curl and thus Nix read it: words, of which `machine HOST` or `default` begins an entry.

use std::iter::Peekable;
use std::str::Chars;

/// Returns the login and password for a host: those of its first entry, or else of the default one.
pub fn find(text: &str, host: &str) -> Option<(String, String)> {
    let entries = parse(text);
    let is_of_host = |entry: &&Entry| entry.host.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(host));
    let found = entries.iter().find(is_of_host).or_else(|| entries.iter().find(|entry| entry.host.is_none()));
    found.map(|entry| (entry.login.clone(), entry.password.clone()))
}

#[derive(Default)]
struct Entry {
    /// `None` for the default entry.
    host: Option<String>,
    login: String,
    password: String,
}

fn parse(text: &str) -> Vec<Entry> {
    let mut words = Words { text: text.chars().peekable(), is_at_start: true };
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => {
                let Some(host) = words.next() else { break };
                entries.push(Entry { host: Some(host), ..Entry::default() });
            }
            "default" => entries.push(Entry::default()),
            "login" | "password" | "account" => {
                let (Some(value), Some(entry)) = (words.next(), entries.last_mut()) else { continue };
                match word.as_str() {
                    "login" => entry.login = value,
                    "password" => entry.password = value,
                    _ => {}
                }
            }
            "macdef" => words.skip_macro(),
            _ => {}
        }
    }
    entries
}

struct Words<'t> {
    text: Peekable<Chars<'t>>,
    /// Whether no word of the line has been read.
    is_at_start: bool,
}

impl Words<'_> {
    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        let mut before = ' ';
        for c in self.text.by_ref() {
            if c == '\n' && before == '\n' {
                return;
            }
            before = c;
        }
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            while let Some(space) = self.text.next_if(|c| c.is_whitespace()) {
                self.is_at_start |= space == '\n';
            }
            // Elsewhere a password may begin so.
            if !self.is_at_start || self.text.peek() != Some(&'#') {
                break;
            }
            while self.text.next_if(|c| *c != '\n').is_some() {}
        }
        self.is_at_start = false;
        let mut word = String::new();
        if self.text.next_if_eq(&'"').is_some() {
            while let Some(c) = self.text.next() {
                match c {
                    '"' => break,
                    '\\' => word.extend(self.text.next()),
                    c => word.push(c),
                }
            }
            return Some(word);
        }
        while let Some(c) = self.text.next_if(|c| !c.is_whitespace()) {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_the_host_is_found_in_every_usual_form() {
        let text = "# comment\nmachine a.example login me password one\n\
                    machine b.example\n\tpassword \"t w\\\"o\"\n\nmacdef init\nmachine c.example login x\n\n\
                    machine c.example login you password #three account z\nmachine a.example password four";
        let found = |host| find(text, host).map(|(login, password)| format!("{login}:{password}"));
        assert_eq!(found("a.example").as_deref(), Some("me:one"));
        assert_eq!(found("B.example").as_deref(), Some(":t w\"o"));
        assert_eq!(found("c.example").as_deref(), Some("you:#three"));
        assert_eq!(found("d.example"), None);
    }

    #[test]
    fn a_default_entry_counts_where_no_other_one_does() {
        let text = "default login any password all\nmachine a.example password one\n";
        assert_eq!(find(text, "a.example"), Some((String::new(), "one".to_owned())));
        assert_eq!(find(text, "b.example"), Some(("any".to_owned(), "all".to_owned())));
        let text = "machine a.example password one\ndefault password all";
        assert_eq!(find(text, "b.example"), Some((String::new(), "all".to_owned())));
    }

    #[test]
    fn nothing_is_found_in_what_ends_too_early() {
        for text in
            ["", "machine", "machine a.example login", "login x password y", "# machine a.example password x"]
        {
            let found = find(text, "a.example");
            assert!(found.is_none_or(|(_, password)| password.is_empty()), "{text}");
        }
    }
}
