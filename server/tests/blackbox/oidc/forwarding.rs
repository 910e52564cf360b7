//! Several daemons of one catalog: the one that a job talks to passes its requests on, but not its token.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::leaks::files_with;
use super::{Provider, main_branch, may_push, rules, trust};
use crate::harness::daemon::DAEMON;
use crate::harness::push::parts;
use crate::harness::tap::Tap;
use crate::harness::{Cluster, Path, Pusher, SOON, Site, wait_for};
use crate::traces::Receiver;

/// What gives a token away: its signature, and what a client of netrc makes of all of it.
fn forms(token: &str) -> [String; 2] {
    [token.rsplit('.').next().unwrap().to_owned(), STANDARD.encode(format!(":{token}"))]
}

/// Pushes a path whose upload is begun at one daemon and continued at the other.
fn push_across(owner: &Pusher, other: &Pusher, path: &Path) {
    let upload = owner.create(path.compression);
    let part = other.part(&upload, 1, &path.file);
    other.complete(&upload, &parts(&[part]), &path.nar_info_create()).expect(200);
    let upload = owner.create(path.compression);
    other.abort(&upload).expect(200);
}

/// Pushes a path as `nix copy` does, the NAR to one daemon and the narinfo to the other.
fn put_across(owner: &Site, other: &Site, token: &str, path: &Path) {
    let put = |site: &Site, target: &str, body: Vec<u8>| {
        site.cache("priv").put(target).basic("", token).body(body).send().expect_success();
    };
    put(owner, &format!("/{}", path.file_url()), path.file.clone());
    put(other, &format!("/{}.narinfo", path.hash), path.narinfo_text().into_bytes());
}

#[test]
fn a_token_of_a_provider_reaches_no_other_daemon_no_trace_and_no_log() {
    let (provider, receiver) = (Provider::start(), Receiver::start());
    let taps: Arc<Mutex<Vec<Tap>>> = Arc::default();
    let endpoint = receiver.endpoint();
    let mut cluster = Cluster::launched(
        |config, directory| {
            let port = config["server"]["server-port"].as_u64().unwrap() as u16;
            let tap = Tap::before(port);
            config["server"]["node-url"] = json!(format!("http://127.0.0.1:{}", tap.port));
            taps.lock().unwrap().push(tap);
            config["server"]["log"] = json!({"filter": "trace"});
            config["server"]["audit-log"] = json!(directory.join("audit.jsonl"));
            config["oidc"] = trust(&provider, &rules());
        },
        move || {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50");
            command
        },
    );
    let mut tokens = Vec::new();
    {
        let Cluster { a, b, .. } = &cluster;
        for (owner, other) in [(a, b), (b, a)] {
            // Each daemon sees a token that neither has seen before.
            for number in 0..2 {
                let token = provider.token(&main_branch());
                let pushers = [owner, other].map(|site| Pusher::new(site.api(), "priv", &token));
                let path = Path::incompressible(&format!("passed-on-{number}"), 50_000);
                push_across(&pushers[0], &pushers[1], &path);
                other.reader("priv").assert_has(&path);
                let path = Path::small(&format!("copied-{number}"));
                put_across(owner, other, &token, &path);
                other.reader("priv").assert_has(&path);
                tokens.push(token);
            }
            // One that opens nothing is not passed on either.
            let wrong = provider.token(&json!({"repository": "evil/web"}));
            let own = owner.pusher("priv");
            let upload = own.create(crate::harness::Compression::Zstd);
            let stranger = Pusher::new(other.api(), "priv", &wrong);
            assert_eq!(stranger.abort(&upload).status, 401);
            assert!(!may_push(other, "priv", &wrong));
            tokens.push(wrong);
        }
    }
    let spans = "POST /api/v1/cache/{cache}/multipart-nar/{id}/complete";
    wait_for(SOON, "the traces have arrived", || (receiver.count(spans) >= 8).then_some(()));
    for site in [&mut cluster.a, &mut cluster.b] {
        assert!(site.daemon().terminate().success());
    }
    let taps = taps.lock().unwrap();
    let used = taps.iter().filter(|tap| tap.has_seen(b"x-cache-server-forwarded")).count();
    assert_eq!(used, 2, "requests were passed on in both directions");
    for form in tokens.iter().flat_map(|token| forms(token)) {
        assert!(!taps.iter().any(|tap| tap.has_seen(form.as_bytes())), "another daemon got it");
        assert!(!receiver.has_received(&form), "a trace has it");
        for site in [&cluster.a, &cluster.b] {
            let mut found = Vec::new();
            files_with(site.directory(), &[&form], &mut found);
            assert!(found.is_empty(), "{found:?}");
        }
    }
    let dump = cluster.dump();
    assert!(dump.contains("repository"), "the sessions are in the catalog");
    for form in tokens.iter().flat_map(|token| forms(token)) {
        assert!(!dump.contains(&form), "the catalog has it");
    }
}
