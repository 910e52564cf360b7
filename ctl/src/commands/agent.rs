use admin_api::{CreateToken, Permission};

use super::token;
use crate::args::Agent;
use crate::client::Client;
use crate::error::Error;
use crate::output::Output;

/// `cachectl agent …`
pub async fn run(command: Agent, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Agent::Token(arguments) => {
            let wanted = CreateToken {
                subject: arguments.subject,
                caches: Vec::new(),
                all: false,
                workspace: None,
                agent: Some(arguments.name),
                permission: Permission::Agent,
                expires_seconds: arguments.expires.map(|expires| expires.as_secs()),
            };
            token::create(wanted, client, output).await
        }
    }
}
