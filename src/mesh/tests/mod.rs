//! The mesh on the machine's threads, and under loom in every order.

#[cfg(loom)]
mod orders;
#[cfg(not(loom))]
mod threads;
