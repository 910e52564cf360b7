//! Disks that are full or fail below the catalog, the spools and the storages, and clocks that are wrong.

mod catalog;
pub mod clock;
mod injected;
mod killed;
mod lost_pages;
mod quiet;
mod retries;
mod room;
mod unfit;
