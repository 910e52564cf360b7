//! A metric: its name, its kind, its labels and what it means.

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// The name, without the `_total` of counters.
    pub name: &'static str,
    /// What its values do.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is, in one line.
    pub help: &'static str,
}

/// What the values of a metric do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They count up from the start of the daemon.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are counted by size; in seconds.
    Durations,
    /// They are counted by size.
    Sizes,
}

impl Metric {
    /// The name under which Prometheus finds the values. Those of histograms have suffixes besides.
    pub fn series(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge | Kind::Durations | Kind::Sizes => self.name.to_owned(),
        }
    }
}

/// Metrics of one subject.
pub struct Topic {
    /// The subject.
    pub title: &'static str,
    /// The metrics.
    pub metrics: &'static [&'static Metric],
}
