//! The oracle complains about each kind of broken promise, and about nothing else.
