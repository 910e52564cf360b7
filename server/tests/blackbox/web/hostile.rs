//! What strangers can put into pages stands there as text.

use super::page;
use crate::harness::{Node, Path, Permission, Site};

#[test]
fn names_of_files_pins_and_tokens_are_text() {
    let site = Site::start();
    let contents = Node::directory([
        ("<script>alert(1)<", Node::file("harmless")),
        ("a\"onclick=\"x", Node::directory([("in", Node::file("side"))])),
        ("left\u{202e}txt.exe", Node::file("x")),
        ("page", Node::file("<script>alert(2)</script>\u{1b}[31mred\n")),
    ]);
    let path = Path::of("odd", &contents).derived_by("1b8m03r63zqhnjf7l5wnldhh7c134ap5-odd.drv");
    let writer =
        site.create_token(&["--cache", "pub", "--permission", "write", "--subject", "<img src=x>\u{202e}"]);
    crate::harness::Pusher::new(site.api(), "pub", &writer).push(&path);
    site.cachectl_ok(&["pin", "add", "</table><script>\u{2066}", &path.store_path(), "--cache", "pub"]);
    let log = "<script>alert(3)</script>\n\u{1b}]0;title\u{7}\u{202e}reversed\n";
    let drv = "/log/1b8m03r63zqhnjf7l5wnldhh7c134ap5-odd.drv";
    site.cache("pub").put(drv).bearer(&writer).body(log).send().expect(200);
    let at = format!("/cache/pub/path/{}", path.hash);
    let reader = site.token("pub", Permission::Read);
    for (target, shown) in [
        (format!("{at}/files"), "&lt;script&gt;alert(1)&lt;"),
        (format!("{at}/files"), "left\u{27e8}U+202E\u{27e9}txt.exe"),
        (format!("{at}/files/a%22onclick%3D%22x"), "in"),
        (format!("{at}/files/page"), "&lt;script&gt;alert(2)&lt;/script&gt;^[[31mred"),
        (
            format!("{at}/log"),
            "&lt;script&gt;alert(3)&lt;/script&gt;\n^[]0;title^G\u{27e8}U+202E\u{27e9}reversed",
        ),
        (at.to_string(), "&lt;img src=x&gt;\u{27e8}U+202E\u{27e9}"),
        ("/cache/pub/pins".to_owned(), "&lt;/table&gt;&lt;script&gt;\u{27e8}U+2066\u{27e9}"),
        ("/cache/pub/paths?q=%3Cscript%3E%E2%80%AE".to_owned(), "&lt;script&gt;\u{27e8}U+202E\u{27e9}"),
    ] {
        let reply = page(&site.api(), &target, &reader).expect(200);
        assert!(reply.text().contains(shown), "{shown} on {target}:\n{}", reply.text());
        assert!(!reply.text().contains("<script>") && !reply.text().contains('\u{202e}'), "{target}");
        assert!(!reply.text().contains('\u{1b}') && !reply.text().contains("<img src=x"), "{target}");
    }
    // A file that is downloaded is no page of this site.
    let raw = site.api().get(&format!("{at}/raw/page")).send().expect(200);
    assert_eq!(raw.header("Content-Type"), Some("application/octet-stream"));
    assert_eq!(raw.header("Content-Disposition"), Some("attachment"));
    assert!(raw.header("Content-Security-Policy").unwrap().contains("sandbox"));
    assert!(raw.text().contains("<script>"));
}

#[test]
fn pages_stay_small_whatever_is_in_them() {
    let site = Site::start();
    let names: Vec<String> = (0..2000).map(|number| format!("{number:04}-{}", "<".repeat(200))).collect();
    let contents = Node::Directory(names.iter().map(|name| (name.clone(), Node::file("x"))).collect());
    let long = "<>&\"".repeat(12_000);
    let contents = Node::directory([("many", contents), ("long", Node::file(long.as_str()))]);
    let path = Path::of("large", &contents).derived_by("1b8m03r63zqhnjf7l5wnldhh7c134ap5-large.drv");
    let references = (0..1500).map(|number| {
        let hash = format!("{number:032}");
        format!("{hash}-a-reference-with-quite-a-long-name-{number}")
    });
    let path = path.referring_to(references);
    site.pusher("pub").push(&path);
    let drv = "/log/1b8m03r63zqhnjf7l5wnldhh7c134ap5-large.drv";
    let writer = site.token("pub", Permission::Write);
    site.cache("pub").put(drv).bearer(&writer).body(long.repeat(10)).send().expect(200);
    for number in 0..60 {
        let name = format!("{number:03}{}", "&".repeat(250));
        site.cachectl_ok(&["pin", "add", &name, &path.store_path(), "--cache", "pub"]);
    }
    let at = format!("/cache/pub/path/{}", path.hash);
    for rest in ["", "/files", "/files/many", "/files/long", "/log", "/references", "/references?after=1400"]
    {
        page(&site.api(), &format!("{at}{rest}"), "").expect(200);
    }
    for target in ["/cache/pub", "/cache/pub/pins", "/cache/pub/paths"] {
        page(&site.api(), target, "").expect(200);
    }
    // All entries of a directory are found, page by page.
    let (mut target, mut found) = (format!("{at}/files/many"), 0);
    loop {
        let reply = page(&site.api(), &target, "").expect(200);
        found += reply.text().matches("<td class=\"number\">").count();
        let next = reply.text().split(" href=\"").find(|rest| rest.contains("rel=\"next\""));
        let Some(next) = next else { break };
        target = super::resolve(&target, &next.split('"').next().unwrap().replace("&amp;", "&"));
    }
    assert_eq!(found, 2000);
}

#[test]
fn odd_requests_are_refused_in_plain_words() {
    let site = Site::start();
    let hash = "1b8m03r63zqhnjf7l5wnldhh7c134ap5";
    for (target, status) in [
        ("/cache/pub/paths?after=nonsense".to_owned(), 400),
        ("/cache/pub/pins?revision=x&name=y".to_owned(), 400),
        ("/?from=x".to_owned(), 400),
        (format!("/cache/pub/path/{hash}"), 404),
        (format!("/cache/pub/path/{hash}/files"), 404),
        ("/deploy/6a7d1d2e-6a0e-4f0c-9a40-0a8e3a0f9d11".to_owned(), 404),
        ("/deployments".to_owned(), 401),
        ("/deployments/fleet".to_owned(), 404),
    ] {
        page(&site.api(), &target, "").expect(status);
    }
    let most = format!("/cache/pub/paths?q={}", "a%20".repeat(2000));
    page(&site.api(), &most, "").expect(200);
}
