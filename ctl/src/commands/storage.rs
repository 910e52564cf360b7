//! The storages of caches, as several commands show them.

use admin_api::{StorageState, StorageSummary};

use crate::output::{Cell, Column, Look, Table, Tone, plain, size};

/// A table of storages; what is wrong with one is told below.
pub fn table(storages: &[StorageSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("STORAGE"),
        Column::text("STATE"),
        Column::number("USED"),
        Column::number("FREE"),
        Column::text("LOCATION"),
    ]);
    let mut troubles = String::new();
    for storage in storages {
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            state(storage.state),
            size(storage.used_bytes).into(),
            storage.free_bytes.map(size).unwrap_or_default().into(),
            storage.location.as_str().into(),
        ]);
        if let Some(error) = &storage.last_error {
            let name = plain(&format!("{}/{}", storage.cache, storage.name));
            troubles.push_str(&format!("{name}: {}\n", plain(error)));
        }
    }
    table.render(look) + &troubles
}

fn state(state: StorageState) -> Cell {
    match state {
        StorageState::Ok => Cell::new("ok", Tone::Good),
        StorageState::Full => Cell::new("full", Tone::Odd),
        StorageState::Failing => Cell::new("failing", Tone::Bad),
        StorageState::Disabled => Cell::new("disabled", Tone::Odd),
    }
}
