//! Pins.

use admin_api::{CreatePin, ListPins, PinInfo, RemovePin};
use clap::{Args, Subcommand, ValueHint};

use super::cache::named_or_only;
use crate::cli::value::{self, StorePath};
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age, base_name, count, counted, plain};

/// The seconds of a day.
const DAY: i64 = 86_400;

/// `cachectl pin …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep a store path, and everything that it refers to, under a name
    ///
    /// If the name exists, this adds a revision. The older revisions stay for as long as they were to be kept.
    #[command(after_help = "Examples:\n  \
        cachectl pin add release ./result\n  \
        cachectl pin add nightly ./result --cache main --keep-revisions 7")]
    Add(NewPin),
    /// List the pins, the newest revision of each first
    #[command(after_help = "Example:\n  cachectl pin list --cache main")]
    List {
        /// List only pins of this cache [default: all caches]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
    /// Remove a pin, so that garbage collection may remove what it kept
    #[command(after_help = "Examples:\n  \
        cachectl pin remove release\n  \
        cachectl pin remove nightly --cache main --revision 3")]
    Remove {
        /// The name of the pin
        #[arg(add = complete::pins())]
        name: String,
        /// The cache of the pin [default: the only cache]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
        /// Remove only this revision [default: all revisions]
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
}

/// `cachectl pin add`
#[derive(Debug, Args)]
pub struct NewPin {
    /// The name of the pin
    #[arg(add = complete::pins())]
    pub name: String,
    /// /nix/store/HASH-NAME, a link to it such as ./result, HASH-NAME or HASH
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: StorePath,
    /// The cache that holds the path [default: the only cache]
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: Option<String>,
    /// Keep this revision for this many days [default: until it is removed]
    #[arg(
        long,
        value_name = "DAYS",
        value_parser = value::positive,
        conflicts_with = "keep_revisions"
    )]
    pub keep_days: Option<u32>,
    /// Keep this many of the newest revisions and remove the others
    #[arg(long, value_name = "N", value_parser = value::positive)]
    pub keep_revisions: Option<u32>,
}

/// `cachectl pin …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::Add(NewPin { name, path, cache, keep_days, keep_revisions }) => {
            let cache = named_or_only(cache, client).await?;
            let path = path.as_str().to_owned();
            let request = CreatePin { cache, name, path, keep_days, keep_revisions };
            let pin = client.call(&request).await?;
            output.print(&pin, |_| added(&pin))
        }
        Command::List { cache } => {
            let pins = client.call(&ListPins { cache }).await?;
            output.print(&pins, |look| table(&pins, look))
        }
        Command::Remove { name, cache, revision } => {
            let request = RemovePin { cache: named_or_only(cache, client).await?, name, revision };
            let removed = client.call(&request).await?;
            output.print(&removed, |_| {
                let (name, cache) = (plain(&request.name), plain(&request.cache));
                format!("Removed {} of the pin {name} from {cache}.\n", counted(removed.removed, "revision"))
            })
        }
    }
}

/// Renders a table of pins.
pub fn table(pins: &[PinInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE").unless_empty(),
        Column::text("PIN"),
        Column::number("REV"),
        Column::text("KEPT"),
        Column::long("PATH"),
    ])
    .or("No pins.");
    // Paths are long, so the cache is shown only if there is more than one.
    let has_several = pins.iter().any(|pin| pin.cache != pins[0].cache);
    for pin in pins {
        table.add([
            if has_several { pin.cache.as_str() } else { "" }.into(),
            pin.name.as_str().into(),
            count(pin.revision).into(),
            kept(pin, look.now),
            base_name(&pin.store_path).into(),
        ]);
    }
    let artifacts = pins.iter().filter(|pin| !pin.artifacts.is_empty()).map(|pin| {
        let name = plain(&format!("{}#{}", pin.name, pin.revision));
        format!("{name}: artifacts {}\n", plain(&pin.artifacts.join(", ")))
    });
    table.render(look) + &artifacts.collect::<String>()
}

/// How long the pin keeps its path.
fn kept(pin: &PinInfo, now: i64) -> Cell {
    match (pin.keep_days, pin.keep_revisions) {
        (Some(days), _) => {
            let end = pin.created_at.saturating_add(i64::from(days) * DAY);
            if end <= now {
                return Cell::new("expired", Tone::Odd);
            }
            format!("{} left", age(now.abs_diff(end))).into()
        }
        (None, Some(1)) => "while newest".into(),
        (None, Some(revisions)) => format!("newest {}", count(revisions.into())).into(),
        (None, None) => "forever".into(),
    }
}

fn added(pin: &PinInfo) -> String {
    let kept = match (pin.keep_days, pin.keep_revisions) {
        (Some(days), _) => format!("for {}", counted(days.into(), "day")),
        (None, Some(1)) => "until there is a newer revision".to_owned(),
        (None, Some(revisions)) => format!("until there are {} newer revisions", count(revisions.into())),
        (None, None) => "until it is removed".to_owned(),
    };
    let (path, name, cache) = (plain(&pin.store_path), plain(&pin.name), plain(&pin.cache));
    format!("Pinned {path} in {cache} as {name}, revision {}, {kept}.\n", count(pin.revision))
}
