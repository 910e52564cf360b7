//! Tokens.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use admin_api::{CreateToken, CreatedToken, ListTokens, Permission, RevokeToken, TokenInfo};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{
    Cell, Column, Look, Output, Table, Tone, age, date, plain, relative, to_json, write_stdout,
};

/// `cachectl token …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a token, and print it
    ///
    /// Prints the token and nothing else, so that scripts can use it. It is shown only once.
    #[command(after_help = "Examples:\n  \
        cachectl token create --cache main --permission write --expires 90d --subject ci\n  \
        cachectl token create --cache main --permission write | cachix authtoken --stdin\n  \
        cachectl token create --workspace production --permission activate")]
    Create(NewToken),
    /// List all tokens, without the tokens themselves
    #[command(after_help = "Example:\n  cachectl token list")]
    List,
    /// Revoke a token, immediately and permanently
    #[command(after_help = "Example:\n  \
        cachectl token revoke 0b9f5a9e-6f0e-4a53-9a2c-3c1d5e7f9b11")]
    Revoke {
        /// The id that `token list` shows
        #[arg(add = complete::tokens())]
        id: String,
    },
}

/// `cachectl token create`
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("scope").args(["caches", "all", "workspace"]).required(true))]
pub struct NewToken {
    /// A cache that the token opens; may be repeated
    #[arg(
        long = "cache",
        value_name = "NAME",
        value_delimiter = ',',
        add = complete::caches()
    )]
    pub caches: Vec<String>,
    /// Open every cache, including those that are created later
    #[arg(long)]
    pub all: bool,
    /// The deploy workspace in which the token can activate deployments
    #[arg(long, value_name = "NAME", add = complete::workspaces())]
    pub workspace: Option<String>,
    /// What the token permits; on caches, each includes the ones before it
    #[arg(long, value_enum)]
    pub permission: Permits,
    /// The lifetime of the token, such as 12h, 90d or 1y [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub expires: Option<Duration>,
    /// The most that may be pushed with the token on one day (UTC), such as 20GB [default: unlimited]
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub daily_limit: Option<u64>,
    /// The person or thing that the token is for, as lists and logs show it
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
}

/// The permissions that `token create` can give.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Permits {
    /// Read paths
    Read,
    /// Push paths and build logs, and change pins
    Write,
    /// Register signing keys of clients, and replace build logs
    Admin,
    /// Activate deployments in a workspace
    Activate,
}

impl From<Permits> for Permission {
    fn from(permits: Permits) -> Self {
        match permits {
            Permits::Read => Self::Read,
            Permits::Write => Self::Write,
            Permits::Admin => Self::Admin,
            Permits::Activate => Self::Activate,
        }
    }
}

/// `cachectl token …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::Create(arguments) => {
            let request = CreateToken {
                subject: arguments.subject,
                caches: arguments.caches,
                all: arguments.all,
                workspace: arguments.workspace,
                agent: None,
                permission: arguments.permission.into(),
                expires_seconds: arguments.expires.map(|expires| expires.as_secs()),
                daily_limit: arguments.daily_limit,
            };
            create(&request, client, output).await
        }
        Command::List => {
            let tokens = client.call(&ListTokens {}).await?;
            output.print(&tokens, |look| table(&tokens, look))
        }
        Command::Revoke { id } => {
            let token = client.call(&RevokeToken { id }).await?;
            output.print(&token, |_| revoked(&token))
        }
    }
}

/// Creates a token and prints it.
pub async fn create(request: &CreateToken, client: &Client, output: &Output) -> Result<(), Error> {
    let created = client.call(request).await?;

    let text = if output.json { to_json(&created) } else { format!("{}\n", created.token) };
    // Even a closed pipe is a failure here: the token is valid, but nobody has it.
    if let Err(source) = write_stdout(&text) {
        return Err(Error::TokenLost { id: created.id, source });
    }
    if io::stderr().is_terminal() {
        // A hint that cannot be printed is not a failure.
        let _ = writeln!(io::stderr(), "{}", hint(&created, output.look.now));
    }
    Ok(())
}

fn hint(created: &CreatedToken, now: i64) -> String {
    let end = match created.expires_at {
        Some(time) => format!("expires on {} ({})", date(time), relative(now, time)),
        None => "never expires".to_owned(),
    };
    let id = plain(&created.id);
    format!("This token {end}. It is not shown again.\nRevoke it with `cachectl token revoke {id}`.")
}

/// Renders a table of tokens.
pub fn table(tokens: &[TokenInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::long("ID"),
        Column::prose("SUBJECT"),
        Column::prose("FOR"),
        Column::text("PERMISSION"),
        Column::text("STATE"),
    ])
    .or("No tokens.");
    for token in tokens {
        table.add([
            token.id.as_str().into(),
            token.subject.as_deref().into(),
            opens(token).into(),
            permission(token.permission).into(),
            state(token, look.now),
        ]);
    }
    table.render(look)
}

fn state(token: &TokenInfo, now: i64) -> Cell {
    match (token.revoked_at, token.expires_at) {
        (Some(time), _) => Cell::new(format!("revoked {}", relative(now, time)), Tone::Odd),
        (None, Some(time)) if time <= now => Cell::new(format!("expired {}", relative(now, time)), Tone::Odd),
        (None, Some(time)) => Cell::new(format!("{} left", age(now.abs_diff(time))), Tone::Good),
        (None, None) => Cell::new("valid", Tone::Good),
    }
}

fn revoked(token: &TokenInfo) -> String {
    let subject = match &token.subject {
        Some(subject) => format!(" of {}", plain(subject)),
        None => String::new(),
    };
    let (id, permission) = (plain(&token.id), permission(token.permission));
    format!("Revoked the token {id}{subject} ({permission}, {}).\n", plain(&opens(token)))
}

/// What a token is for: caches, a workspace or an agent. Its permission says which.
fn opens(token: &TokenInfo) -> String {
    match token.workspace.as_ref().or(token.agent.as_ref()) {
        Some(name) => name.clone(),
        None if token.all => "all caches".to_owned(),
        None => token.caches.join(", "),
    }
}

fn permission(permission: Permission) -> &'static str {
    match permission {
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::Admin => "admin",
        Permission::Activate => "activate",
        Permission::Agent => "agent",
    }
}
