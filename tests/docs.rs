//! The documents name files that exist.

use std::path::{Path, PathBuf};

/// The documents in a directory.
fn pages(directory: &str) -> impl Iterator<Item = PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join(directory)).expect("a directory of documents");
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"))
}

#[test]
fn links_in_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    let documents =
        ["README.md", "ARCHITECTURE.md", "sim/README.md", "tuning/README.md", "protocol/SPEC.md"];
    let documents = documents.iter().map(|name| root.join(name));
    let documents = documents.chain(pages("docs")).chain(pages("docs/decisions"));
    for path in documents {
        let text = std::fs::read_to_string(&path).expect("document");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let place = path.parent().unwrap_or(root).join(file);
            if !place.exists() {
                missing.push(format!("{} links to {target}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Names in backquotes with this many underscores are those of tests.
const UNDERSCORES_OF_A_TEST: usize = 4;

#[test]
fn the_page_on_unsafe_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/unsafe.md")).expect("the page");
    let mut code = String::new();
    let mut open = vec![root.join("src/uring")];
    while let Some(directory) = open.pop() {
        for path in std::fs::read_dir(directory).expect("directory").flatten().map(|e| e.path()) {
            if path.is_dir() {
                open.push(path);
            } else {
                code += &std::fs::read_to_string(path).expect("source file");
            }
        }
    }
    let is_test = |name: &&str| name.matches('_').count() >= UNDERSCORES_OF_A_TEST;
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(!named.is_empty());
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}
