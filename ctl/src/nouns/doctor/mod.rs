//! The checks of the installation: those of the daemon, and those that need no daemon (`local`).

mod config;
mod local;

use std::path::PathBuf;

use admin_api::{Diagnose, Finding, FindingLevel, ShowStatus};

use clap::{Args, ValueHint};

use crate::client::Client;
use crate::error::{Error, sentence};
use crate::output::{Cell, Column, Look, Output, Table, Tone, age, note, plain};

/// `cachectl doctor`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Check this config as well, and look for the daemon at the socket that it names
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

/// `cachectl doctor`
pub async fn run(arguments: &Arguments, mut client: Client, output: &Output) -> Result<(), Error> {
    let mut findings = Vec::new();
    if let Some(file) = &arguments.config {
        let (found, socket) = config::check(file);
        findings = found;
        client.candidates = socket.map_or(client.candidates, |socket| vec![socket]);
    }
    findings.extend(examine(&client, arguments.config.is_none()).await);
    output.print(&findings, |look| render(&findings, look))?;
    let errors = findings.iter().filter(|finding| finding.level == FindingLevel::Error).count();
    if errors > 0 { Err(Error::Unwell { errors: errors as u64 }) } else { Ok(()) }
}

/// Examines the daemon. Without one, says with which config it would start, unless the config was given.
async fn examine(client: &Client, names_config: bool) -> Vec<Finding> {
    let status = match client.call(&ShowStatus {}).await {
        Ok(status) => status,
        Err(error) => {
            let config = names_config.then(local::config_to_start_with);
            return [failure("daemon", &error)].into_iter().chain(config).collect();
        }
    };
    let running = format!("version {}, up {}", status.version, age(status.uptime_seconds));
    let mut findings = vec![ok("daemon", running), local::version(&status.version)];
    findings.extend(local::admin_socket(&status.listeners));
    match client.call(&Diagnose {}).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(failure("daemon", &error)),
    }
    findings
}

fn ok(subject: &str, message: String) -> Finding {
    Finding { level: FindingLevel::Ok, subject: subject.to_owned(), message, advice: None }
}

fn failure(subject: &str, error: &Error) -> Finding {
    // A finding is one sentence, but some errors are lists.
    let message = error.chain();
    let (first, rest) = message.split_once('\n').unwrap_or((&message, ""));
    let rest: Vec<_> = rest.lines().map(str::trim).collect();
    let message = format!("{first} {}", rest.join("; ")).trim_end().to_owned();
    Finding { level: FindingLevel::Error, subject: subject.to_owned(), message, advice: error.hint() }
}

/// Renders a table of findings, and the advice below: each piece once, behind the names of the checks that it is for.
pub fn render(findings: &[Finding], look: &Look) -> String {
    let mut table = Table::new([Column::long("CHECK"), Column::text("RESULT"), Column::prose("FINDING")]);
    let mut advice: Vec<(&str, Vec<String>)> = Vec::new();
    for finding in findings {
        let result = match finding.level {
            FindingLevel::Ok => Cell::new("ok", Tone::Good),
            FindingLevel::Warn => Cell::new("warning", Tone::Odd),
            FindingLevel::Error => Cell::new("error", Tone::Bad),
        };
        table.add([finding.subject.as_str().into(), result, finding.message.as_str().into()]);
        if let Some(text) = finding.advice.as_deref() {
            let subject = plain(&finding.subject);
            match advice.iter_mut().find(|(known, _)| *known == text) {
                Some((_, subjects)) if subjects.contains(&subject) => {}
                Some((_, subjects)) => subjects.push(subject),
                None => advice.push((text, vec![subject])),
            }
        }
    }
    let paragraph = |(text, subjects): &(&str, Vec<String>)| {
        let subjects = subjects.join(", ");
        let text = note(&format!("{subjects}: {}", sentence(text)), look);
        format!("\n{}", text.replacen(&subjects, &look.bold(&subjects), 1))
    };
    table.render(look) + &advice.iter().map(paragraph).collect::<String>()
}
