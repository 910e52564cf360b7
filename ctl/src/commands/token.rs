use std::io::{self, IsTerminal as _, Write as _};

use admin_api::{CreateToken, CreatedToken, Permission, TokenInfo};

use crate::args::Token;
use crate::client::Client;
use crate::error::Error;
use crate::output::{
    Cell, Column, Look, Output, Table, Tone, age, date, plain, relative, to_json, write_stdout,
};

/// `cachectl token …`
pub async fn run(command: Token, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Token::Create(arguments) => {
            let wanted = CreateToken {
                subject: arguments.subject,
                caches: arguments.caches,
                all: arguments.all,
                workspace: arguments.workspace,
                agent: None,
                permission: arguments.permission.into(),
                expires_seconds: arguments.expires.map(|expires| expires.as_secs()),
            };
            create(wanted, client, output).await
        }
        Token::List => {
            let tokens = client.tokens().await?;
            output.print(&tokens, |look| table(&tokens, look))
        }
        Token::Revoke { id } => {
            let token = client.revoke_token(&id).await?;
            output.print(&token, |_| revoked(&token))
        }
    }
}

/// Makes a token and prints it.
pub async fn create(wanted: CreateToken, client: &Client, output: &Output) -> Result<(), Error> {
    let created = client.create_token(&wanted).await?;

    let text = if output.json { to_json(&created) } else { format!("{}\n", created.token) };
    // Not even a closed pipe is a success here: nobody has the token, yet it is good.
    if let Err(source) = write_stdout(&text) {
        return Err(Error::TokenLost { id: created.id, source });
    }
    if io::stderr().is_terminal() {
        // A hint that cannot be shown is no failure.
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
    format!("It {end} and is not shown again.\nTo make it useless: cachectl token revoke {id}")
}

/// A table of tokens.
pub fn table(tokens: &[TokenInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("ID"),
        Column::prose("SUBJECT"),
        Column::prose("FOR"),
        Column::text("MAY"),
        Column::prose("STATE"),
    ]);
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
    format!("Revoked token {id}{subject} ({permission}, {}).\n", plain(&opens(token)))
}

/// What a token is for: caches, a workspace or an agent. Which of these is told by what it permits.
fn opens(token: &TokenInfo) -> String {
    match token.workspace.as_ref().or(token.agent.as_ref()) {
        Some(name) => name.clone(),
        None if token.all => "all".to_owned(),
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
