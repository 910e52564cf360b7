#![allow(clippy::unwrap_used)]

use clap::CommandFactory as _;

use super::value::{StorePath, StorePathError, age, duration, rate, size};
use super::*;

const HASH: &str = "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq";

fn visit(command: &clap::Command, path: &str, check: &impl Fn(&clap::Command, &str)) {
    check(command, path);
    for sub in command.get_subcommands() {
        visit(sub, &format!("{path} {}", sub.get_name()), check);
    }
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn the_help_of_every_command_has_an_example_of_that_command() {
    visit(&Args::command(), "cachectl", &|command, path| {
        let help = command.clone().render_long_help().to_string();
        let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("{path}: {help}"));
        assert!(examples.contains(path), "{path}: {examples}");
    });
}

#[test]
fn every_example_parses() {
    visit(&Args::command(), "cachectl", &|command, _| {
        let help = command.clone().render_long_help().to_string();
        for line in help.lines().map(str::trim).filter(|line| line.starts_with("cachectl ")) {
            let line = line.split(['|', '>']).next().unwrap().replace("./result", HASH).replace('\'', "");
            if let Err(error) = Args::try_parse_from(line.split_whitespace()) {
                panic!("{line}: {error}");
            }
        }
    });
}

#[test]
fn the_help_lists_every_exit_code() {
    let help = Args::command().render_help().to_string();
    for code in 0..=10 {
        assert!(help.contains(&format!("\n{code:>3}  ")), "{code}: {help}");
    }
}

#[test]
fn a_store_path_is_accepted_in_every_usual_form() {
    for text in [
        HASH.to_owned(),
        format!("{HASH}-hello-2.12.1"),
        format!("/nix/store/{HASH}-hello-2.12.1"),
        format!("/nix/store/{HASH}-hello-2.12.1/"),
        format!("/nix/store/{HASH}-hello-2.12.1/bin/hello"),
    ] {
        assert_eq!(text.parse::<StorePath>().unwrap().hash(), HASH, "{text}");
    }
}

#[test]
fn text_that_is_not_a_store_path_is_refused_with_the_reason() {
    for (text, error) in [
        (String::new(), StorePathError::Length),
        ("hello".to_owned(), StorePathError::Length),
        (format!("{HASH}0"), StorePathError::Length),
        ("/nix/store/".to_owned(), StorePathError::Length),
        (HASH.replace('g', "e"), StorePathError::Digit('e')),
        (HASH.to_uppercase(), StorePathError::Digit('C')),
        (HASH.replace('g', "ä"), StorePathError::Digit('ä')),
        ("./result".to_owned(), StorePathError::NoFile),
        (format!("/tmp/{HASH}-x"), StorePathError::NoFile),
        ("/etc/passwd".to_owned(), StorePathError::NotInStore),
    ] {
        assert_eq!(text.parse::<StorePath>(), Err(error), "{text}");
    }
}

#[test]
fn a_duration_has_a_unit_and_is_at_least_a_second() {
    assert_eq!(duration("90d").unwrap(), Duration::from_secs(90 * 24 * 60 * 60));
    for text in ["", "0s", "10ms", "90", "soon", "-1d"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_rate_is_a_size_as_in_the_config_that_is_not_zero() {
    for (text, bytes) in [
        ("50MB", 50_000_000),
        ("50 MiB", 50 << 20),
        ("1g", 1 << 30),
        ("512", 512),
        ("50MB/s", 50_000_000),
        ("3 kB /s", 3_000),
    ] {
        assert_eq!(rate(text), Ok(bytes), "{text}");
    }
    for text in
        ["", "0", "0MB", "MB", "-1", "1.5MB", "5 bananas", "99999999999999999999", "99999999999999999T"]
    {
        assert!(rate(text).is_err(), "{text}");
    }
}

#[test]
fn a_token_is_for_some_caches_or_for_all_and_never_for_neither() {
    let parse = |options: &str| {
        let line = format!("cachectl token create --permission read {options}");
        Args::try_parse_from(line.split_whitespace())
    };
    assert!(parse("").is_err());
    assert!(parse("--all --cache main").is_err());
    assert!(parse("--all").is_ok());
    assert!(parse("--workspace production").is_ok());
    assert!(parse("--workspace production --all").is_err());
    assert!(parse("--workspace production --cache main").is_err());
    let Command::Token(token::Command::Create(created)) = parse("--cache a,b --cache c").unwrap().command
    else {
        panic!("another command");
    };
    assert_eq!(created.caches, ["a", "b", "c"]);
}

#[test]
fn a_store_path_keeps_as_much_of_its_name_as_was_given() {
    let read = |text: &str| text.parse::<StorePath>().unwrap().as_str().to_owned();
    assert_eq!(read(HASH), HASH);
    assert_eq!(read(&format!("/nix/store/{HASH}-a-b-1.0/bin/a")), format!("{HASH}-a-b-1.0"));
}

#[test]
fn a_size_and_an_age_may_be_zero() {
    assert_eq!(size("500 GiB"), Ok(500 << 30));
    assert_eq!(size("0"), Ok(0));
    assert!(size("50MB/s").is_err() && size("").is_err());
    assert_eq!(age("0s"), Ok(Duration::ZERO));
    assert_eq!(age("12h"), Ok(Duration::from_secs(12 * 60 * 60)));
    assert!(age("5").is_err());
}

#[test]
fn sources_and_targets_are_urls_and_names_of_directories_become_some() {
    use super::value::{source, target};
    for same in
        ["https://cache.example.org", "s3://bucket/prefix", "file:///srv/cache", "daemon", "local?root=/mnt"]
    {
        assert_eq!(source(same).as_deref(), Ok(same));
    }
    let here = std::env::current_dir().unwrap();
    let url = |name: &str| format!("file://{}", here.join(name).display());
    assert_eq!(source("/srv/a b").as_deref(), Ok("file:///srv/a%20b"));
    assert_eq!(source("./dump"), Ok(url("dump")));
    assert_eq!(source("src"), Ok(url("src")), "a directory that is there");
    assert!(source("nope").unwrap_err().contains("no such directory"));
    for same in ["s3://bucket/prefix", "file:///srv/cache"] {
        assert_eq!(target(same).as_deref(), Ok(same));
    }
    // A directory to write to need not be there.
    assert_eq!(target("dump"), Ok(url("dump")));
    assert!(target("https://cache.example.org").unwrap_err().contains("cachectl push"));
}
