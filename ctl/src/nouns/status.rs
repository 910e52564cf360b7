//! The state of the daemon.

use admin_api::{Purpose, ShowStatus, Status};
use clap::Args;

use super::{cache, problems, storage, upstream};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Fields, Look, Output, Table, Tone, age, date, plain};

/// The arguments of `cachectl status`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Exit with code 9 if something needs an operator, and say what on standard error
    #[arg(long)]
    exit_code: bool,
}

/// `cachectl status`
pub async fn run(arguments: &Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let status = client.call(&ShowStatus {}).await?;
    output.print(&status, |look| render(&status, look))?;
    let problems = if arguments.exit_code { problems::of(&status) } else { Vec::new() };
    if problems.is_empty() { Ok(()) } else { Err(Error::Problems { problems }) }
}

/// Renders the daemon at a glance.
pub fn render(status: &Status, look: &Look) -> String {
    let version = look.bold(&format!("cache-server {}", plain(&status.version)));
    let uptime = age(status.uptime_seconds);
    let mut fields = Fields::new();
    fields
        .add("Config", status.config.as_deref().unwrap_or("none (built-in defaults)"))
        .add("State", &status.state_dir);
    if let Some(failure) = &status.catalog_failure {
        let text = format!("read-only since {}: {}", date(failure.since), plain(&failure.reason));
        fields.add("Catalog", text);
    }

    let mut sections = vec![
        format!("{version}, up {uptime} (since {})\n{}", date(status.started_at), fields.render(look)),
        listeners(status, look) + &certificates(status, look),
        cache::table(&status.caches, look) + &cache::held_back(&status.caches, look),
        cache::public_keys(&status.caches, look),
        storage::status_table(&status.storages, look),
    ];
    sections.extend(Some(upstream::troubles(&status.upstreams, look)).filter(|text| !text.is_empty()));
    sections.join("\n")
}

fn listeners(status: &Status, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("LISTENER"),
        Column::text("CACHE"),
        Column::long("ADDRESS"),
        Column::prose("ERROR").unless_empty(),
    ]);
    for listener in &status.listeners {
        let purpose = match listener.purpose {
            Purpose::Api => "API",
            Purpose::Cache => "cache",
            Purpose::Deploy => "deploy",
            Purpose::Admin => "cachectl",
            Purpose::Metrics => "metrics",
        };
        let address = listener.address.as_str().into();
        let error = Cell::new(listener.error.as_deref().unwrap_or_default(), Tone::Bad);
        table.add([purpose.into(), listener.cache.as_deref().into(), address, error]);
    }
    table.render(look)
}

/// Renders the certificates of the ports, after an empty line; nothing if there are none.
fn certificates(status: &Status, look: &Look) -> String {
    if status.certificates.is_empty() {
        return String::new();
    }
    let mut table = Table::new([Column::text("ENDS"), Column::text("CACHE"), Column::long("CERTIFICATE")]);
    for certificate in &status.certificates {
        let ends = date(certificate.ends);
        let (file, cache) = (certificate.file.as_str(), certificate.cache.as_deref());
        table.add([ends.into(), cache.into(), file.into()]);
    }
    format!("\n{}", table.render(look))
}
