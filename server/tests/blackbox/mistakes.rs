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

use crate::conformance::register_key;
use crate::harness::daemon::{DAEMON, Daemon, cachectl};
use crate::harness::{SOON, Site, wait_for};

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

#[test]
fn root_without_a_home_is_told_where_the_state_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    // The state of the system is left alone.
    let script = "ip link set lo up && mount -t tmpfs tmpfs /var/lib && exec \"$0\" \"$@\"";
    command.args(["--net", "--mount", "--propagation", "private", "sh", "-c", script, DAEMON]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    let mut daemon = Daemon::spawn(&mut command, &directory.path().join("log"));
    let log = wait_for(SOON, "the daemon says where its state is", || {
        assert!(daemon.has_ended().is_none(), "{}", daemon.log());
        Some(daemon.log()).filter(|log| log.contains("ready"))
    });
    assert!(log.contains("HOME is not set: the state is in /var/lib/cache-server"), "{log}");
}

#[test]
fn a_storage_that_has_no_room_left_is_not_said_to_work() {
    let site = Site::with_files(|config, directory| {
        config["caches"][0]["storages"] =
            json!([{"name": "small", "type": "local", "root": directory.join("small"), "max-size": "1MB"}]);
    });
    let pusher = site.pusher("pub");
    // Then smaller ones, until hardly anything fits.
    for size in [50_000, 2_000] {
        let mut number = 0;
        wait_for(SOON, "the storage is full", || {
            number += 1;
            let path = crate::harness::Path::incompressible(&format!("path-{size}-{number}"), size);
            (pusher.try_push(&path).status == 507).then_some(())
        });
    }
    let told = site.cachectl(&["doctor"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let line =
        told.lines().find(|line| line.contains("storage pub/small")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("warning") && line.contains("max-size"), "{line}");
}

#[test]
fn help_and_lists_say_what_tokens_and_keys_do() {
    let site = Site::with(|config| config["server"]["public-url"] = json!("http://cachix.test:8080"));
    let help = site.cachectl_ok(&["token", "create", "--help"]);
    let of = |word: &str| help.lines().find(|line| line.trim_start().starts_with(word)).unwrap().to_owned();
    assert!(of("- write:").contains("change pins"), "{help}");
    assert!(of("- admin:").contains("Register signing keys"), "{help}");

    let signing = |site: &Site| {
        let info = site.cachectl_ok(&["cache", "info", "self"]);
        info.lines().find(|line| line.starts_with("Signing")).unwrap().to_owned()
    };
    assert!(signing(&site).contains("by the server until a client registers a key"), "{}", signing(&site));
    register_key(&site, "self");
    assert!(signing(&site).contains("by the clients, since one registered a key"), "{}", signing(&site));

    // Where a URL with a port is printed, so is what to do about the netrc line that Nix does not match.
    let info = site.cachectl_ok(&["cache", "info", "priv"]);
    assert!(info.contains("machine ") && info.contains("does not match"), "{info}");
}
