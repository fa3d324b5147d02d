//! The documents name files that exist.

use std::path::Path;

#[test]
fn links_in_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    let documents =
        ["README.md", "ARCHITECTURE.md", "sim/README.md", "tuning/README.md", "protocol/SPEC.md"];
    let decisions = std::fs::read_dir(root.join("docs/decisions")).expect("decisions");
    let decisions = decisions.flatten().map(|entry| entry.path());
    for path in documents.iter().map(|name| root.join(name)).chain(decisions) {
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
