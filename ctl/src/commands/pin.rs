use admin_api::{CreatePin, ListPins, PinInfo, RemovePin};

use super::cache::the_one;
use crate::args::{AddPin, Pin};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age, base_name, count, counted, plain};

/// The seconds of a day.
const DAY: i64 = 86_400;

/// `cachectl pin …`
pub async fn run(command: Pin, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Pin::Add(AddPin { name, path, cache, keep_days, keep_revisions }) => {
            let cache = the_one(cache, client).await?;
            let path = path.as_str().to_owned();
            let pin = client.create_pin(&CreatePin { cache, name, path, keep_days, keep_revisions }).await?;
            output.print(&pin, |_| added(&pin))
        }
        Pin::List { cache } => {
            let pins = client.pins(&ListPins { cache }).await?;
            output.print(&pins, |look| table(&pins, look))
        }
        Pin::Remove { name, cache, revision } => {
            let pin = RemovePin { cache: the_one(cache, client).await?, name, revision };
            let removed = client.remove_pin(&pin).await?;
            output.print(&removed, |_| {
                let (name, cache) = (plain(&pin.name), plain(&pin.cache));
                format!("Removed {} of the pin {name} from {cache}.\n", counted(removed.removed, "revision"))
            })
        }
    }
}

/// A table of pins.
pub fn table(pins: &[PinInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE").unless_empty(),
        Column::text("PIN"),
        Column::number("REV"),
        Column::text("KEPT"),
        Column::text("PATH"),
    ]);
    // Paths are long, and of one cache alone it is known which.
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
    table.render(look)
}

/// How long the pin still holds.
fn kept(pin: &PinInfo, now: i64) -> Cell {
    match (pin.keep_days, pin.keep_revisions) {
        (Some(days), _) => {
            let end = pin.created_at.saturating_add(i64::from(days) * DAY);
            if end <= now {
                return Cell::new("expired", Tone::Odd);
            }
            format!("{} left", age(now.abs_diff(end))).into()
        }
        (None, Some(1)) => "if newest".into(),
        (None, Some(revisions)) => format!("newest {}", count(revisions.into())).into(),
        (None, None) => "for good".into(),
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
