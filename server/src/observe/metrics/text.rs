//! The text formats of Prometheus.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::all::TOPICS;
use super::metric::{Kind, Metric};
use super::samples::{Samples, Value};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// The older text format (0.0.4), for all others.
    Plain,
}

impl Format {
    /// The format for a client with this `Accept` header.
    pub fn of(accept: Option<&str>) -> Self {
        let is_wanted = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if is_wanted { Self::OpenMetrics } else { Self::Plain }
    }

    /// The `Content-Type` of the text.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes all metrics with these values.
pub fn write(samples: Samples, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(samples));
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a String does not fail");
    match format {
        Format::OpenMetrics => text,
        Format::Plain => plain(&text),
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in TOPICS.iter().flat_map(|topic| topic.metrics) {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Durations | Kind::Sizes => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for sample in self.of(metric) {
                let labels: Vec<_> =
                    sample.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let labels = labels.as_slice();
                if labels.is_empty() {
                    write_value(&mut family, metric, &sample.value)?;
                } else {
                    write_value(&mut family.encode_family(&labels)?, metric, &sample.value)?;
                }
            }
        }
        Ok(())
    }
}

fn write_value(encoder: &mut MetricEncoder<'_>, metric: &Metric, value: &Value) -> fmt::Result {
    match (metric.kind, value) {
        (Kind::Counter, Value::Count(count)) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        (Kind::Counter, Value::Number(number)) => encoder.encode_counter::<NoLabelSet, _, u64>(number, None),
        (_, Value::Count(count)) => encoder.encode_gauge(&(*count as f64)),
        (_, Value::Number(number)) => encoder.encode_gauge(number),
        (_, Value::Distribution(values, divisor)) => {
            let mut buckets: Vec<(f64, u64)> =
                values.within.iter().map(|(bound, count)| (*bound as f64 / divisor, *count)).collect();
            buckets.push((f64::INFINITY, values.above));
            encoder.encode_histogram::<NoLabelSet>(
                values.sum as f64 / divisor,
                values.count(),
                &buckets,
                None,
            )
        }
    }
}

/// Turns OpenMetrics into the older format, in which the name of a counter ends in `_total` everywhere.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    for line in text.lines() {
        if line == "# EOF" {
            continue;
        }
        let about = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match about.and_then(|rest| rest.split_once(' ')) {
            Some((name, rest)) if counters.contains(&name) => {
                plain.push_str(&line[..7]);
                plain.push_str(name);
                plain.push_str("_total ");
                plain.push_str(rest);
            }
            _ => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use super::*;

    #[test]
    fn every_metric_is_described_in_both_formats() {
        let open = write(Samples::default(), Format::OpenMetrics);
        let plain = write(Samples::default(), Format::Plain);
        for metric in TOPICS.iter().flat_map(|topic| topic.metrics) {
            assert!(open.contains(&format!("# TYPE {} ", metric.name)), "{}", metric.name);
            assert!(plain.contains(&format!("# TYPE {} ", metric.series())), "{}", metric.name);
        }
        assert!(open.ends_with("# EOF\n") && !plain.contains("# EOF"));
    }

    #[test]
    fn values_have_their_labels_and_labels_are_escaped() {
        let mut samples = Samples::default();
        samples.count(&all::PUSHES, &["a\"b\\c\n"], 3);
        samples.number(&all::PROCESSOR, &[], 1.5);
        let histogram = meters::Histogram::of_durations();
        histogram.note(700);
        samples.histogram(&all::COMMIT_TIME, &[], &histogram);
        let text = write(samples, Format::OpenMetrics);
        for line in [
            r#"cache_server_pushes_total{cache="a\"b\\c\n"} 3"#,
            "process_cpu_seconds_total 1.5",
            r#"cache_server_catalog_commit_duration_seconds_bucket{le="0.0005"} 0"#,
            r#"cache_server_catalog_commit_duration_seconds_bucket{le="0.001"} 1"#,
            r#"cache_server_catalog_commit_duration_seconds_bucket{le="+Inf"} 1"#,
            "cache_server_catalog_commit_duration_seconds_sum 0.0007",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
    }
}
