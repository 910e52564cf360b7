//! The `cache-server` program: arguments, configuration, logging; then the daemon.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cache_server::app::{App, StartError};
use cache_server::cache::storages;
use cache_server::chain::chain;
use cache_server::config::{
    self, Config, Environment, Fault, Loaded, LogConfig, LogFormat, Reach, Secret, Severity, print_config,
    reference,
};
use cache_server::http::openapi;
use cache_server::observe::metrics::markdown;
use cache_server::reload::{self, LogControl};
use cache_server::{restore, tls, welcome};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A distributed Nix binary cache that speaks the Cachix protocol.
///
/// Without a configuration file it serves one public cache called `main` on this machine only, and says how to use it.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  cache-server\n  cache-server --config /etc/cache-server/config.yaml\n\n\
    The configuration is the file that --config names, or else the first of these that exists:\n  \
    $XDG_CONFIG_HOME/cache-server/config.yaml (or config.yml; ~/.config/…)\n  \
    /etc/cache-server/config.yaml"
)]
struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration file and report everything that is wrong with it
    #[command(after_help = "Exit status: 0 when the daemon would start with it, 1 when not.\n\n\
        Example:\n  cache-server check-config --offline config.yaml")]
    CheckConfig {
        /// Look at the file only: secrets, directories, ports and S3 services are not checked
        #[arg(long)]
        offline: bool,
        /// Fail if there are warnings, too
        #[arg(long)]
        strict: bool,
        /// Print the faults as JSON
        #[arg(long)]
        json: bool,
        /// The file; by default the one the daemon would take
        file: Option<PathBuf>,
    },
    /// Print the effective configuration, defaults filled in and secrets masked
    #[command(after_help = "Example:\n  cache-server print-config --config config.yaml")]
    PrintConfig {
        /// The file; by default the one the daemon would take
        file: Option<PathBuf>,
    },
    /// Restore a backup that `cachectl backup` made, while no daemon runs
    #[command(
        after_help = "The state directory has to be empty, but for storages, and so has the database. Everything is checked before anything \
        is written.\n\nExit status: 0 when it was restored, 1 when nothing was.\n\n\
        Examples:\n  cache-server restore --check /var/backups/cache-server.backup\n  \
        cache-server restore /var/backups/cache-server.backup"
    )]
    Restore {
        /// Change nothing, only check the backup and whether it fits the configuration
        #[arg(long)]
        check: bool,
        /// Print the configuration that was backed up, and do nothing else
        #[arg(long, conflicts_with = "check")]
        print_config: bool,
        /// The backup
        file: PathBuf,
    },
    /// Print a completion script
    #[command(
        after_help = "Example:\n  cache-server completions fish > ~/.config/fish/completions/cache-server.fish"
    )]
    Completions {
        /// The shell that it is for
        shell: Shell,
    },
    /// Write the man pages
    Man {
        /// The directory, which has to exist
        directory: PathBuf,
    },
    /// Write the files of the repository that follow from the configuration keys
    #[command(hide = true)]
    GenerateReference {
        /// Compare the files instead of writing them, and fail if one differs
        #[arg(long)]
        check: bool,
        /// A checkout of the repository
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    if is_called("cachectl") {
        return cachectl::main();
    }
    let arguments = Arguments::parse();
    let environment = Environment::of_process();
    match arguments.command {
        None => run(arguments.config, &environment),
        Some(Command::CheckConfig { offline, strict, json, file }) => {
            let reach = if offline { Reach::Offline } else { Reach::Online };
            check(file.or(arguments.config), &Checking { reach, strict, json }, &environment)
        }
        Some(Command::PrintConfig { file }) => match load(file.or(arguments.config), &environment) {
            Ok((config, _)) => {
                print(&print_config(&config));
                ExitCode::SUCCESS
            }
            Err(code) => code,
        },
        Some(Command::Restore { print_config: true, file, .. }) => print_backed_up_config(&file),
        Some(Command::Restore { check, file, .. }) => {
            restore_backup(&file, check, arguments.config, &environment)
        }
        Some(Command::Completions { shell }) => completions(shell),
        Some(Command::Man { directory }) => man_pages(&directory),
        Some(Command::GenerateReference { check, directory }) => generate_reference(check, &directory),
    }
}

/// Whether the program was called by this name, through a link.
fn is_called(name: &str) -> bool {
    std::env::args_os().next().is_some_and(|called| Path::new(&called).file_name() == Some(name.as_ref()))
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cache-server", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

fn man_pages(directory: &Path) -> ExitCode {
    let written = clap_mangen::generate_to(Arguments::command(), directory)
        .and_then(|()| std::fs::write(directory.join("cache-server.yaml.5"), reference::man_page()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the man pages to {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn print_backed_up_config(archive: &Path) -> ExitCode {
    match restore::config_of(archive) {
        Ok(Some(text)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Ok(None) => {
            eprintln!("the backup was made without a configuration file, on the built-in defaults");
            ExitCode::FAILURE
        }
        Err(error) => fail(&error),
    }
}

fn restore_backup(
    archive: &Path,
    check: bool,
    config: Option<PathBuf>,
    environment: &Environment,
) -> ExitCode {
    let config = match load(config, environment) {
        Ok((config, _)) => config,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(restore::restore(archive, &config, check)) {
        Ok(restored) => {
            print(&restored.text());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {}", chain(error));
    ExitCode::FAILURE
}

/// The files of the repository that follow from something else than the keys.
fn derived() -> [(&'static str, String); 3] {
    [
        ("docs/src/reference/metrics.md", markdown()),
        ("docs/src/reference/http-api.md", openapi::page()),
        ("docs/src/reference/openapi.json", openapi::document()),
    ]
}

fn generate_reference(check: bool, directory: &Path) -> ExitCode {
    let complaints = match check {
        true => reference::check(directory, &derived()),
        false => reference::generate(directory, &derived())
            .err()
            .map(|error| error.to_string())
            .into_iter()
            .collect(),
    };
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints to standard output; a reader that went away is no reason to fail.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Loads the configuration, with the text of its file if it has one. Tells standard error about everything that is wrong or
/// doubtful.
fn load(file: Option<PathBuf>, environment: &Environment) -> Result<(Config, Option<Secret>), ExitCode> {
    let Some(path) = config::find(file.as_deref(), environment) else {
        return Ok((config::builtin(environment), None));
    };
    match config::load(&path, environment) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            Ok((loaded.config, Some(loaded.text)))
        }
        Err(faults) => {
            eprintln!("{faults}");
            Err(ExitCode::FAILURE)
        }
    }
}

/// How a configuration is checked.
struct Checking {
    reach: Reach,
    /// Whether warnings count as errors.
    strict: bool,
    /// Whether the faults are printed as JSON.
    json: bool,
}

fn check(file: Option<PathBuf>, checking: &Checking, environment: &Environment) -> ExitCode {
    let Some(path) = config::find(file.as_deref(), environment) else {
        eprintln!("there is no configuration file; name one, or run without one on the built-in defaults");
        return ExitCode::FAILURE;
    };
    let reach = checking.reach;
    let loaded = config::load(&path, environment);
    let admin_socket = loaded.as_ref().ok().map(|loaded| loaded.config.server.admin_socket.clone());
    let faults = match loaded {
        Ok(loaded) => {
            let mut faults = config::check(&loaded, reach);
            if reach == Reach::Online {
                faults.extend(check_buckets(&loaded));
                faults.sort_by_key(|fault| fault.line);
            }
            faults
        }
        Err(faults) => faults.0,
    };
    let is_error = |fault: &Fault| fault.severity == Severity::Error;
    let fails = faults.iter().any(is_error) || (checking.strict && !faults.is_empty());
    if checking.json {
        print(&report(&faults, admin_socket.as_deref()));
        return if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let errors = faults.iter().filter(|fault| is_error(fault)).count();
    let counts = [counted(errors, "error"), counted(faults.len() - errors, "warning")];
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if fails {
        eprintln!("{}: {counts}", path.display());
        return ExitCode::FAILURE;
    }
    let suffix = if counts.is_empty() { counts } else { format!(", with {counts}") };
    print(&format!("{}: ok{suffix}\n", path.display()));
    ExitCode::SUCCESS
}

/// The faults for programs, on one line, with the admin socket of a daemon that has this configuration.
fn report(faults: &[Fault], admin_socket: Option<&Path>) -> String {
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| {
            let text = Fault { suggestion: None, severity: Severity::Error, ..fault.clone() }.to_string();
            serde_json::json!({
                "is_error": fault.severity == Severity::Error,
                "file": fault.file,
                "line": fault.line,
                "key": fault.path,
                "message": fault.message,
                "expected": fault.expected,
                "suggestion": fault.suggestion,
                "text": text,
            })
        })
        .collect();
    format!("{}\n", serde_json::json!({ "admin_socket": admin_socket, "faults": faults }))
}

/// Asks the services with the buckets of a configuration.
fn check_buckets(loaded: &Loaded) -> Vec<Fault> {
    let directory = std::env::temp_dir().join(format!("cache-server-check-{}", std::process::id()));
    let faults = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(storages::check_buckets(&loaded.config, &directory)),
        Err(error) => vec![(String::new(), format!("cannot ask the storages: {error}"))],
    };
    let _ = std::fs::remove_dir_all(directory);
    faults.into_iter().map(|(key, message)| loaded.fault(&key, message)).collect()
}

/// Most threads for blocking work that ends by itself. They start when they are needed; each kind of work has a limit of
/// its own, so that all of them together stay below this one. Storages and work that waits for another machine have other
/// threads.
const MOST_BLOCKING_THREADS: usize = 1024;

fn run(file: Option<PathBuf>, environment: &Environment) -> ExitCode {
    let (mut config, text) = match load(file, environment) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let logging = start_logging(&config.server.log);
    let mut notes = Vec::new();
    if config.source.is_none() {
        notes = welcome::give_up_taken_ports(&mut config);
        notes.extend(welcome::home_is_missing(&config));
        notes.iter().for_each(|note| tracing::warn!("{note}"));
    }
    raise_descriptor_limit();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().max_blocking_threads(MOST_BLOCKING_THREADS).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the async runtime");
            return ExitCode::FAILURE;
        }
    };
    let https = || tls::trust(&config.server.trusted_authorities);
    let traces = match traces::start(runtime.handle().clone(), https, env!("CARGO_PKG_VERSION")) {
        Ok(traces) => traces,
        Err(error) => {
            tracing::error!(error = %chain(&error), "cannot start to send traces");
            return ExitCode::FAILURE;
        }
    };
    if let Some(traces) = &traces {
        tracing::info!(endpoint = traces.endpoint(), "sending traces");
    }
    let ended = runtime.block_on(serve(config, text, notes, logging));
    if let Some(traces) = traces {
        traces.finish();
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let advice = error.downcast_ref::<StartError>().and_then(StartError::advice);
            tracing::error!(error = %chain(&*error), advice, "cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn serve(
    config: Config,
    text: Option<Secret>,
    notes: Vec<String>,
    logging: LogControl,
) -> Result<(), Box<dyn std::error::Error>> {
    let without_file = config.source.is_none();
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    // One that comes before the daemon is ready waits.
    let hangups = signal(SignalKind::hangup())?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %config.source.as_deref().map_or("none (built-in defaults)".into(), Path::to_string_lossy),
        state_dir = %config.server.state_dir.display(),
        database = %config.server.database,
        "starting"
    );
    let app = App::open(config, text, logging).await?;
    let state = app.state();
    let token = if without_file { Some(welcome::write_token(state).await?) } else { None };
    if let Some(token) = &token {
        welcome::write_netrc(state, token)?;
    }
    app.run(stop, |state| {
        tokio::spawn(reload::on_hangups(state.reloader.clone(), hangups));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), took = ?state.started.elapsed(), "ready");
        if let Some(token) = &token {
            let shown = std::io::stdout().is_terminal().then(|| token.as_str());
            print(&welcome::text(state, &notes, shown));
        }
    })
    .await?;
    Ok(())
}

/// Every connection and every open NAR takes a descriptor; the usual soft limit of 1,024 is for programs that use
/// `select`, which this one does not.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
}

/// The first SIGTERM or SIGINT starts the drain.
fn stop_on_signals(stop: &CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                stop.cancel();
            }
        });
    }
    Ok(())
}

/// Starts to log to standard error. What is returned changes what is logged from then on.
fn start_logging(config: &LogConfig) -> LogControl {
    let (filter, control) = tracing_subscriber::reload::Layer::new(log_filter(config));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Json => registry.with(lines.json()).init(),
        LogFormat::Text => registry.with(lines.with_ansi(has_colours())).init(),
    }
    Box::new(move |config| {
        if let Err(error) = control.reload(log_filter(config)) {
            tracing::error!(%error, "could not change what is logged");
        }
    })
}

/// Whether lines of the log get colours: on a terminal that has them, unless the user wants none (https://no-color.org).
fn has_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    std::io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Libraries report routine work at the level of our news, and the DHT repeats what we say once. The configuration was checked, so
/// the filter parses.
fn log_filter(config: &LogConfig) -> EnvFilter {
    let filter = format!("mainline=off,sea_orm_migration=warn,sqlx=warn,{}", config.filter);
    EnvFilter::try_new(filter).unwrap_or_default()
}
