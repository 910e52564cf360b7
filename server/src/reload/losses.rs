//! Refuses reloads that would lose something only because the file does not mention it.
//!
//! A file that is still being written, or that a full disk cut off, is often valid YAML. So the file has to state damaging
//! changes explicitly: no cache left in service, all tokens void, a private cache open to everybody.

use crate::config::{Access, Config, Fault, Faults, KeySource, Loaded, Secret};

/// Refuses a file that is the beginning of the file in force (`before`) and ends within a line: half a number or half a
/// name is valid, but wrong.
pub fn refuse_of_text(before: Option<&Secret>, loaded: &Loaded) -> Result<(), Faults> {
    let text = loaded.text.expose();
    let rest = before.and_then(|before| before.expose().strip_prefix(text));
    let is_cut_off =
        |rest: &str| !text.ends_with('\n') && !rest.is_empty() && !rest.starts_with(['\r', '\n']);
    if rest.is_some_and(is_cut_off) {
        let mut fault = loaded.fault("", "the file ends in the middle of a line, as if it were cut off");
        fault.line = Some(text.lines().count());
        let remedy = "write all of it, or end the line if this is all";
        return Err(Faults(vec![fault.suggest(remedy)]));
    }
    Ok(())
}

/// Refuses a configuration that would take every cache out of service without saying so.
pub fn refuse_of_caches(before: &Config, loaded: &Loaded) -> Result<(), Faults> {
    let Some(lost) = lost_caches(before, &loaded.config) else { return Ok(()) };
    let message = format!("no cache would stay in service: the file no longer has {lost}");
    let remedy =
        "to take them out of service, keep their entries with `enabled: false`, or write `caches: []`";
    Err(Faults(vec![loaded.fault("caches", message).suggest(remedy)]))
}

/// Refuses a configuration that would open a private cache to everybody only because `access` is missing.
pub fn refuse_of_access(private: &[String], loaded: &Loaded) -> Result<(), Faults> {
    let caches = loaded.config.caches.iter().enumerate();
    let opened = caches.filter(|(_, cache)| {
        let name = cache.name.as_str();
        let was_private = private.iter().any(|private| private == name);
        was_private && cache.access == Access::Public && !loaded.stated.access_of(name)
    });
    let faults: Vec<Fault> = opened
        .map(|(index, cache)| {
            let message =
                format!("`{}` is private, and without `access` everybody could read it", cache.name);
            let remedy = "write `access: private`, or `access: public` to open it";
            loaded.fault(&format!("caches[{index}].name"), message).suggest(remedy)
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// Refuses a configuration without a server key if the one in force has one, unless the file states that there is none.
pub fn refuse_of_key(before: &Config, loaded: &Loaded) -> Result<(), Faults> {
    let had_key = before.server.key != KeySource::Generated;
    if had_key && loaded.config.server.key == KeySource::Generated && !loaded.stated.no_server_key {
        let message = "the file no longer has the server key, and without it every token is void";
        let remedy = "to give it up, write `key: null`; the daemon then makes a key of its own";
        return Err(Faults(vec![loaded.fault("server.key", message).suggest(remedy)]));
    }
    Ok(())
}

/// Refuses a server key that is the beginning of the one in use, or of the `null` that stands for none.
pub fn refuse_of_key_text(in_use: &str, wanted: &str, loaded: &Loaded) -> Result<(), Faults> {
    let is_cut_off = |whole: &str| whole.len() > wanted.len() && whole.starts_with(wanted);
    let is_inline = matches!(loaded.config.server.key, KeySource::Inline(_));
    if is_cut_off(in_use) || (is_inline && is_cut_off("null")) {
        let message = "the server key is only the beginning of what it was, as if it were cut off";
        let remedy = "every token would be void; write the whole key, or one that begins otherwise";
        return Err(Faults(vec![loaded.fault("server.key", message).suggest(remedy)]));
    }
    Ok(())
}

/// The names of the caches in service that the file no longer has, if it has none of those in service.
fn lost_caches(before: &Config, after: &Config) -> Option<String> {
    let served: Vec<&str> = names_of_enabled(before).collect();
    // Only an explicit `caches: []` loads without a cache.
    if served.is_empty() || after.caches.is_empty() {
        return None;
    }
    // A cache with another name was written on purpose, unless the name is the beginning of an old one.
    let is_whole = |name: &str| served.iter().all(|served| *served == name || !served.starts_with(name));
    if names_of_enabled(after).any(is_whole) {
        return None;
    }
    let is_absent = |name: &&str| after.caches.iter().all(|cache| cache.name.as_str() != *name);
    let lost: Vec<String> =
        served.iter().copied().filter(is_absent).map(|name| format!("`{name}`")).collect();
    (!lost.is_empty()).then(|| lost.join(", "))
}

fn names_of_enabled(config: &Config) -> impl Iterator<Item = &str> {
    config.caches.iter().filter(|cache| cache.enabled).map(|cache| cache.name.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn loaded(text: &str) -> Result<Loaded, Faults> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        load(&file, &Environment::default())
    }

    /// Whether a reload takes a file, after one with `before` and under the key of that.
    fn takes(before: &Loaded, text: &str) -> Option<Config> {
        let loaded = loaded(text).ok()?;
        let key = |config: &Config| match &config.server.key {
            KeySource::Inline(key) => key.expose().to_owned(),
            _ => "generated and of some length".to_owned(),
        };
        let private: Vec<String> = before
            .config
            .caches
            .iter()
            .filter(|cache| cache.access == Access::Private)
            .map(|cache| cache.name.as_str().to_owned())
            .collect();
        let refused = [
            refuse_of_text(Some(&before.text), &loaded),
            refuse_of_access(&private, &loaded),
            refuse_of_caches(&before.config, &loaded),
            refuse_of_key(&before.config, &loaded),
            refuse_of_key_text(&key(&before.config), &key(&loaded.config), &loaded),
        ];
        refused.iter().all(Result::is_ok).then_some(loaded.config)
    }

    const CACHES: &str = "caches:\n- name: main\n  retention: 300\n- name: secret\n  access: private\n";

    #[test]
    fn no_beginning_of_a_file_voids_tokens_or_opens_a_cache_or_leaves_none() {
        for server in [
            "server: {key: 0123456789abcdef}\n",
            "server:\n  key: 0123456789abcdef\n",
            "server:\n  key: null\n",
        ] {
            for text in [format!("{server}{CACHES}"), format!("{CACHES}{server}")] {
                let before = loaded(&text).unwrap();
                // The same with another comment is no beginning of the file any more.
                for (cut, comment) in (0..text.len()).flat_map(|cut| [(cut, ""), (cut, "# changed\n")]) {
                    let Some(after) = takes(&before, &format!("{comment}{}", &text[..cut])) else { continue };
                    let told = format!("{comment}{}", &text[..cut]);
                    assert!(
                        after.caches.iter().any(|cache| before
                            .config
                            .caches
                            .iter()
                            .any(|b| b.name == cache.name)),
                        "{told}"
                    );
                    assert_eq!(after.server.key, before.config.server.key, "{told}");
                    let open = |cache: &&crate::config::CacheConfig| cache.access == Access::Public;
                    assert!(
                        after.caches.iter().filter(open).all(|cache| cache.name.as_str() != "secret"),
                        "{told}"
                    );
                    assert!(!comment.is_empty() || after.caches[0].retention >= 4, "{told}");
                }
                assert!(takes(&before, &text).is_some());
            }
        }
    }

    #[test]
    fn half_a_line_is_refused_and_the_end_of_one_is_not() {
        let before = loaded(CACHES).unwrap();
        for (text, is_taken) in [
            ("caches:\n- name: main\n  retention: 30", false),
            ("caches:\n- name: main\n  retention: 3", false),
            ("caches:\n- name: main\n  retention: 300", true),
            ("caches:\n- name: main\n  retention: 300\n", true),
            ("caches:\n- name: main\n  retention: 30\n", true),
            ("caches:\n- name: main\n  retention: 31", true),
        ] {
            assert_eq!(takes(&before, text).is_some(), is_taken, "{text}");
        }
    }

    #[test]
    fn what_the_file_says_in_so_many_words_is_done() {
        let before = loaded(&format!("server: {{key: 0123456789abcdef}}\n{CACHES}")).unwrap();
        for text in [
            "server: {key: null}\ncaches: []",
            "server: {key: ''}\ncaches: []",
            "server: {key: fedcba9876543210}\ncaches: [{name: other}]",
            "server: {key: 0123456789abcdef}\ncaches: [{name: main, enabled: false}, {name: secret, enabled: false, access: private}]",
            "server: {key: 0123456789abcdef}\ncaches: [{name: secret, access: public}]",
        ] {
            assert!(takes(&before, text).is_some(), "{text}");
        }
        for text in [
            "caches: []",
            "server: {key: }\ncaches: []",
            "server: {key: 0123456789}\ncaches: []",
            "server: {key: 0123456789abcdef}\ncaches: [{name: mai}]",
            "server: {key: 0123456789abcdef}\ncaches: [{name: main, enabled: false}]",
            "server: {key: 0123456789abcdef}\ncaches: [{name: secret}]",
        ] {
            assert!(takes(&before, text).is_none(), "{text}");
        }
    }
}
