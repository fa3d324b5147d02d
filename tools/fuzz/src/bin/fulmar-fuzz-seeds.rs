//! Writes the seeds of the fuzz targets: `fulmar-fuzz-seeds DIRECTORY [TARGET …]`, each target's into
//! a directory of its name.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use fulmar_fuzz::TARGETS;
use fulmar_fuzz::seeds::seeds;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(directory) = arguments.next() else {
        eprintln!("usage: fulmar-fuzz-seeds DIRECTORY [TARGET …]");
        return ExitCode::from(2);
    };
    let wanted: Vec<String> = arguments.collect();
    for (target, _) in TARGETS {
        if (wanted.is_empty() || wanted.iter().any(|name| name == target))
            && let Err(error) = write(&Path::new(&directory).join(target), target)
        {
            eprintln!("fulmar-fuzz-seeds: {directory}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(directory: &Path, target: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, bytes) in seeds(target) {
        fs::write(directory.join(format!("seed-{name}")), bytes)?;
    }
    Ok(())
}
