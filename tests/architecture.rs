//! The arrows between the rooms of the house: which module may name which. Also that `unsafe`
//! stays where it belongs. The picture is in ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the server and the modules that it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("auth", &[]),
    ("cli", &["auth", "config", "control", "doctor", "node", "storage", "uring"]),
    ("config", &["limits"]),
    ("control", &["auth", "config", "metrics"]),
    ("core_loop", &["faults", "limits", "mesh", "metrics", "shard", "uring"]),
    ("doctor", &["config", "uring"]),
    ("faults", &[]),
    ("limits", &[]),
    ("mesh", &["faults"]),
    ("metrics", &[]),
    (
        "node",
        &[
            "auth",
            "config",
            "control",
            "core_loop",
            "faults",
            "limits",
            "mesh",
            "metrics",
            "shard",
            "storage",
            "uring",
        ],
    ),
    ("shard", &["faults", "limits"]),
    ("storage", &["faults", "shard"]),
    ("uring", &[]),
];

/// Crates whose code may not contain `unsafe` at all, and directories that may.
const UNSAFE_ALLOWED: &[&str] = &["src/uring/"];

/// What the sans-IO parts never name: sockets, files, clocks, threads, randomness.
const IO: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "std::sync",
    "tokio",
    "rustix",
    "libc::",
    "thread_rng",
    "fastrand",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code of a file without comments, and without its tests if they stand in it.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("source file");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("inside the project").display().to_string()
}

fn is_test(path: &Path) -> bool {
    let path = relative(path);
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("inside src");
    let first = inside.components().next().expect("a component").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules of this crate that `code` names.
fn named_modules(code: &str) -> Vec<String> {
    code.match_indices("crate::")
        .map(|(at, matched)| {
            let rest = &code[at + matched.len()..];
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn modules_name_only_what_their_place_allows() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if module == "lib" || module == "main" || is_test(&path) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            panic!("{} belongs to no module that this test knows", relative(&path));
        };
        for named in named_modules(&code(&path)) {
            if named != module && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{} names crate::{named}", relative(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn storage_knows_the_shard_by_its_seam_only() {
    for path in sources(&root().join("src/storage")) {
        let code = code(&path);
        for (at, _) in code.match_indices("crate::shard") {
            let rest = &code[at..];
            assert!(
                rest.starts_with("crate::shard::seam"),
                "{} names more of the shard than its seam",
                relative(&path)
            );
        }
    }
}

#[test]
fn the_protocol_and_the_shard_perform_no_io() {
    let mut paths = sources(&root().join("protocol/src"));
    paths.extend(sources(&root().join("src/shard")));
    for path in paths.iter().filter(|path| !is_test(path)) {
        let code = code(path);
        for &word in IO {
            assert!(!code.contains(word), "{} names {word}", relative(path));
        }
    }
}

#[test]
fn the_simulator_depends_on_nothing_but_its_seed() {
    let outside = ["main.rs", "cli.rs", "mutants.rs", "report.rs", "shrink.rs"];
    for path in sources(&root().join("sim/src")) {
        let place = relative(&path);
        if outside.iter().any(|file| place.ends_with(&format!("sim/src/{file}"))) {
            continue;
        }
        let code = code(&path);
        for word in
            ["Instant", "SystemTime", "std::thread", "std::env", "thread_rng", "RandomState"]
        {
            assert!(!code.contains(word), "{place} names {word}");
        }
    }
}

#[test]
fn unsafe_stays_in_the_ring() {
    for directory in ["src", "protocol/src", "sim/src", "tools"] {
        for path in sources(&root().join(directory)) {
            let place = relative(&path);
            if UNSAFE_ALLOWED.iter().any(|allowed| place.starts_with(allowed)) || is_test(&path) {
                continue;
            }
            let code = code(&path);
            let is_used = code.contains("unsafe {") || code.contains("unsafe fn");
            assert!(!is_used, "{place} uses unsafe");
        }
    }
}
