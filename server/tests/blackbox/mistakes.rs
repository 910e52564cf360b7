//! What people are told who mistype: 60 mistakes at the command line and 40 in a config, with the full reply to each.
//!
//! A file of `tests/data/mistakes` has entries of lines that begin with `# ` (what the mistake is), `> ` (the file `config.yaml`,
//! if one is needed) and `$ ` (the command), then the reply and the exit code. `UPDATE_GOLDEN=1` writes the replies anew; read each
//! as the person would who made the mistake.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::Site;
use crate::harness::daemon::{DAEMON, cachectl};

/// A mistake, and the reply to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mistake {
    about: String,
    config: String,
    command: String,
    reply: String,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mistakes").join(name)
}

fn parse(text: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::<Mistake>::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            mistakes.push(Mistake { about: about.to_owned(), ..Mistake::default() });
            continue;
        }
        let mistake = mistakes.last_mut().expect("an entry begins with `# `");
        match line.split_at_checked(2) {
            Some(("> ", line)) if mistake.command.is_empty() => mistake.config += &format!("{line}\n"),
            None if line == ">" => mistake.config.push('\n'),
            Some(("$ ", command)) if mistake.command.is_empty() => mistake.command = command.to_owned(),
            _ => mistake.reply += &format!("{line}\n"),
        }
    }
    for mistake in &mut mistakes {
        mistake.reply.truncate(mistake.reply.trim_end().len());
        assert!(!mistake.command.is_empty(), "{} has no command", mistake.about);
    }
    mistakes
}

fn print(mistakes: &[Mistake]) -> String {
    let mut text = String::new();
    for Mistake { about, config, command, reply } in mistakes {
        writeln!(text, "# {about}").unwrap();
        config.lines().for_each(|line| writeln!(text, "{}", format!("> {line}").trim_end()).unwrap());
        writeln!(text, "$ {command}\n{reply}\n").unwrap();
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Runs a command line in a directory with the programs in its path, and returns all that it prints and its exit code.
fn run(line: &str, directory: &Path, variables: &[(&str, &Path)]) -> String {
    let programs = directory.join(".programs");
    if !programs.exists() {
        fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(cachectl(), programs.join("cachectl")).unwrap();
        std::os::unix::fs::symlink(DAEMON, programs.join("cache-server")).unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    // One stream, so that the order is that of a terminal.
    command.arg("-c").arg(format!("exec 2>&1; {line}")).current_dir(directory).stdin(Stdio::null());
    command.env_clear().env("PATH", path).env("HOME", directory).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("{}\n[exit {}]", text.trim_end(), output.status.code().unwrap())
}

/// Compares the replies with those of the file, or writes them there.
#[track_caller]
fn check(name: &str, least: usize, reply: impl Fn(&Mistake) -> String) {
    let golden = fs::read_to_string(data(name)).unwrap();
    let expected = parse(&golden);
    assert!(expected.len() >= least, "{} mistakes of {least}", expected.len());
    let seen: Vec<Mistake> =
        expected.iter().map(|mistake| Mistake { reply: reply(mistake), ..mistake.clone() }).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(data(name), print(&seen)).unwrap();
        return;
    }
    assert_eq!(print(&expected), golden, "{name} is not as it is written by UPDATE_GOLDEN=1");
    for (seen, expected) in seen.iter().zip(&expected) {
        assert_eq!(
            seen.reply, expected.reply,
            "{} ({}); if that is meant, run with UPDATE_GOLDEN=1",
            seen.about, seen.command
        );
        assert!(!seen.reply.contains("panicked") && !seen.reply.contains("[exit 101]"), "{seen:?}");
    }
}

#[test]
fn mistakes_at_the_command_line_are_answered_as_they_were_read() {
    let site = Site::with_files(|config, directory| {
        let caches = config["caches"].as_array_mut().unwrap();
        caches.truncate(2);
        caches[0]["name"] = json!("main");
        caches[1]["name"] = json!("internal");
        config["workspaces"] = json!([{"name": "office", "cache": "main"}]);
        config["agents"] = json!([{"name": "webserver", "workspace": "office"}]);
        fs::write(directory.join("home/broken.json"), "{\"agents\": [\n").unwrap();
        for (name, agent) in [("unknown", "webservr"), ("absent", "webserver")] {
            let specification =
                json!({"agents": {agent: "/nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello"}});
            fs::write(directory.join(format!("home/{name}.json")), specification.to_string()).unwrap();
        }
    });
    let home = site.directory().join("home");
    let socket = site.directory().join("admin.sock");
    let directory = site.directory().display().to_string();
    check("command-line.txt", 60, |mistake| {
        run(&mistake.command, &home, &[("CACHE_SERVER_SOCKET", &socket)]).replace(&directory, "/DIR")
    });
}

#[test]
fn mistakes_in_a_config_are_answered_as_they_were_read() {
    let home = tempfile::tempdir().unwrap();
    check("config.txt", 40, |mistake| {
        fs::write(home.path().join("config.yaml"), &mistake.config).unwrap();
        run(&mistake.command, home.path(), &[]).replace(&home.path().display().to_string(), "/HOME")
    });
}
