//! A compact map from store path hashes to a number each.
//!
//! The hashes are evenly distributed, so their first bytes say where they belong. Each is kept at that place of a sorted array or as close
//! behind it as there is room (ordered linear probing). The array grows by a quarter at a time rather than by doubling, so a path takes 29
//! to 39 bytes, 24 of which are the hash and the number.

use std::sync::atomic::{AtomicU32, Ordering};

use nix_formats::StorePathHash;

/// Stands for a place without a path. No path has this number.
pub(super) const NO_PATH: u32 = u32::MAX;
/// A set is rebuilt when more than this share of its places is taken, in percent.
const FULLEST: usize = 82;
/// A path and its number, or a free place.
struct Place {
    hash: StorePathHash,
    number: AtomicU32,
}

/// A map from paths to numbers below [`NO_PATH`].
#[derive(Default)]
pub(super) struct PathSet {
    places: Vec<Place>,
    /// How many of the places hashes are spread over. The overhang is behind them.
    spread: usize,
    length: usize,
}

impl Place {
    fn free() -> Self {
        Self { hash: StorePathHash::from_bytes([0; StorePathHash::LEN]), number: AtomicU32::new(NO_PATH) }
    }

    fn is_free(&self) -> bool {
        self.number.load(Ordering::Relaxed) == NO_PATH
    }
}

/// Where the search for a hash ended.
enum Found {
    /// It is there.
    At(usize),
    /// It belongs there, in front of what is there.
    Before(usize),
}

impl PathSet {
    /// Returns the number of paths.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Returns the number of a path.
    pub(super) fn get(&self, hash: &StorePathHash) -> Option<&AtomicU32> {
        match self.find(hash) {
            Found::At(at) => Some(&self.places[at].number),
            Found::Before(_) => None,
        }
    }

    /// Returns the number of a path, which is added with 0 if it is new, and whether it is.
    pub(super) fn entry(&mut self, hash: &StorePathHash) -> (&mut AtomicU32, bool) {
        if let Found::At(at) = self.find(hash) {
            return (&mut self.places[at].number, false);
        }
        if self.length >= self.spread * FULLEST / 100 {
            self.rebuild(self.spread + self.spread / 4 + 4);
        }
        let at = loop {
            let Found::Before(at) = self.find(hash) else { unreachable!("it was not there") };
            // The rest moves up to the next free place.
            match self.places[at..].iter().position(Place::is_free) {
                Some(run) => {
                    self.places[at..=at + run].rotate_right(1);
                    break at;
                }
                // Many hashes belong near the end.
                None => self.rebuild(self.spread + self.spread / 4 + 4),
            }
        };
        self.length += 1;
        self.places[at] = Place { hash: *hash, number: AtomicU32::new(0) };
        (&mut self.places[at].number, true)
    }

    /// Removes a path. Returns whether it was there.
    pub(super) fn remove(&mut self, hash: &StorePathHash) -> bool {
        let Found::At(at) = self.find(hash) else { return false };
        // What could not be where it belongs moves down.
        let is_displaced = |(offset, place): (usize, &Place)| {
            !place.is_free() && home(&place.hash, self.spread) < at + 1 + offset
        };
        let run = self.places[at + 1..].iter().enumerate().take_while(|place| is_displaced(*place)).count();
        self.places[at] = Place::free();
        self.places[at..=at + run].rotate_left(1);
        self.length -= 1;
        true
    }

    /// Removes the paths whose numbers are not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        for place in &mut self.places {
            let number = *place.number.get_mut();
            if number != NO_PATH && !keep(number) {
                *place = Place::free();
                self.length -= 1;
            }
        }
        // Others may be further behind than they have to be.
        self.rebuild(self.spread);
    }

    /// Returns the paths, sorted by their bytes.
    pub(super) fn paths(&self) -> impl Iterator<Item = StorePathHash> {
        self.places.iter().filter(|place| !place.is_free()).map(|place| place.hash)
    }

    /// Returns the numbers of all paths.
    pub(super) fn numbers(&mut self) -> impl Iterator<Item = &mut u32> {
        self.places.iter_mut().map(|place| place.number.get_mut()).filter(|number| **number != NO_PATH)
    }

    fn find(&self, hash: &StorePathHash) -> Found {
        let mut at = home(hash, self.spread);
        while let Some(place) = self.places.get(at) {
            if place.is_free() || place.hash > *hash {
                break;
            }
            if place.hash == *hash {
                return Found::At(at);
            }
            at += 1;
        }
        Found::Before(at)
    }

    /// Spreads the paths over so many places.
    fn rebuild(&mut self, spread: usize) {
        let old = std::mem::take(&mut self.places);
        self.spread = spread;
        // The overhang is for paths that do not fit where they belong.
        let end = spread + (spread / 16 + 2).min(32);
        let mut places: Vec<Place> = Vec::with_capacity(end);
        for place in old.into_iter().filter(|place| !place.is_free()) {
            let home = home(&place.hash, spread);
            while places.len() < home {
                places.push(Place::free());
            }
            places.push(place);
        }
        while places.len() < end {
            places.push(Place::free());
        }
        self.places = places;
    }
}

/// The place where a hash belongs: their order is that of the hashes.
fn home(hash: &StorePathHash, spread: usize) -> usize {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let scaled = u128::from(u64::from_be_bytes(first)) * spread as u128;
    (scaled >> 64) as usize
}

#[cfg(test)]
mod tests;
