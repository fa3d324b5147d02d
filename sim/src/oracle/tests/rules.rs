//! Each rule stands in a test: one that no history breaks may as well not be there.

use std::path::{Path, PathBuf};

/// Rules that a world judges of a real node, which a history of frames can't break.
const OF_A_NODE: &[&str] = &[
    "a node starts on what it left",
    "a node without clients is empty",
    "a session's batches fit its store",
    "a world comes to rest",
    "authors who stay hear what came of it",
    "everything ticked arrives",
    "lanes are bounded",
    "memory is bounded",
    "output is bounded",
    "receipts end as the truth",
    "sockets rest while a core is congested",
    "what everybody has is deleted",
    "what is over is deleted",
    "what is stored can be read",
    "who has mail is woken",
    "who may see others is shown what holds",
];

/// What stands before the name of a rule in the source.
const BEFORE_A_RULE: &[&str] = &["(", "rule = "];

/// Every file below a folder.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the source can be listed");
    for entry in entries {
        let path = entry.expect("the source can be listed").path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// The source of the files below a folder for which this holds.
fn source(of: impl Fn(&Path) -> bool) -> String {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all.retain(|path| of(path));
    all.sort();
    all.iter().map(|path| std::fs::read_to_string(path).expect("the source can be read")).collect()
}

/// The rules in a source.
fn rules(source: &str) -> Vec<&str> {
    let mut rules = Vec::new();
    for before in BEFORE_A_RULE {
        for (at, _) in source.match_indices(before) {
            let rest = source[at + before.len()..].trim_start();
            let Some((rule, after)) = rest.strip_prefix('"').and_then(|it| it.split_once('"'))
            else {
                continue;
            };
            // Its detail follows.
            if after.starts_with([',', ';']) && !rule.contains('{') && rule.split(' ').count() > 2 {
                rules.push(rule);
            }
        }
    }
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn each_rule_stands_in_a_test() {
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    let is_oracle = |path: &Path| path.components().any(|part| part.as_os_str() == "oracle");
    let tests = source(|path| is_test(path) && !path.ends_with("rules.rs"));
    let of_oracle = source(|path| is_oracle(path) && !is_test(path));
    let of_world = source(|path| path.components().any(|part| part.as_os_str() == "world"));
    let (oracle, world) = (rules(&of_oracle), rules(&of_world));
    assert!(oracle.len() > 100, "the rules are found: {oracle:?}");
    let is_in = |source: &str, rule: &str| source.contains(&format!("\"{rule}\""));
    let untested: Vec<_> = oracle.iter().filter(|rule| !is_in(&tests, rule)).collect();
    assert!(untested.is_empty(), "no history breaks these: {untested:?}");
    let unknown: Vec<_> = world.iter().filter(|rule| !OF_A_NODE.contains(rule)).collect();
    assert!(unknown.is_empty(), "these aren't known as rules of a node: {unknown:?}");
    let gone: Vec<_> = OF_A_NODE.iter().filter(|rule| !is_in(&of_world, rule)).collect();
    assert!(gone.is_empty(), "these are no rules: {gone:?}");
}
