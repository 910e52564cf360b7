//! The metrics: their format, their names, and that they count what happens.

mod alerts;
mod prometheus;
pub mod scrape;

use std::collections::HashSet;

use serde_json::{Value, json};

use self::scrape::{Scrape, endpoint, site, with_metrics};
use crate::harness::{Path, Permission, SOON, Site, wait_for};

const REFERENCE: &str = include_str!("../../../docs/src/reference/metrics.md");

/// The metrics that the reference lists, with their kinds.
fn documented() -> HashSet<(String, String)> {
    let rows = REFERENCE.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), cells.get(2)?.to_string()))
    });
    rows.collect()
}

#[test]
fn the_reference_lists_what_the_daemon_gives_and_every_metric_has_values_from_the_start() {
    let site = Site::with(|config| {
        with_metrics(config);
        config["caches"][0]["upstreams"] = json!(["http://127.0.0.1:9"]);
        config["workspaces"] = json!([{"name": "fleet", "cache": "pub"}]);
        config["agents"] = json!([{"name": "machine", "workspace": "fleet"}]);
    });
    let scrape = Scrape::of(&site);
    assert_eq!(scrape.kinds(), documented());
    // There is one for each certificate, and this daemon has none.
    let of_certificates = "cache_server_certificate_end_timestamp_seconds";
    let is_silent = |name: &String| name != of_certificates && !scrape.has_values(name);
    let silent: Vec<_> = scrape.kinds().into_iter().filter(|(name, _)| is_silent(name)).collect();
    assert!(silent.is_empty(), "{silent:?}");
    for cache in ["pub", "priv"] {
        for status in ["1xx", "2xx", "3xx", "4xx", "5xx"] {
            let labels =
                [("cache", cache), ("route", "/{hash}.narinfo"), ("method", "GET"), ("status", status)];
            assert_eq!(scrape.get("cache_server_http_requests_total", &labels), 0.0);
        }
        assert_eq!(scrape.get("cache_server_pushes_total", &[("cache", cache)]), 0.0);
    }
    assert_eq!(scrape.get("cache_server_push_refusals_total", &[("cause", "full")]), 0.0);
    assert_eq!(scrape.get("cache_server_deploy_agent_online", &[("agent", "machine")]), 0.0);
}

#[test]
fn what_happens_is_counted() {
    let site = site();
    let path = Path::small("path");
    let pusher = site.pusher("pub");
    pusher.push(&path);
    for _ in 0..3 {
        site.reader("pub").assert_has(&path);
    }
    site.reader("pub").assert_lacks(&Path::small("other"));
    let refused = pusher.push_announcing(&Path::small("wrong"), "cNarSize", json!(1));
    assert!(refused.status >= 400, "{}", refused.status);
    site.api().get("/api/v1/cache/priv").bearer("no-token").send().expect(401);
    site.api().get("/nothing/here").send().expect(404);

    let scrape = Scrape::of(&site);
    let of_pub = [("cache", "pub")];
    assert_eq!(scrape.get("cache_server_pushes_total", &of_pub), 1.0);
    assert_eq!(scrape.get("cache_server_pushed_bytes_total", &of_pub), path.file.len() as f64);
    let narinfo = |result| scrape.get("cache_server_narinfo_total", &[("cache", "pub"), ("result", result)]);
    assert!(narinfo("hit") >= 3.0 && narinfo("miss") >= 1.0, "{} {}", narinfo("hit"), narinfo("miss"));
    let requests = |route, status| {
        let labels = [("cache", "pub"), ("route", route), ("method", "GET"), ("status", status)];
        scrape.get("cache_server_http_requests_total", &labels)
    };
    assert_eq!(requests("/{hash}.narinfo", "2xx"), narinfo("hit"));
    assert_eq!(requests("/{hash}.narinfo", "4xx"), narinfo("miss"));
    assert!(requests("/nar/{nar}", "2xx") >= 3.0);
    let took = [("route", "/{hash}.narinfo"), ("method", "GET")];
    let count = scrape.get("cache_server_http_request_duration_seconds_count", &took);
    assert_eq!(count, narinfo("hit") + narinfo("miss"));
    let of_none = [("cache", ""), ("route", "none"), ("status", "4xx")];
    assert!(scrape.get("cache_server_http_requests_total", &of_none) >= 2.0);
    assert_eq!(scrape.get("cache_server_tokens_refused_total", &[("reason", "invalid")]), 1.0);
    assert_eq!(scrape.sum("cache_server_push_refusals_total"), 1.0);
    let puts = [("cache", "pub"), ("operation", "put")];
    assert!(scrape.get("cache_server_storage_operations_total", &puts) >= 1.0);
    assert!(scrape.get("cache_server_catalog_commits_total", &[]) >= 1.0);
    assert!(scrape.get("cache_server_http_received_bytes_total", &[]) > path.file.len() as f64);
    assert!(scrape.get("process_resident_memory_bytes", &[]) > 1e6);

    site.cachectl_ok(&["gc", "--yes"]);
    let scrape = Scrape::of(&site);
    assert_eq!(scrape.get("cache_server_job_runs_total", &[("kind", "gc"), ("outcome", "done")]), 1.0);
    assert!(scrape.get("cache_server_job_last_success_timestamp_seconds", &[("kind", "gc")]) > 1e9);
}

#[test]
fn counters_go_on_through_a_reload() {
    let site = site();
    site.pusher("pub").push(&Path::small("path"));
    site.edit_config(|config| config["caches"][0]["priority"] = json!(7));
    site.cachectl_ok(&["reload"]);
    assert_eq!(Scrape::of(&site).get("cache_server_pushes_total", &[("cache", "pub")]), 1.0);
}

#[test]
fn figures_of_the_catalog_are_not_counted_for_every_scrape() {
    let site = site();
    let paths = |scrape: &Scrape| scrape.get("cache_server_paths", &[("cache", "pub")]);
    assert_eq!(paths(&Scrape::of(&site)), 0.0);
    site.pusher("pub").push(&Path::small("path"));
    let scrape = Scrape::of(&site);
    assert_eq!(paths(&scrape), 0.0, "it was counted a moment ago");
    assert!(scrape.get("cache_server_catalog_figures_age_seconds", &[]) < 15.0);
}

#[test]
fn a_token_is_demanded_where_one_is_configured_and_clients_tokens_are_none() {
    let site = Site::with(|config| {
        with_metrics(config);
        config["server"]["metrics-token"] = json!("let-me-see");
    });
    let endpoint = endpoint(&site);
    endpoint.get("/metrics").send().expect(401);
    endpoint.get("/metrics").bearer("let-me-se").send().expect(401);
    endpoint.get("/metrics").bearer(&site.token("pub", Permission::Admin)).send().expect(401);
    endpoint.get("/metrics").bearer("let-me-see").send().expect(200);
    endpoint.get("/metrics").basic("prometheus", "let-me-see").send().expect(200);
    endpoint.get("/health/ready").send().expect(200);
    let log = site.cachectl_ok(&["status"]);
    assert!(log.contains("metrics") && !log.contains("let-me-see"), "{log}");
}

#[test]
fn the_listener_serves_nothing_else_and_no_other_listener_serves_metrics() {
    let site = site();
    for target in ["/", "/nix-cache-info", "/api/v1/cache/pub", "/metrics/x"] {
        endpoint(&site).get(target).send().expect(404);
    }
    endpoint(&site).post("/metrics").send().expect(405);
    site.api().get("/metrics").send().expect(404);
    site.cache_port("pub").get("/metrics").send().expect(404);
    let without = Site::start();
    let status: Value = serde_json::from_str(&without.cachectl_ok(&["status", "--json"])).unwrap();
    let purposes: Vec<_> =
        status["listeners"].as_array().unwrap().iter().map(|one| &one["purpose"]).collect();
    assert!(!purposes.contains(&&json!("metrics")), "{purposes:?}");
}

#[test]
fn the_state_of_a_worker_that_runs_again_and_again_moves() {
    let site = site();
    let runs = || Scrape::of(&site).get("cache_server_worker_runs_total", &[("worker", "publisher")]);
    let before = runs();
    site.pusher("pub").push(&Path::small("path"));
    wait_for(SOON, "the publisher has run", || (runs() > before).then_some(()));
}
