//! Bringing paths from elsewhere into a cache.

use std::io::{self, IsTerminal as _, Read as _};

use admin_api::{ImportCredentials, ImportRequest, JobRequest};
use clap::{Args, ValueHint};

use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::Output;

/// The longest list of paths that is read: what a request to the daemon may hold.
const MOST_BYTES: u64 = 7 << 20;

/// `cachectl import`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the paths are: a directory, file:///DIRECTORY, s3://BUCKET/PREFIX, http(s)://…, daemon, or another store that Nix knows
    #[arg(value_parser = value::source, value_hint = ValueHint::AnyPath)]
    pub source: String,
    /// The cache that takes the paths
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: String,
    /// Import what the paths refer to as well
    #[arg(long)]
    pub closure: bool,
    /// Import only paths whose name matches, such as linux-*; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// How many paths to fetch at once [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: Option<u32>,
    /// The most to fetch per second, such as 50MB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = value::rate)]
    pub rate: Option<u64>,
    /// Fetch nothing, only report what would be imported
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub credentials: CredentialArguments,
    /// Import only these paths; - reads them from standard input, one a line [default: all that the source lists]
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<String>,
}

/// What a source wants to see. The daemon reads the files.
#[derive(Debug, Args)]
pub struct CredentialArguments {
    /// User name for the password
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// File with the password that the source wants to see
    #[arg(long, value_name = "FILE", value_parser = value::absolute)]
    pub password_file: Option<String>,
    /// File with the bearer token that the source wants to see
    #[arg(long, value_name = "FILE", value_parser = value::absolute, conflicts_with = "password_file")]
    pub token_file: Option<String>,
    /// File in the format of netrc with an entry for the host of the source
    #[arg(long, value_name = "FILE", value_parser = value::absolute, conflicts_with_all = ["password_file", "token_file"])]
    pub netrc_file: Option<String>,
    /// File with further headers that the source wants to see, a line `Name: value` each
    #[arg(long, value_name = "FILE", value_parser = value::absolute)]
    pub headers_file: Option<String>,
    /// File with a client certificate, and the chain above it, in PEM
    #[arg(long, value_name = "FILE", value_parser = value::absolute)]
    pub client_certificate_file: Option<String>,
    /// File with the private key of the client certificate, in PEM [default: the file of the certificate]
    #[arg(long, value_name = "FILE", value_parser = value::absolute, requires = "client_certificate_file")]
    pub client_key_file: Option<String>,
    /// Use the credentials of the upstream of the cache that has the URL of the source
    #[arg(long, conflicts_with_all = ["user", "password_file", "token_file", "netrc_file", "headers_file", "client_certificate_file"])]
    pub as_upstream: bool,
}

impl From<CredentialArguments> for ImportCredentials {
    fn from(arguments: CredentialArguments) -> Self {
        let CredentialArguments {
            user,
            password_file,
            token_file,
            netrc_file,
            headers_file,
            client_certificate_file,
            client_key_file,
            as_upstream,
        } = arguments;
        Self {
            user,
            password_file,
            token_file,
            netrc_file,
            headers_file,
            client_certificate_file,
            client_key_file,
            as_upstream,
        }
    }
}

/// `cachectl import`
pub async fn run(arguments: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let Arguments { source, cache, closure, filter, jobs, rate, dry_run, credentials, paths } = arguments;
    // What is piped into the command is meant for it.
    let is_web = source.starts_with("http://") || source.starts_with("https://");
    let reads = paths == ["-"] || (paths.is_empty() && is_web && !io::stdin().is_terminal());
    let paths = if reads { read_paths()? } else { paths };
    let credentials = credentials.into();
    let request = ImportRequest { cache, source, paths, closure, filter, jobs, rate, dry_run, credentials };
    follow_job(&JobRequest::Import(request), client, output).await
}

fn read_paths() -> Result<Vec<String>, Error> {
    let mut text = String::new();
    let read = io::stdin().take(MOST_BYTES + 1).read_to_string(&mut text);
    let wrong = |reason: String| Error::PathList { reason };
    read.map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong("it is too long; import it in several parts".to_owned()));
    }
    let paths: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if paths.is_empty() { Err(wrong("it is empty".to_owned())) } else { Ok(paths) }
}
