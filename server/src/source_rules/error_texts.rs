//! No error says in its own text what its source says: whoever prints an error prints its sources too (see `chain.rs`), and a
//! cause that is printed twice reads like two.
//!
//! This walks the sources of all crates of the workspace and looks at every `#[error("…")]` of `thiserror`.

use std::fs;
use std::path::Path;

use super::sources;

/// Splits `text` behind the bracket that closes the one before it. Brackets in string literals do not count.
fn until_closed(text: &str) -> (&str, &str) {
    let (mut depth, mut in_string, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '(' | '{' | '[' if !in_string => depth += 1,
            ')' | '}' | ']' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return (&text[..at], &text[at + 1..]);
                }
            }
            _ => {}
        }
    }
    (text, "")
}

/// The fields of a variant that `source()` returns: `0`, or a name.
fn source_fields(fields: &str, is_tuple: bool) -> Vec<String> {
    let marked = |text: &str| text.contains("#[from]") || text.contains("#[source]");
    if is_tuple {
        return if marked(fields) { vec!["0".to_owned()] } else { Vec::new() };
    }
    let code: String = fields.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split(',')
        .filter_map(|field| {
            let name = field.split(':').next()?.split_whitespace().last()?;
            (name == "source" || marked(field)).then(|| name.to_owned())
        })
        .collect()
}

/// The variants in a source file whose text repeats that of their source.
fn repetitions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[error(") {
        let (message, behind) = until_closed(&rest[at + "#[error(".len()..]);
        rest = behind;
        if message.trim() == "transparent" {
            continue;
        }
        let code = behind.trim_start_matches(']').trim_start();
        let Some(open) = code.find(['(', '{', ',']) else { continue };
        let name = code[..open].split_whitespace().last().unwrap_or_default();
        if code[open..].starts_with(',') {
            continue;
        }
        let (fields, _) = until_closed(&code[open + 1..]);
        for field in source_fields(fields, code[open..].starts_with('(')) {
            let is_named =
                [format!("{{{field}}}"), format!("{{{field}:")].iter().any(|hole| message.contains(hole));
            let is_argument =
                message.rsplit('"').next().is_some_and(|arguments| arguments.contains(&format!(", {field}")));
            if is_named || is_argument {
                found.push(format!("{name}: {}", message.trim()));
            }
        }
    }
    found
}

#[test]
fn no_error_repeats_its_source() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let folders = ["server/src", "server/crates", "ctl/src"];
    let files = folders.map(|folder| sources(&workspace.join(folder))).concat();
    let mut texts = 0;
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("error_texts.rs")) {
        let text = fs::read_to_string(file).expect("a source file can be read");
        texts += text.matches("#[error(").count();
        wrong.extend(repetitions(&text).into_iter().map(|variant| format!("{}: {variant}", file.display())));
    }
    assert!(texts > 150, "only {texts} errors were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn repetitions_are_seen_in_every_form() {
    let wrong = r#"
        #[error("a: {0}")] A(#[from] io::Error),
        #[error("b {path}: {source}")] B { path: String, source: io::Error },
        #[error("c {}: {cause}", path.display())] C { path: PathBuf, #[source] cause: io::Error },
        #[error("d: {}", source)] D { source: io::Error },
    "#;
    assert_eq!(repetitions(wrong).len(), 4, "{:?}", repetitions(wrong));
    let right = r#"
        #[error(transparent)] A(#[from] io::Error),
        #[error("b {path}")] B { path: String, source: io::Error },
        #[error("c {0}")] C(String),
        #[error("d")] D,
        #[error("e {name}")] E { name: String },
    "#;
    assert_eq!(repetitions(right), Vec::<String>::new());
}
