//! The `fulmar` command.

use std::process::ExitCode;

// A sanitizer needs to see each allocation.
#[cfg(not(sanitized))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fulmar::cli::main()
}
