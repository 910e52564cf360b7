//! A scrape, read by a second implementation of the format.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::harness::{Endpoint, Site, ports};

/// Has the daemon serve metrics on a free port.
pub fn with_metrics(config: &mut Value) {
    let [port] = ports::free();
    config["server"]["metrics-address"] = json!(format!("127.0.0.1:{port}"));
}

/// A site with metrics.
pub fn site() -> Site {
    Site::with(with_metrics)
}

/// Where the metrics of a site are.
pub fn endpoint(site: &Site) -> Endpoint {
    let status: Value = serde_json::from_str(&site.cachectl_ok(&["status", "--json"])).unwrap();
    let listeners = status["listeners"].as_array().unwrap();
    let listener = listeners.iter().find(|listener| listener["purpose"] == "metrics").expect("a listener");
    let address = listener["address"].as_str().unwrap().to_owned();
    Endpoint { address: address.parse().unwrap(), host: address }
}

/// The values of one scrape.
pub struct Scrape {
    kinds: BTreeMap<String, String>,
    series: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    /// Scrapes a site in the older text format.
    #[track_caller]
    pub fn of(site: &Site) -> Self {
        let reply = endpoint(site).get("/metrics").send().expect(200);
        assert_eq!(reply.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self::parse(reply.text())
    }

    fn parse(text: &str) -> Self {
        let (mut kinds, mut series) = (BTreeMap::new(), Vec::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is there twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
                let labels = labels.strip_suffix('}').unwrap();
                series.push((name.to_owned(), parse_labels(labels), value.parse().unwrap()));
            }
        }
        Self { kinds, series }
    }

    /// The metrics and their kinds.
    pub fn kinds(&self) -> HashSet<(String, String)> {
        self.kinds.clone().into_iter().collect()
    }

    /// Whether there is a value of a metric.
    pub fn has_values(&self, metric: &str) -> bool {
        self.series.iter().any(|(name, _, _)| name == metric || *name == format!("{metric}_count"))
    }

    /// The sum of the series with these labels, and others.
    #[track_caller]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |own: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
        };
        let values: Vec<f64> = self
            .series
            .iter()
            .filter(|(own, of, _)| own == name && fits(of))
            .map(|(_, _, value)| *value)
            .collect();
        assert!(!values.is_empty(), "there is no {name} {labels:?}");
        values.iter().sum()
    }

    /// The sum of all series of a metric.
    pub fn sum(&self, name: &str) -> f64 {
        self.get(name, &[])
    }
}

/// Labels without commas and quotes in their values, as those of the tests are.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let labels = text.split("\",").filter(|label| !label.is_empty());
    labels
        .map(|label| {
            let (name, value) = label.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        })
        .collect()
}
