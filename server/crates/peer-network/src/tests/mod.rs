//! Networks of several nodes in one process, on loopback.
#![allow(clippy::unwrap_used)]

mod attacks;
mod churn;
mod errors;
mod loss;
mod questions;
mod races;
mod rotation;
mod sharing;
mod strangers;
mod support;
mod together;
