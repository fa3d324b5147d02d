//! The server's sources with threads or `unsafe` code, compiled once more without the rest of it, so
//! that a model checker, a sanitizer or Miri need not build `RocksDB`. What is run and what it found:
//! `docs/concurrency.md`.

#[path = "../../src/faults.rs"]
pub mod faults;
#[path = "../../src/mesh/mod.rs"]
pub mod mesh;
#[cfg(not(loom))]
#[path = "../../src/uring/mod.rs"]
pub mod uring;
