//! What clients may make the daemon hold: connections, memory for request bodies, memory for decoders, threads.
//!
//! Memory budgets belong to the process, as memory does, so they are statics. Nothing here knows HTTP or caches.
//!
//! | file | limits |
//! |---|---|
//! | `connections.rs` | open connections; the idlest one makes room for a new one |
//! | `budget.rs` | bytes of request bodies and of the replies made from them; readers of single files |
//! | `decoder_memory.rs` | windows and dictionaries of decompressors |
//! | `pace.rs` | how slow the other end of a long transfer may be |
//! | `attempts.rs` | how often a client may fail at something |
//! | `slots.rs` | requests of one client that are answered at once |
//! | `own_thread.rs` | work that waits for another machine, which stays out of the pool of blocking threads |

pub mod attempts;
pub mod budget;
pub mod client_address;
pub mod connections;
pub mod decoder_memory;
pub mod own_thread;
pub mod pace;
pub mod slots;
