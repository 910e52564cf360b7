//! What a reload must not lose with a file that was cut off or says less than before: caches, tokens, privacy.

use super::*;

/// A config as a person writes it, with everything in it that is lost with its end.
const WRITTEN: &str = "\
# Who reads this: the daemon.
server:
  hostname: 127.0.0.1
  server-port: API
  deploy-port: DEPLOY
  state-dir: STATE
  admin-socket: SOCKET
  standalone: true
KEYcaches:
  - name: pub
    port: PUB
    retention: 30
  - name: priv
    port: PRIV
    access: private
    retention: 300
workspaces:
  - name: fleet
    cache: priv
";

/// A site with [`WRITTEN`], in this order of its two halves.
fn written(key: &str, caches_first: bool) -> (Site, String) {
    let site = Site::start();
    let mut text = WRITTEN.replace("KEY", key);
    let state = site.directory().join("written");
    for (name, value) in [
        ("API", site.port("api").to_string()),
        ("DEPLOY", site.port("deploy").to_string()),
        ("PUB", site.port("pub").to_string()),
        ("PRIV", site.port("priv").to_string()),
        ("STATE", state.display().to_string()),
        ("SOCKET", site.directory().join("admin.sock").display().to_string()),
    ] {
        text = text.replace(name, &value);
    }
    if caches_first {
        let (server, caches) = text.split_at(text.find("caches:").unwrap());
        text = format!("{caches}{server}");
    }
    (site, text)
}

/// Starts the daemon of the site with this text as its config.
fn start_with(site: &mut Site, text: &str) {
    assert!(site.daemon().terminate().success());
    std::fs::write(site.directory().join("config.yaml"), text).unwrap();
    site.restart();
}

/// Reloads the config at each cut, and checks that what was in service before is in service still: one of the caches, the
/// tokens, and privacy.
fn survives_cuts(site: &Site, text: &str, cuts: impl Iterator<Item = usize>) {
    let file = site.directory().join("config.yaml");
    let token = site.create_token(&["--all", "--permission", "read"]);
    let opens = |cache: &str, token: &str| {
        site.api().get(&format!("/api/v1/cache/{cache}/nix-cache-info")).basic("", token).send().status
    };
    assert_eq!(["pub", "priv"].map(|cache| opens(cache, &token)), [200, 200]);
    for cut in cuts.filter(|cut| text.is_char_boundary(*cut)) {
        std::fs::write(&file, &text[..cut]).unwrap();
        let output = site.cachectl(&["reload"]);
        let told = format!("cut at {cut}: {output:?}\n{}", &text[..cut]);
        let seen = ["pub", "priv"].map(|cache| opens(cache, &token));
        let anonymous = opens("priv", "");
        assert!(anonymous == 401 || anonymous == 404, "a private cache is open, {told}");
        if output.status.success() {
            assert!(seen.contains(&200), "no cache is left, {told}");
            assert!(!seen.contains(&401), "tokens are void, {told}");
        } else {
            assert_eq!(output.status.code(), Some(6), "{told}");
            assert_eq!(seen, [200, 200], "it was refused, {told}");
        }
        std::fs::write(&file, text).unwrap();
        assert!(site.cachectl(&["reload"]).status.success(), "{told}");
        assert_eq!(["pub", "priv"].map(|cache| opens(cache, &token)), [200, 200], "{told}");
    }
}

#[test]
fn a_config_that_was_cut_off_anywhere_leaves_caches_and_tokens_in_service() {
    let key = format!("  key: {}\n", "6b".repeat(32));
    let key_file = "  key-file: server-key\n";
    for (key, caches_first, every_byte) in [
        (key.as_str(), true, true),
        (&key, false, false),
        (key_file, true, false),
        ("", true, false),
        ("  key: null\n", true, false),
    ] {
        let (mut site, text) = written(key, caches_first);
        std::fs::write(site.directory().join("server-key"), "7d".repeat(32)).unwrap();
        start_with(&mut site, &text);
        let is_line_end = |cut: usize| cut == 0 || text.as_bytes()[cut - 1..=cut].contains(&b'\n');
        survives_cuts(&site, &text, (0..text.len()).filter(|cut| every_byte || is_line_end(*cut)));
    }
}

#[test]
fn the_last_cache_goes_only_if_the_file_says_so() {
    let site = Site::with(|config| drop(caches(config).drain(1..)));
    let file = site.directory().join("config.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    let serves = || site.api().get("/api/v1/cache/pub").send().status;
    let without = |change: &dyn Fn(&mut Value)| {
        site.edit_config(|config| change(config));
        let output = site.cachectl(&["reload"]);
        std::fs::write(&file, &good).unwrap();
        output
    };
    let lost: [Edit<'_>; 4] = [
        &|config| drop(config.as_object_mut().unwrap().remove("caches")),
        &|config| config["caches"] = json!(null),
        &|config| config["caches"][0]["name"] = json!("pu"),
        &|config| {
            let mut disabled = config["caches"][0].clone();
            disabled["name"] = json!("other");
            disabled["enabled"] = json!(false);
            config["caches"] = json!([disabled]);
        },
    ];
    for lost in lost {
        let output = without(lost);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains("config.yaml") && complaint.contains("`caches: []`"), "{complaint}");
        assert_eq!(serves(), 200);
    }
    let explicit: [Edit<'_>; 3] = [
        &|config| config["caches"] = json!([]),
        &|config| config["caches"][0]["enabled"] = json!(false),
        &|config| config["caches"][0]["name"] = json!("renamed"),
    ];
    for explicit in explicit {
        let output = without(explicit);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(serves(), 404);
        assert!(site.cachectl(&["reload"]).status.success());
        assert_eq!(serves(), 200);
    }
}

#[test]
fn the_server_key_goes_only_if_the_file_says_so() {
    let site = Site::start();
    let token = site.token("priv", Permission::Read);
    let opens = || site.api().get("/api/v1/cache/priv").bearer(&token).send().status;
    let file = site.directory().join("config.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(site.directory().join("empty"), "").unwrap();
    std::fs::write(site.directory().join("half"), "6b".repeat(16)).unwrap();
    let server = |config: &mut Value, key: &str, value: Value| {
        config["server"].as_object_mut().unwrap().remove("key");
        config["server"][key] = value;
    };
    let lost: [(Edit<'_>, &str); 4] = [
        (&|config| drop(config["server"].as_object_mut().unwrap().remove("key")), "write `key: null`"),
        (&|config| config["server"]["key"] = json!("6b".repeat(31)), "only the beginning"),
        (&|config| server(config, "key-file", json!("half")), "only the beginning"),
        (&|config| server(config, "key-file", json!("empty")), "is empty"),
    ];
    for (lose, told) in lost {
        site.edit_config(|config| lose(config));
        let output = site.cachectl(&["reload"]);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains("server.key") && complaint.contains(told), "{complaint}");
        assert_eq!(opens(), 200);
        std::fs::write(&file, &good).unwrap();
    }
    assert!(!site.state_dir().join("server.key").exists(), "no key was made");
    site.edit_config(|config| config["server"]["key"] = json!(null));
    assert_eq!(reload(&site).0.last().unwrap(), "server.key: tokens made with the old one are void");
    assert_eq!(opens(), 401);
}

#[test]
fn a_private_cache_is_opened_only_if_the_file_says_so() {
    let site = Site::start();
    let open = || site.api().get("/api/v1/cache/priv").send().status;
    site.edit_config(|config| drop(config["caches"][1].as_object_mut().unwrap().remove("access")));
    let output = site.cachectl(&["reload"]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("write `access: private`"));
    assert_eq!(open(), 401);
    // Nor does it open by being out of service for a while.
    let mut entry = json!(null);
    site.edit_config(|config| entry = caches(config).remove(1));
    reload(&site);
    assert_eq!(open(), 404);
    site.edit_config(|config| caches(config).insert(1, entry));
    assert_eq!(site.cachectl(&["reload"]).status.code(), Some(6));
    assert_eq!(open(), 404);
    site.edit_config(|config| config["caches"][1]["access"] = json!("public"));
    assert_eq!(reload(&site).0, ["caches.priv: new"]);
    assert_eq!(open(), 200);
}

#[test]
fn a_file_that_is_no_mapping_is_refused_by_a_hangup_and_at_a_start_too() {
    let mut site = Site::start();
    let file = site.directory().join("config.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    for text in ["", "# caches\n", "null\n", "caches\n", "- name: pub\n"] {
        std::fs::write(&file, text).unwrap();
        let refused =
            |site: &mut Site| site.daemon().log().matches("the configuration was not reloaded").count();
        let before = refused(&mut site);
        site.daemon().signal(Signal::HUP);
        wait_for(SOON, "the fault is logged", || (refused(&mut site) > before).then_some(()));
        site.api().get("/api/v1/cache/pub").send().expect(200);

        for arguments in [&["check-config"][..], &["--config"]] {
            let mut command = std::process::Command::new(crate::harness::daemon::DAEMON);
            let output = command.env_clear().args(arguments).arg(&file).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{text:?}: {output:?}");
            let complaint = String::from_utf8(output.stderr).unwrap();
            assert!(complaint.contains(&format!("{}:1: the file ", file.display())), "{complaint}");
        }
    }
    std::fs::write(&file, &good).unwrap();
    assert_eq!(reload(&site), (vec![], vec![]));
}
