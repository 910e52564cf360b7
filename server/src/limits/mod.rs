//! What clients may make the daemon hold: connections, memory for request bodies, memory for decoders.
//!
//! Memory budgets belong to the process, as memory does, so they are statics. Nothing here knows HTTP or caches.
//!
//! | file | limits |
//! |---|---|
//! | `connections.rs` | open connections; the idlest one makes room for a new one |
//! | `decoder_memory.rs` | windows and dictionaries of decompressors |

pub mod connections;
pub mod decoder_memory;
