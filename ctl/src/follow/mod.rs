//! Follows a long job (`job`), or the log of a deployment (`log`), to its end.
//!
//! The progress of a job goes to standard error, as a bar on a terminal and as lines elsewhere; its result goes to standard
//! output. With `--json` every event goes to standard output as it arrives, and nothing else does.

mod bar;
mod figures;
mod job;
mod lines;
mod log;
mod outcome;
mod view;

#[cfg(test)]
mod tests;

pub use figures::Figures;
pub use job::{finish_job, follow_job, name};
pub use log::print_log;
#[cfg(test)]
pub use outcome::render;
pub use outcome::{brief, gc_table};
pub use view::View;
