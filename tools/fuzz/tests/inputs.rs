//! The fuzz bodies over what is stored: the seeds, the corpora that the fuzzer left, and the inputs
//! that once found a defect, each of which has a name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fulmar_fuzz::TARGETS;
use fulmar_fuzz::seeds::seeds;

fn fuzz_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The files of a directory, in the order of their names; none if it isn't there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Runs one target's body over all its inputs. The input that fails is named by what was printed last.
fn run(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has seeds");
    for (name, bytes) in seeds {
        println!("{target}: the seed {name}");
        body(&bytes);
    }
    for kind in ["corpus", "regressions"] {
        for path in files(&fuzz_directory().join(kind).join(target)) {
            println!("{target}: {}", path.display());
            body(&fs::read(&path).expect("an input"));
        }
    }
}

macro_rules! targets {
    ($($target:ident)+) => {
        $(#[test] fn $target() { run(stringify!($target)); })+

        /// Every body is run here and has a target for the fuzzer; no target or input is without one.
        #[test]
        fn every_target_is_run() {
            let bodies: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(bodies, BTreeSet::from([$(stringify!($target)),+]));
            let of_fuzzer: BTreeSet<String> = files(&fuzz_directory().join("fuzz_targets"))
                .iter()
                .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
                .collect();
            assert!(of_fuzzer.iter().map(String::as_str).eq(bodies.iter().copied()), "{of_fuzzer:?}");
            for kind in ["corpus", "regressions"] {
                for path in files(&fuzz_directory().join(kind)) {
                    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                    assert!(bodies.contains(name.as_str()), "{kind} of {name}, which is no target");
                }
            }
        }
    };
}

targets! {
    assembly config decode input journal keys records segments session shard store stored text token
}

/// An option is no directory to write to.
#[test]
fn the_writer_of_seeds_takes_options_for_no_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    for (option, is_success) in [("--help", true), ("-h", true), ("--hepl", false)] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_fulmar-fuzz-seeds"))
            .arg(option)
            .current_dir(directory.path())
            .output()
            .expect("it runs");
        assert_eq!(output.status.success(), is_success, "{option}");
        let told = if is_success { output.stdout } else { output.stderr };
        assert!(told.starts_with(b"usage: "), "{option}");
    }
    assert!(files(directory.path()).is_empty(), "nothing was written");
}
