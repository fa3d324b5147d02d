//! What the terminal chat does to text that strangers wrote, before a terminal gets it.

pub mod text;
pub mod wrap;
