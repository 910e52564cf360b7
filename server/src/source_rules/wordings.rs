//! No message has a wording that makes a reader stop. `docs/tests/check` has such a list for the documentation.

use std::fs;
use std::path::Path;

use super::sources;

/// What to write instead is in the second half.
const AVOID: [(&str, &str); 12] = [
    (" nobody ", "say it of the thing: unused, not read, not known"),
    ("whoever ", "name the person: the operator, anyone with the token"),
    ("will not do", "say what is invalid and what is expected"),
    (" be had", "available"),
    (" in vain", "without success"),
    (" anew", "again"),
    (" all the same", "anyway"),
    (" all else", "everything else"),
    (" for so long", "for that long"),
    (" goes for good", "is deleted"),
    ("as far as is known", "so far"),
    ("say which one", "pass --cache NAME to choose one"),
];

/// The parts of a line that stand in quotes. A text that goes on in the next line begins there without one, so a line without
/// quotes counts as a whole unless it is code or a comment.
fn texts(line: &str) -> Vec<&str> {
    let line = line.trim();
    if line.starts_with("//") {
        return Vec::new();
    }
    match line.split('"').collect::<Vec<_>>().as_slice() {
        // The middle or the end of a text.
        [text] if text.ends_with('\\') => vec![text],
        parts => parts.iter().skip(1).step_by(2).copied().collect(),
    }
}

#[test]
fn messages_read_well() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let files =
        ["server/src", "server/crates", "ctl/src"].map(|folder| sources(&workspace.join(folder))).concat();
    let is_shown = |file: &Path| {
        let path = file.to_string_lossy();
        !["tests", "benches", "source_rules"].iter().any(|part| path.contains(part))
    };
    let (mut read, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|file| is_shown(file)) {
        let source = fs::read_to_string(file).expect("a source file can be read");
        // Tests in the file come last.
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in source.lines().enumerate() {
            for text in texts(line) {
                read += 1;
                let found = AVOID.iter().filter(|(wording, _)| text.to_lowercase().contains(wording));
                wrong.extend(found.map(|(wording, better)| {
                    format!("{}:{}: `{}`: {better}", file.display(), number + 1, wording.trim())
                }));
            }
        }
    }
    assert!(read > 3_000, "only {read} texts were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn texts_are_found_in_code() {
    assert_eq!(texts(r#"    say("one", two, "three");"#), ["one", "three"]);
    assert_eq!(texts(r#"    // "no""#), Vec::<&str>::new());
    assert_eq!(texts(r"    the middle of a text \"), [r"the middle of a text \"]);
    assert_eq!(texts("    let x = y;"), Vec::<&str>::new());
}
