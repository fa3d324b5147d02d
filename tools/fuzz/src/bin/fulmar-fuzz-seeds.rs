//! Writes the seeds of the fuzz targets: `fulmar-fuzz-seeds DIRECTORY [TARGET …]`, each target's into
//! a directory of its name.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use fulmar_fuzz::TARGETS;
use fulmar_fuzz::seeds::seeds;

const USAGE: &str = "usage: fulmar-fuzz-seeds DIRECTORY [TARGET …]";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let wrong = |argument: &String| argument.starts_with('-');
    let (Some((directory, wanted)), false) = (arguments.split_first(), arguments.iter().any(wrong))
    else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    for (target, _) in TARGETS {
        if (wanted.is_empty() || wanted.iter().any(|name| name == target))
            && let Err(error) = write(&Path::new(directory).join(target), target)
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
