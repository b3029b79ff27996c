//! Inner parts, wrapped for the benchmarks in `benches/`. No part of the public interface: it changes without notice.
//!
//! A wrapper does what its inner part is asked to in earnest, and nothing else, so that what is measured is the part.

pub mod fanout;
pub mod journal;
pub mod listing;
pub mod sync;
