use clap::Subcommand;

/// `cachectl dht …`
#[derive(Debug, Subcommand)]
pub enum Dht {
    /// Show how this node of the DHT is doing, and how far announcing has come
    #[command(after_help = "Examples:\n  \
        cachectl dht status\n  \
        cachectl dht status --json | jq .announcing")]
    Status,
    /// Show what the network knows under a key
    ///
    /// n:NODE is what a node says about itself, m:0 to m:3 say which nodes there are, p:HASH says who has a store path, and
    /// x:NAME is a note.
    #[command(after_help = "Examples:\n  \
        cachectl dht get p:0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq\n  \
        cachectl dht get /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello\n  \
        cachectl dht get x:hello --json")]
    Get {
        /// The key, or a store path
        key: String,
    },
    /// Leave a note for the other nodes, to see whether records travel
    ///
    /// The other records are written by the nodes that they are about. A note is forgotten after a day.
    #[command(after_help = "Example:\n  cachectl dht put x:hello hi")]
    Put {
        /// The key: x: and 1 to 32 letters, digits, hyphens, dots or underscores
        key: String,
        /// The text
        text: String,
    },
}
