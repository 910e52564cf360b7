use clap::Subcommand;

/// `cachectl peer …`
#[derive(Debug, Subcommand)]
pub enum Peer {
    /// List the other nodes of the network
    #[command(after_help = "Examples:\n  \
        cachectl peer list\n  \
        cachectl peer list --json | jq '.[] | select(.shunned_for)'")]
    List,
    /// Ask a node, or each of them, for a sign of life
    ///
    /// Exits with 9 if one does not answer.
    #[command(after_help = "Examples:\n  \
        cachectl peer ping\n  \
        cachectl peer ping 5f0c")]
    Ping {
        /// The beginning of its id, as `peer list` shows it; each node without it
        node: Option<String>,
    },
}
