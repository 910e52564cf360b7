//! The upstreams of the caches.

use std::time::Duration;

use admin_api::units::format_size;
use admin_api::{CheckUpstreams, ListUpstreams, UpstreamCheck, UpstreamInfo, UpstreamState};
use clap::Subcommand;

use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age, count, note, plain, relative};

/// `cachectl upstream …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the upstreams of all caches, how they do, and what they were asked for
    ///
    /// The circuit breaker of an upstream is open after repeated failures; until it closes, the upstream is not asked. Counts
    /// begin when the daemon starts. With --json, there are more of them.
    #[command(after_help = "Examples:\n  \
        cachectl upstream list\n  \
        cachectl upstream list --json | jq '.[] | select(.state != \"ok\")'")]
    List,
    /// Ask every upstream for its nix-cache-info, with the configured credentials
    ///
    /// Exits with 9 if one does not answer as it should.
    #[command(after_help = "Example:\n  cachectl upstream check")]
    Check,
}

/// `cachectl upstream …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List => {
            let upstreams = client.call(&ListUpstreams {}).await?;
            output.print(&upstreams, |look| render(&upstreams, look))
        }
        Command::Check => {
            let checks = client.call(&CheckUpstreams {}).await?;
            output.print(&checks, |look| answers(&checks, look))?;
            let failed = checks.iter().filter(|check| check.latency.is_none()).count();
            if failed > 0 { Err(Error::FailedUpstreams { failed: failed as u64 }) } else { Ok(()) }
        }
    }
}

const NONE: &str = "No cache has upstreams.\n";

/// Renders a table of upstreams, and the last error of each that has one.
pub fn render(upstreams: &[UpstreamInfo], look: &Look) -> String {
    if upstreams.is_empty() {
        return NONE.to_owned();
    }
    let mut table = Table::new([
        Column::long("UPSTREAM"),
        Column::text("STATE"),
        Column::text("LATENCY"),
        Column::number("FOUND"),
        Column::number("ABSENT"),
        Column::number("FAILED"),
        Column::number("FETCHED"),
        Column::prose("CACHES"),
    ]);
    for upstream in upstreams {
        let caches: Vec<&str> = upstream.caches.iter().map(|user| user.cache.as_str()).collect();
        table.add([
            upstream.url.as_str().into(),
            state(upstream),
            latency(upstream.latency).into(),
            count(upstream.found).into(),
            count(upstream.absent + upstream.remembered).into(),
            count(upstream.failed + upstream.refused + upstream.unusable).into(),
            format_size(upstream.nar_bytes).into(),
            caches.join(", ").into(),
        ]);
    }
    let errors: String = upstreams.iter().map(|upstream| error(upstream, look)).collect();
    // Those begin with a URL, as rows on a narrow terminal do.
    let gap = if errors.is_empty() || look.width.is_none() { "" } else { "\n" };
    table.render(look) + gap + &errors
}

fn state(upstream: &UpstreamInfo) -> Cell {
    match upstream.state {
        UpstreamState::Unknown => Cell::new("not asked", Tone::Plain),
        UpstreamState::Refusing => Cell::new("refusing", Tone::Bad),
        UpstreamState::BreakerOpen => Cell::new("breaker open", Tone::Bad),
        UpstreamState::Ok if upstream.quarantined > 0 => Cell::new("quarantine", Tone::Odd),
        UpstreamState::Ok => Cell::new("ok", Tone::Good),
    }
}

/// Renders what last went wrong with an upstream, and for how long it is left alone.
fn error(upstream: &UpstreamInfo, look: &Look) -> String {
    let Some(error) = &upstream.last_error else { return String::new() };
    let when =
        upstream.last_error_at.map_or_else(String::new, |time| format!(" {}", relative(look.now, time)));
    let pause = upstream.breaker_open_for.map(|time| format!("; not asked for {} more", age(time)));
    let (url, pause) = (plain(&upstream.url), pause.unwrap_or_default());
    note(&format!("{url}: last error{when}: {}{pause}", plain(error)), look)
}

/// Renders the upstreams that do not work, for the status. Empty if all do.
pub fn troubles(upstreams: &[UpstreamInfo], look: &Look) -> String {
    let is_well = |upstream: &&UpstreamInfo| {
        matches!(upstream.state, UpstreamState::Ok | UpstreamState::Unknown) && upstream.quarantined == 0
    };
    let sick: Vec<UpstreamInfo> = upstreams.iter().filter(|upstream| !is_well(upstream)).cloned().collect();
    if sick.is_empty() { String::new() } else { render(&sick, look) }
}

/// Renders which upstreams answered.
pub fn answers(checks: &[UpstreamCheck], look: &Look) -> String {
    if checks.is_empty() {
        return NONE.to_owned();
    }
    let mut table = Table::new([
        Column::long("UPSTREAM"),
        Column::text("LATENCY"),
        Column::prose("ERROR").unless_empty(),
    ]);
    for check in checks {
        let answer = match check.latency {
            Some(_) => Cell::new(latency(check.latency), Tone::Good),
            None => Cell::new("-", Tone::Bad),
        };
        table.add([check.url.as_str().into(), answer, check.error.as_deref().unwrap_or_default().into()]);
    }
    table.render(look)
}

fn latency(microseconds: Option<u64>) -> String {
    let milliseconds = |time: u64| format!("{:.1} ms", Duration::from_micros(time).as_secs_f64() * 1e3);
    microseconds.map_or_else(|| "-".to_owned(), milliseconds)
}
