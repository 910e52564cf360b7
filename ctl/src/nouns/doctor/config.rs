//! The check of a config by the daemon's own program, which needs no daemon.

use std::path::{Path, PathBuf};
use std::process::Command;

use admin_api::{Finding, FindingLevel};
use serde::Deserialize;

use super::ok;

/// What `cache-server check-config --json` prints.
#[derive(Debug, Deserialize)]
struct Checked {
    /// Where a daemon with this config has its admin socket; `None` if the config does not load.
    admin_socket: Option<PathBuf>,
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    is_error: bool,
    text: String,
    suggestion: Option<String>,
}

/// Checks a config. Returns what was found, and where a daemon with this config has its admin socket.
pub fn check(file: &Path) -> (Vec<Finding>, Option<PathBuf>) {
    let checked = run(file).and_then(|printed| {
        serde_json::from_slice::<Checked>(&printed)
            .map_err(|error| format!("cannot read its report: {error}"))
    });
    let checked = match checked {
        Ok(checked) => checked,
        Err(reason) => {
            let finding = Finding {
                level: FindingLevel::Error,
                subject: "config".to_owned(),
                message: format!("`cache-server check-config` cannot check {}: {reason}", file.display()),
                advice: Some("install cache-server beside cachectl, or in a directory of PATH".to_owned()),
            };
            return (vec![finding], None);
        }
    };
    let mut findings: Vec<Finding> = checked.faults.into_iter().map(finding).collect();
    if findings.is_empty() {
        findings.push(ok("config", format!("{} has no faults", file.display())));
    }
    (findings, checked.admin_socket)
}

fn finding(fault: Fault) -> Finding {
    Finding {
        level: if fault.is_error { FindingLevel::Error } else { FindingLevel::Warn },
        subject: "config".to_owned(),
        message: fault.text,
        advice: fault.suggestion,
    }
}

/// Runs the check and returns what it printed. Its exit status says again what the report says.
fn run(file: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new(program()).args(["check-config", "--json"]).arg(file).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.stdout.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().next().unwrap_or("it prints nothing").to_owned());
    }
    Ok(output.stdout)
}

/// The daemon's program: beside this one, else in a directory of `PATH`.
fn program() -> PathBuf {
    const NAME: &str = "cache-server";
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(NAME));
    beside.filter(|program| program.exists()).unwrap_or_else(|| NAME.into())
}
