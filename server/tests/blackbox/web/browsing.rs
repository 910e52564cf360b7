//! The pages in Chromium: at the widths of a phone and of a desk, light and dark, with scripts and without. Pictures of them are kept
//! below the target directory, in `web-pages`.

use serde_json::json;

use crate::deploy::{Fleet, finished, line, started};
use crate::harness::browser::Browser;
use crate::harness::{Node, Path, SOON, Site, wait_for};

/// A site with something to look at, whose URLs are right for a browser on this machine.
fn site() -> Site {
    Site::with_files(|config, directory| {
        config["server"]["audit-log"] = json!(directory.join("audit.log"));
        config["caches"][3]["upstreams"] = json!(["http://127.0.0.1:9"]);
        config["workspaces"] = json!([{"name": "fleet", "cache": "pub"}]);
        config["agents"] = json!([{"name": "machine", "workspace": "fleet"}]);
    })
}

fn fill(site: &Site) -> Path {
    let library = Path::incompressible("glibc-2.42", 300_000);
    site.pusher("pub").push(&library);
    let text = "# Read me\n\n<script>document.title = 'taken over'</script>\n\u{1b}[31mred\u{202e}\n";
    let contents = Node::directory([
        ("bin", Node::directory([("hello", Node::program("#!/bin/sh\necho hello\n"))])),
        ("read me", Node::file(text)),
        ("<img src=x onerror=alert(1)>", Node::file("x")),
    ]);
    let hello = Path::of("hello-2.12.1", &contents)
        .referring_to([library.base_name()])
        .derived_by("1b8m03r63zqhnjf7l5wnldhh7c134ap5-hello-2.12.1.drv");
    site.pusher("pub").push(&hello);
    for name in ["firefox-144.0", "ripgrep-15.0.0", "nixos-system-desk-26.05", "python3-3.13.9"] {
        let size = 10_000 * name.len();
        site.pusher("pub").push(&Path::incompressible(name, size).referring_to([library.base_name()]));
    }
    site.cachectl_ok(&["pin", "add", "release", &hello.store_path(), "--cache", "pub"]);
    site.pusher("priv").push(&Path::small("secret-1.0"));
    hello
}

#[test]
fn every_page_is_shown_as_it_should_be() {
    let site = site();
    let hello = fill(&site);
    let admin = site.create_token(&["--all", "--permission", "admin", "--subject", "the operator"]);
    let root = format!("http://cachix.test:{}", site.port("api"));
    let browser = Browser::start("cachix.test");
    let at = format!("/cache/pub/path/{}", hello.hash);
    let open =
        ["/".to_owned(), "/cache/pub".to_owned(), "/cache/pub/paths?q=hello".to_owned(), "/login".to_owned()];
    let of_path = ["", "/files", "/files/read%20me", "/log", "/references"].map(|rest| format!("{at}{rest}"));
    let of_operator = ["/server", "/server/work", "/server/network", "/server/tokens", "/server/audit"];
    let after_login = of_operator.into_iter().chain(["/deployments", "/deployments/fleet", "/cache/priv"]);
    let after_login: Vec<String> = after_login.map(str::to_owned).chain([format!("{at}/why")]).collect();
    let look_at = |targets: &[String], scripts: bool| {
        for (width, dark) in [(1280, false), (1280, true), (360, false), (360, true)] {
            browser.look(width, dark);
            for target in targets {
                browser.open(&format!("{root}{target}"));
                assert!(browser.has("main h1"), "{target}");
                let colours = if dark { "dark" } else { "light" };
                let name =
                    target.trim_matches('/').replace(['/', '?', '=', '%'], "-").replace(&hello.hash, "HASH");
                let kind = if scripts { "" } else { "-no-script" };
                browser.picture(&format!(
                    "{}-{width}-{colours}{kind}",
                    if name.is_empty() { "home" } else { &name }
                ));
                assert!(!browser.is_cut_off(), "{target} at {width}");
                assert_eq!(browser.complaints(), [""; 0], "{target} at {width}");
                assert_ne!(browser.title(), "taken over");
            }
        }
    };
    look_at(&open, true);
    look_at(&of_path, true);

    // The search finds by name, and a whole hash leads to its page.
    browser.look(1280, false);
    browser.open(&format!("{root}/cache/pub"));
    browser.type_into("#q", "hel\u{e007}");
    wait_for(SOON, "the search", || browser.url().contains("paths?q=hel").then_some(()));
    browser.click("main table a");
    assert_eq!(browser.text_of("h1"), "hello-2.12.1");
    browser.open(&format!("{root}/cache/pub"));
    browser.type_into("#q", &format!("{}\u{e007}", hello.store_path()));
    wait_for(SOON, "the page of the path", || browser.url().ends_with(&at).then_some(()));

    // What is copied arrives where it is pasted.
    browser.click(".code .copy");
    wait_for(SOON, "the word of the button", || (browser.text_of(".code .copy") == "Copied").then_some(()));
    browser.open(&format!("{root}/cache/pub"));
    browser.type_into("#q", "\u{e009}v");
    assert_eq!(browser.property("#q", "value"), hello.store_path());

    // Tabs show one way to use a cache at a time.
    browser.click("label[for=use-pub-3]");
    assert!(browser.text_of("fieldset.tabs").contains("nix.settings"));
    assert!(!browser.text_of("fieldset.tabs").contains("nixConfig"));

    // A list is filtered as one types.
    browser.open(&format!("{root}{at}/files"));
    browser.type_into(".filter", "read");
    let shown = browser.text_of("#entries");
    assert!(shown.starts_with("read me") && !shown.contains("bin"), "{shown}");

    // Logging in opens what was closed, and logging out closes it again.
    browser.open(&format!("{root}/cache/priv"));
    assert_eq!(browser.text_of("h1"), "Not found");
    // The page itself is a 404, which the browser notes.
    browser.complaints();
    browser.click("main a[href*=login]");
    browser.type_into("#token", "not a token\u{e007}");
    wait_for(SOON, "the refusal", || browser.has("[role=alert]").then_some(()));
    browser.complaints();
    browser.type_into("#token", &format!("{admin}\u{e007}"));
    wait_for(SOON, "the private cache", || (browser.text_of("h1").starts_with("priv")).then_some(()));
    let cookies = browser.cookies();
    assert_eq!(
        (&cookies[0]["httpOnly"], &cookies[0]["sameSite"]),
        (&json!(true), &json!("Strict")),
        "{cookies:?}"
    );
    assert_eq!(browser.run("return document.cookie"), "");
    look_at(&after_login, true);
    browser.scripts(false);
    look_at(&open, false);
    look_at(&of_path, false);
    look_at(&["/server/work".to_owned(), "/cache/priv".to_owned()], false);
    browser.look(1280, false);
    browser.open(&format!("{root}/"));
    assert!(!browser.is_shown(".copy"), "what needs a script is not there without");
    browser.click("form[action$=logout] button");
    wait_for(SOON, "the logout", || (!browser.text_of("main").contains("priv")).then_some(()));
    browser.open(&format!("{root}/cache/priv"));
    assert_eq!(browser.text_of("h1"), "Not found");
}

#[test]
fn a_log_is_followed_to_its_end() {
    let fleet = Fleet::start();
    let root = format!("http://cachix.test:{}", fleet.site.port("api"));
    let browser = Browser::start("cachix.test");
    for scripts in [true, false] {
        let id = fleet.deploy();
        browser.scripts(scripts);
        browser.look(1280, false);
        browser.open(&format!("{root}/deploy/{id}"));
        if scripts {
            assert!(browser.text_of("main").contains("The log is for those who have a token"));
            browser.click("main a[href*=login]");
            browser.type_into("#token", &format!("{}\u{e007}", fleet.activate_token("main")));
        }
        wait_for(SOON, "the log", || browser.has("#log").then_some(()));
        let mut producer = fleet.produce("a1", &id);
        let mut work = fleet.work("a1");
        work.send_json(&started(&id, Some(1 << 30))).unwrap();
        for number in 0..50 {
            producer.send_json(&line(&format!("step {number}"))).unwrap();
        }
        producer.send_json(&line("<b>bold</b><script>alert(1)</script> \u{1b}[31mred \u{202e}txt")).unwrap();
        let hostile = "<b>bold</b><script>alert(1)</script> ^[[31mred \u{27e8}U+202E\u{27e9}txt";
        wait_for(SOON, "the lines", || {
            let text = browser.text_of("#log");
            (text.contains("step 49") && text.contains(hostile)).then_some(())
        });
        wait_for(SOON, "the state", || browser.text_of("#state").contains("in progress").then_some(()));
        browser.picture(if scripts { "deployment-running" } else { "deployment-running-no-script" });
        producer.send_json(&line("Successfully activated the deployment.")).unwrap();
        work.send_json(&finished(&id, true)).unwrap();
        producer.close();
        work.close();
        wait_for(SOON, "the end", || {
            let text = browser.text_of("#log");
            (text.contains("Successfully") && browser.text_of("#state").contains("succeeded")).then_some(())
        });
        if scripts {
            wait_for(SOON, "the last event", || browser.has("#log[data-ended]").then_some(()));
        }
        for (width, dark) in [(1280, true), (360, false)] {
            browser.look(width, dark);
            assert!(!browser.is_cut_off());
            browser.picture(&format!("deployment-{width}{}", if scripts { "" } else { "-no-script" }));
        }
        assert_eq!(browser.text_of("#log").matches("step 7\n").count(), 1, "each line once");
        assert_eq!(browser.complaints(), [""; 0]);
    }
}
