//! The values of the metrics at one moment.

use std::collections::HashMap;

use meters::{Distribution, Histogram};

use super::metric::{Kind, Metric};

/// Values by the name of their metric.
#[derive(Debug, Default)]
pub struct Samples(HashMap<&'static str, Vec<Sample>>);

/// A value of a metric.
#[derive(Debug)]
pub struct Sample {
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug)]
pub enum Value {
    /// What was counted.
    Count(u64),
    /// A number that goes up and down, or a count in fractions.
    Number(f64),
    /// Values by size, each to be divided by the divisor.
    Distribution(Distribution, f64),
}

impl Samples {
    /// Adds what was counted.
    pub fn count(&mut self, metric: &Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, Value::Count(count));
    }

    /// Adds a number.
    pub fn number(&mut self, metric: &Metric, labels: &[&str], number: f64) {
        self.add(metric, labels, Value::Number(number));
    }

    /// Adds a whole number of a gauge.
    pub fn whole(&mut self, metric: &Metric, labels: &[&str], number: u64) {
        // Exact up to 2^53, which is 8 PiB.
        self.number(metric, labels, number as f64);
    }

    /// Adds 1 for true and 0 for false.
    pub fn truth(&mut self, metric: &Metric, labels: &[&str], is_true: bool) {
        self.number(metric, labels, if is_true { 1.0 } else { 0.0 });
    }

    /// Adds the values of a histogram.
    pub fn histogram(&mut self, metric: &Metric, labels: &[&str], histogram: &Histogram) {
        let divisor = if metric.kind == Kind::Durations { 1e6 } else { 1.0 };
        self.add(metric, labels, Value::Distribution(histogram.read(), divisor));
    }

    fn add(&mut self, metric: &Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "labels of {}", metric.name);
        let labels = metric.labels.iter().zip(labels).map(|(name, value)| (*name, (*value).to_owned()));
        let labels = labels.collect();
        self.0.entry(metric.name).or_default().push(Sample { labels, value });
    }

    /// Returns the values of a metric.
    pub fn of(&self, metric: &Metric) -> &[Sample] {
        self.0.get(metric.name).map_or(&[], Vec::as_slice)
    }
}
