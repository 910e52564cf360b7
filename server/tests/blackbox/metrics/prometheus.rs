//! Prometheus itself: it reads what the daemon gives, with the rules of `monitoring/`.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::documented;
use super::scrape::{Scrape, endpoint, site};
use crate::harness::{Endpoint, Path, Site, ports, wait_for};

/// How long Prometheus has for a few scrapes and evaluations.
pub const SOON: Duration = Duration::from_secs(60);

fn monitoring(file: &str) -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring").join(file)
}

fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is installed; test.sh installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

/// The names of metrics in a text.
fn names(text: &str) -> HashSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_of_name(c));
    words
        .filter(|word| word.starts_with("cache_server_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn promtool_finds_no_fault_with_metrics_and_rules() {
    let site = site();
    site.pusher("pub").push(&Path::small("path"));
    let text = endpoint(&site).get("/metrics").send().expect(200);
    promtool(&["check", "metrics"], text.text());
    promtool(&["check", "rules", monitoring("alerts.yaml").to_str().unwrap()], "");
    promtool(&["test", "rules", monitoring("alerts.test.yaml").to_str().unwrap()], "");
}

#[test]
fn rules_and_dashboard_use_metrics_that_there_are_and_every_alert_has_a_case() {
    let known: HashSet<String> = documented().into_iter().map(|(name, _)| name).collect();
    for file in ["alerts.yaml", "alerts.test.yaml", "dashboard.json"] {
        let used = names(&fs::read_to_string(monitoring(file)).unwrap());
        assert!(used.len() > 10, "{file}: {used:?}");
        for name in used {
            let base = name.strip_suffix("_bucket").unwrap_or(&name);
            assert!(known.contains(base), "{file} uses {name}");
        }
    }
    let cases = fs::read_to_string(monitoring("alerts.test.yaml")).unwrap();
    let rules: Value = serde_yaml::from_str(&fs::read_to_string(monitoring("alerts.yaml")).unwrap()).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() > 15);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(cases.contains(&format!("alertname=\"{name}\"")), "{name} has no case");
        assert!(rule["annotations"]["runbook"].as_str().is_some_and(|text| text.len() > 60), "{name}");
    }
    let _: Value = serde_json::from_str(&fs::read_to_string(monitoring("dashboard.json")).unwrap()).unwrap();
}

/// A Prometheus that scrapes a site every second, and does not wait before an alert fires.
pub struct Prometheus {
    process: Child,
    api: Endpoint,
    _directory: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    pub fn start(site: &Site) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rules = fs::read_to_string(monitoring("alerts.yaml")).unwrap();
        let at_once = rules.lines().map(|line| match line.trim_start().strip_prefix("for: ") {
            Some(_) => "        for: 0s\n".to_owned(),
            None => format!("{line}\n"),
        });
        fs::write(directory.path().join("alerts.yaml"), at_once.collect::<String>()).unwrap();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{
                "job_name": "cache-server",
                "static_configs": [{"targets": [endpoint(site).host]}],
            }],
        });
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, config.to_string()).unwrap();
        let [port] = ports::free();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(log)
            .spawn()
            .expect("prometheus is installed; test.sh installs it");
        let api = Endpoint { address: (Ipv4Addr::LOCALHOST, port).into(), host: format!("127.0.0.1:{port}") };
        let prometheus = Self { process, api, _directory: directory };
        wait_for(SOON, "Prometheus scrapes the daemon", || prometheus.value("up").filter(|up| *up == 1.0));
        prometheus
    }

    fn ask(&self, target: &str) -> Option<Value> {
        let reply = self.api.get(target).try_send().ok()?;
        (reply.status == 200).then(|| serde_json::from_slice(&reply.body).unwrap())
    }

    /// The first value of a query.
    fn value(&self, query: &str) -> Option<f64> {
        let query: String = query
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") }
            })
            .collect();
        let answer = self.ask(&format!("/api/v1/query?query={query}"))?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// The alerts that fire.
    pub fn firing(&self) -> HashSet<String> {
        let answer = self.ask("/api/v1/alerts").unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub fn wait_for_alert(&self, name: &str) {
        wait_for(SOON, &format!("{name} fires"), || self.firing().contains(name).then_some(()));
    }

    #[track_caller]
    pub fn wait_until_silent(&self, name: &str) {
        wait_for(SOON, &format!("{name} is over"), || (!self.firing().contains(name)).then_some(()));
    }
}

#[test]
fn prometheus_scrapes_a_daemon_under_load() {
    let site = site();
    let prometheus = Prometheus::start(&site);
    let paths: Vec<Path> = (0..20).map(|number| Path::small(&format!("path-{number}"))).collect();
    for path in &paths {
        site.pusher("pub").push(path);
        site.reader("pub").assert_has(path);
    }
    let pushes =
        || prometheus.value("cache_server_pushes_total{cache=\"pub\"}").filter(|pushes| *pushes == 20.0);
    wait_for(SOON, "all pushes are there", pushes);
    let hits = "cache_server_narinfo_total{cache=\"pub\",result=\"hit\"}";
    wait_for(SOON, "all reads are there", || prometheus.value(hits).filter(|hits| *hits >= 20.0));
    assert_eq!(
        prometheus.value("scrape_samples_scraped"),
        prometheus.value("scrape_samples_post_metric_relabeling")
    );
    let rules = prometheus.ask("/api/v1/rules").unwrap();
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    assert_eq!(prometheus.firing(), HashSet::new(), "nothing is wrong");
    // OpenMetrics, which Prometheus asks for, has the same values as the other format.
    assert_eq!(Scrape::of(&site).get("cache_server_pushes_total", &[("cache", "pub")]), 20.0);
}
