//! Long names, addresses and paths on narrow terminals.

use admin_api::{AgentInfo, PathRow, PeerInfo, PinInfo, UpstreamInfo, UpstreamUser};

use super::*;
use crate::nouns::worker::Work;

const LONG_NAME: &str = "continuous-integration-of-the-embedded-systems-department";
const LONG_URL: &str = "https://binary-cache-1.build.datacentre-frankfurt.infrastructure.example.org:8443/";
const LONG_PATH: &str =
    "/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-nixos-system-build-machine-of-the-department-25.11";
const LONG_ERROR: &str = "it answered with status 503 Service Unavailable, and said that it is under \
                          maintenance until the end of the week";

/// Asserts that lines fit, but for values that are longer than the terminal: those stand on lines of their own, at most behind
/// the name of the value, and whole.
#[track_caller]
fn assert_narrow(text: &str, width: usize, whole: &[&str]) {
    for value in whole {
        assert!(text.contains(value), "{value} is not whole in:\n{text}");
    }
    for line in text.lines().filter(|line| line.chars().count() > width) {
        let longest = line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
        let rest = line.chars().count() - longest;
        assert!(longest > width / 2 && rest <= 20, "wider than {width} columns: {line}\n{text}");
    }
}

/// All lists, with an ordinary row and one in which everything is long.
fn lists(look: &Look) -> Vec<(&'static str, String)> {
    let long = |text: &mut String| *text = LONG_NAME.to_owned();

    let mut peers = samples::network::peers();
    let caches = vec![LONG_NAME.to_owned(), "main".to_owned(), "staging".to_owned()];
    peers.push(PeerInfo { url: LONG_URL.to_owned(), caches, ..peers[0].clone() });
    let mut pings = samples::network::pings();
    pings[1].url = LONG_URL.to_owned();
    pings[1].error = Some(LONG_ERROR.to_owned());

    let mut upstreams = samples::network::upstreams();
    let users = vec![UpstreamUser { cache: LONG_NAME.to_owned(), priority: 1 }];
    let error = Some(LONG_ERROR.to_owned());
    upstreams.push(UpstreamInfo {
        url: LONG_URL.to_owned(),
        caches: users,
        last_error: error,
        ..upstreams[0].clone()
    });
    let mut checks = samples::network::upstream_checks();
    checks[1].url = LONG_URL.to_owned();
    checks[1].error = Some(LONG_ERROR.to_owned());

    let mut tokens = samples::tokens();
    tokens[1].subject = Some(format!("the builders of {LONG_NAME} in the second datacentre"));
    tokens[1].caches.push(LONG_NAME.to_owned());

    let mut storages = samples::storages();
    long(&mut storages[1].cache);
    long(&mut storages[1].name);
    storages[1].last_error = Some(LONG_ERROR.to_owned());
    let mut far = samples::storages();
    far[1].location = format!("s3://nars/{LONG_NAME}/{LONG_NAME}");

    let mut agents = samples::deploy::agents();
    agents.push(AgentInfo { name: LONG_NAME.to_owned(), ..agents[0].clone() });

    let mut jobs = samples::jobs();
    jobs[8].kind = admin_api::JobKind::Import;
    jobs[8].subject = format!("{LONG_URL} into {LONG_NAME}");
    jobs[2].last_error = Some(LONG_ERROR.to_owned());

    let mut workers = samples::daemon::workers();
    workers[1].last_error = Some(LONG_ERROR.to_owned());

    let mut pins = samples::paths::pins();
    pins.push(PinInfo { store_path: LONG_PATH.to_owned(), ..pins[0].clone() });
    let mut named = pins.clone();
    named.push(PinInfo { name: LONG_NAME.to_owned(), ..pins[0].clone() });

    let mut paths = samples::paths::rows();
    paths.push(PathRow { store_path: LONG_PATH.to_owned(), ..paths[0].clone() });

    let mut caches = samples::status().caches;
    caches[0].url = LONG_URL.to_owned();
    caches[0].public_keys =
        vec![format!("{LONG_NAME}.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=")];
    let mut other = caches.clone();
    long(&mut other[0].name);

    let mut findings = samples::daemon::findings();
    findings[1].message = format!("{LONG_URL} {LONG_ERROR}");
    findings[1].advice = Some(LONG_ERROR.to_owned());

    let mut deployments = samples::deploy::deployments();
    deployments[0].store_path = LONG_PATH.to_owned();

    vec![
        ("peer list", peer::render(&peers, look)),
        ("peer ping", peer::answers(&pings, look)),
        ("upstream list", upstream::render(&upstreams, look)),
        ("upstream check", upstream::answers(&checks, look)),
        ("token list", token::table(&tokens, look)),
        ("storage list", storage::table(&storages, look)),
        ("storages of a cache", storage::brief_table(&far, look)),
        ("agent list", agent::table(&agents, look)),
        ("job list", job::short_table(&jobs, look)),
        ("job list --all", job::table(&jobs, look)),
        ("worker list", worker::render(&Work { workers, jobs: Vec::new() }, true, look)),
        ("pin list", pin::table(&pins, look)),
        ("pin list, long name", pin::table(&named, look)),
        ("path list", path::table(&paths, look)),
        ("cache list", cache::table(&caches, look)),
        ("cache list, long name", cache::table(&other, look)),
        ("public keys", cache::public_keys(&caches, look)),
        ("doctor", doctor::render(&findings, look)),
        ("deploy list", deploy::table(&deployments, look)),
    ]
}

#[test]
fn lists_with_long_values_fit_on_narrow_terminals() {
    let text: Vec<_> = lists(&TERMINAL).into_iter().map(|(name, text)| format!("# {name}\n{text}")).collect();
    assert_golden("long.80.txt", &text.join("\n"));
    for width in [40, 60, 80, 100] {
        let look = Look { width: Some(width), ..TERMINAL };
        for (name, text) in lists(&look) {
            let whole: &[&str] = match name {
                "peer list" | "peer ping" | "upstream list" | "upstream check" | "cache list" => &[LONG_URL],
                "pin list" | "path list" | "deploy list" => &[&LONG_PATH["/nix/store/".len()..]],
                "agent list" | "storage list" | "pin list, long name" | "cache list, long name" => {
                    &[LONG_NAME]
                }
                "storages of a cache" => {
                    &["s3://nars/continuous-integration-of-the-embedded-systems-department/"]
                }
                _ => &[],
            };
            assert_narrow(&text, width.into(), whole);
        }
    }
}

#[test]
fn lists_without_box_lines_are_laid_out_alike() {
    let ascii = |text: String| text.replace('─', "-").replace('…', "...");
    for ((name, drawn), (_, dumb)) in
        lists(&TERMINAL).into_iter().zip(lists(&Look { draws_lines: false, ..TERMINAL }))
    {
        // Prose that is cut off is cut off earlier.
        if !drawn.contains('…') {
            assert_eq!(ascii(drawn), dumb, "{name}");
        }
        assert!(dumb.is_ascii(), "{dumb}");
    }
}

#[test]
fn colours_do_not_change_the_layout() {
    let codes = ["\x1b[0m", "\x1b[1m", "\x1b[1;91m", "\x1b[92m", "\x1b[93m"];
    let plain = |text: String| {
        let text = codes.iter().fold(text, |text, code| text.replace(code, ""));
        let text = text.replace("\x1b[38;5;9m", "").replace("\x1b[38;5;10m", "").replace("\x1b[38;5;11m", "");
        let lines: Vec<_> =
            text.replace("\x1b[39m", "").lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    };
    for ((name, coloured), (_, uncoloured)) in
        lists(&Look { colour: true, ..TERMINAL }).into_iter().zip(lists(&TERMINAL))
    {
        assert_eq!(plain(coloured), plain(uncoloured), "{name}");
    }
}
