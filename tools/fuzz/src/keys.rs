//! Key files.

use fulmar::auth::{KEYS_MAX, KeyFile, KeyFileError};

/// Reads a text as a key file. What is taken is written and read to the same; what isn't is
/// refused in words that quote no key.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = match KeyFile::parse(text) {
        Ok(file) => file,
        Err(error) => {
            assert!(matches!(error, KeyFileError::Content(_)), "{error}");
            assert!(!error.to_string().contains("k4.secret."), "a private key is quoted");
            return;
        }
    };
    let count = file.list().count();
    assert!((1..=KEYS_MAX).contains(&count));
    assert_eq!(file.ring().len(), count, "ids are distinct");
    assert!(file.list().filter(|key| key.signing).count() <= 1);
    let written = file.to_text();
    let again = KeyFile::parse(&written).expect("what was written is read");
    assert_eq!(again.to_text(), written);
    assert!(again.list().eq(file.list()));
    let public = file.public().to_text();
    assert!(!public.contains("k4.secret."), "public means public");
    let public = KeyFile::parse(&public).expect("public keys are a key file");
    assert_eq!(public.ring().ids(), file.ring().ids());
}
