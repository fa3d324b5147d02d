//! What was tortured and by what: the state of the source tree.

use std::process::Command;

/// The short commit of the source tree that this program was built from, with `-dirty` where
/// tracked files differ from it; "unknown" where there is no such tree.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let tree = env!("CARGO_MANIFEST_DIR");
        let output = Command::new("git").arg("-C").arg(tree).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]).as_deref() {
        Some("") => commit,
        _ => format!("{commit}-dirty"),
    }
}
