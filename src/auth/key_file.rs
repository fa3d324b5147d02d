//! The file of keys: TOML, one `[[key]]` per key, in the PASERK notation.
//!
//! ```toml
//! [[key]]
//! id = "k4.pid.…"          # follows from the public part; tokens name the key by it
//! public = "k4.public.…"
//! secret = "k4.secret.…"   # only where tokens are issued; a server needs none
//! signing = true           # at most one key: the one that new tokens are signed with
//! created = "2025-01-31T12:00:00Z"   # for people
//! ```
//!
//! Replacing a key: `fulmar key generate --standby` adds one that doesn't sign yet; its public part
//! goes to all servers (`fulmar key public`, SIGHUP); then it becomes the signing one; the old one
//! is removed when the last token that it signed has expired.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pasetors::keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::version4::{PublicToken, V4};
use serde::{Deserialize, Serialize};

use super::{Identity, KeyRing, claims};

/// Longest key file, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 10;

/// Most keys in a file. Two or three are usual, while one is being replaced.
pub const KEYS_MAX: usize = 64;

/// The keys of a file, private parts included. Those are erased from memory on drop.
#[derive(Debug, Default)]
pub struct KeyFile {
    // Ids are distinct, and at most one key signs, which then has its private part.
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: String,
    public: AsymmetricPublicKey<V4>,
    secret: Option<AsymmetricSecretKey<V4>>,
    signing: bool,
    created: Option<String>,
}

/// What people may know about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo<'a> {
    /// The PASERK id.
    pub id: &'a str,
    /// Whether new tokens are signed with it.
    pub signing: bool,
    /// Whether the private part is there.
    pub has_secret: bool,
    /// When it was made, if that was written down.
    pub created: Option<&'a str>,
}

/// See [`KeyFile::lock`].
#[derive(Debug)]
pub struct KeyFileLock {
    // Closing it ends the lock.
    _directory: File,
}

/// Why a key file can't be used, or a token not signed.
#[derive(Debug)]
pub enum KeyFileError {
    /// The file can't be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no file.
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The text isn't a key file. It never quotes the text, which may hold private keys.
    Content(String),
    /// The file is one, and what was asked of it can't be done.
    Refused(String),
    /// No key is marked for signing.
    NoSigningKey,
    /// The system gave no randomness, or a time is beyond the year 9999.
    Signing(&'static str),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFileError::Io { path, source } => {
                write!(f, "can't use the key file {}: {source}", path.display())
            }
            KeyFileError::Missing { path } => {
                let path = path.display();
                write!(
                    f,
                    "there is no key file {path}; `fulmar key generate --keys {path}` makes one"
                )
            }
            KeyFileError::Content(reason) => write!(f, "not a key file: {reason}"),
            KeyFileError::Refused(reason) => f.write_str(reason),
            KeyFileError::NoSigningKey => f.write_str(
                "no key of the file has `signing = true`; `fulmar key generate` adds one",
            ),
            KeyFileError::Signing(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KeyFileError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The file as serde sees it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "key")]
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    public: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    signing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

impl KeyFile {
    /// Reads a key file. With it comes a warning if others than the owner may read private keys
    /// in it.
    ///
    /// # Errors
    /// [`KeyFileError::Missing`]; [`KeyFileError::Io`], also for a file longer than
    /// [`FILE_BYTES_MAX`]; else as [`KeyFile::parse`].
    pub fn load(path: &Path) -> Result<(KeyFile, Option<String>), KeyFileError> {
        let (text, mode) = read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
            _ => KeyFileError::Io { path: path.to_owned(), source },
        })?;
        let file = KeyFile::parse(&text)?;
        let warning = file.exposure(path, mode);
        Ok((file, warning))
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`KeyFileError::Content`]: not TOML of this form, no key or too many, a key that isn't
    /// PASERK v4, an id or private part that doesn't belong to the public one, the same key twice,
    /// or several marked for signing.
    pub fn parse(text: &str) -> Result<KeyFile, KeyFileError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| 1 + text[..span.start].matches('\n').count());
            // The display of the error quotes the line, and a message about a type quotes the
            // value, either of which may be a private key.
            let reason = match error.message() {
                message if message.contains("k4.") => "a key where none belongs",
                message => message,
            };
            KeyFileError::Content(format!("line {line}: {reason}"))
        })?;
        if document.keys.is_empty() || document.keys.len() > KEYS_MAX {
            return content(format!("{} keys; allowed: 1 to {KEYS_MAX}", document.keys.len()));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(document.keys.len());
        for (index, entry) in document.keys.into_iter().enumerate() {
            let key = Key::parse(entry)
                .map_err(|reason| KeyFileError::Content(format!("key {}: {reason}", index + 1)))?;
            if keys.iter().any(|other| other.id == key.id) {
                return content(format!("key {}: {} is there twice", index + 1, key.id));
            }
            keys.push(key);
        }
        if keys.iter().filter(|key| key.signing).count() > 1 {
            return content("several keys have `signing = true`; allowed: one".to_owned());
        }
        Ok(KeyFile { keys })
    }

    /// Adds a new key made at `now_unix_s` and returns its id. It becomes the signing key unless
    /// it is to stand by until all servers know it.
    ///
    /// # Errors
    /// The file has [`KEYS_MAX`] keys, or only public ones, or the system gave no randomness.
    pub fn generate(&mut self, standby: bool, now_unix_s: u64) -> Result<&str, KeyFileError> {
        if !self.keys.is_empty() && self.keys.iter().all(|key| key.secret.is_none()) {
            let reason = "the key file holds public keys only, as a server's does, and a private key \
                          doesn't belong there: generate it in the file that tokens are signed with, \
                          and put the output of `fulmar key public` here";
            return Err(KeyFileError::Refused(reason.to_owned()));
        }
        if self.keys.len() >= KEYS_MAX {
            let reason = format!("the key file has {KEYS_MAX} keys, the most that are allowed");
            return Err(KeyFileError::Refused(reason));
        }
        let pair = AsymmetricKeyPair::<V4>::generate()
            .map_err(|_| KeyFileError::Signing("the system gave no randomness for a key"))?;
        if !standby {
            self.keys.iter_mut().for_each(|key| key.signing = false);
        }
        self.keys.push(Key {
            id: paserk(&Id::from(&pair.public)),
            public: pair.public,
            secret: Some(pair.secret),
            signing: !standby,
            created: claims::rfc3339(now_unix_s),
        });
        Ok(&self.keys.last().expect("a key was just added").id)
    }

    /// Makes the key with this id the one that new tokens are signed with.
    ///
    /// # Errors
    /// There is no such key, or its private part isn't here.
    pub fn sign_with(&mut self, id: &str) -> Result<(), KeyFileError> {
        let refused = |reason: String| Err(KeyFileError::Refused(reason));
        match self.keys.iter().find(|key| key.id == id) {
            None => return refused(format!("the key file has no key {id:?}")),
            Some(key) if key.secret.is_none() => {
                return refused(format!("the key file lacks the private part of {id}"));
            }
            Some(_) => {}
        }
        self.keys.iter_mut().for_each(|key| key.signing = key.id == id);
        Ok(())
    }

    /// The same keys without their private parts, as servers need them.
    #[must_use]
    pub fn public(&self) -> KeyFile {
        let public = |key: &Key| Key {
            id: key.id.clone(),
            public: key.public.clone(),
            secret: None,
            signing: false,
            created: key.created.clone(),
        };
        KeyFile { keys: self.keys.iter().map(public).collect() }
    }

    /// The public keys, to verify with.
    pub fn ring(&self) -> KeyRing {
        KeyRing::new(self.keys.iter().map(|key| (key.id.clone(), key.public.clone())))
    }

    /// What there is, in the order of the file.
    pub fn list(&self) -> impl Iterator<Item = KeyInfo<'_>> {
        self.keys.iter().map(|key| KeyInfo {
            id: &key.id,
            signing: key.signing,
            has_secret: key.secret.is_some(),
            created: key.created.as_deref(),
        })
    }

    /// A token for `identity`, issued at `now_unix_s`.
    ///
    /// # Errors
    /// No key signs, or a time is beyond the year 9999.
    pub fn sign(&self, identity: &Identity, now_unix_s: u64) -> Result<String, KeyFileError> {
        let key = self.keys.iter().find(|key| key.signing).ok_or(KeyFileError::NoSigningKey)?;
        let secret = key.secret.as_ref().ok_or(KeyFileError::NoSigningKey)?;
        let payload = claims::write(identity, now_unix_s)
            .ok_or(KeyFileError::Signing("the token would end after the year 9999"))?;
        let footer = serde_json::json!({ "kid": key.id }).to_string();
        PublicToken::sign(secret, &payload, Some(footer.as_bytes()), None)
            .map_err(|_| KeyFileError::Signing("the key can't sign"))
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let keys = self.keys.iter().map(Key::entry).collect();
        let toml = toml::to_string(&Document { keys }).expect("strings and bools are always TOML");
        let warning = if self.keys.iter().any(|key| key.secret.is_some()) {
            "# Keys for Fulmar's login tokens. Whoever has a `secret` can log in as anyone.\n\n"
        } else {
            "# Public keys for Fulmar's login tokens: they verify, and can't sign.\n\n"
        };
        format!("{warning}{toml}")
    }

    /// Lets nobody else change key files beside this one until the lock is dropped: who loads, changes and
    /// saves one takes it first, or loses what another does in between. It lies on the directory, because
    /// saving puts another file in the place of the one there.
    ///
    /// # Errors
    /// The directory can't be opened or locked.
    pub fn lock(path: &Path) -> Result<KeyFileLock, KeyFileError> {
        let lock = || {
            let directory = File::open(directory_of(&target(path)?))?;
            directory.lock()?;
            Ok(KeyFileLock { _directory: directory })
        };
        lock().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
    }

    /// Writes the file with mode 0600, whole or not at all: a reader sees the old or the new one,
    /// and so does whoever looks after a power cut. A symbolic link stays one, to the new file.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let write = || {
            let target = target(path)?;
            let directory = directory_of(&target);
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(self.to_text().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&target)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
    }

    /// A warning if a file of these permission bits shows private keys to others than its owner.
    pub fn exposure(&self, path: &Path, mode: u32) -> Option<String> {
        let secrets = self.keys.iter().any(|key| key.secret.is_some());
        (secrets && mode & 0o077 != 0).then(|| {
            let path = path.display();
            format!(
                "the key file {path} holds private keys and has mode {:04o}, so that others may \
                 read them: chmod 0600 {path}; a server needs only `fulmar key public --keys {path}`",
                mode & 0o7777
            )
        })
    }
}

impl Key {
    /// Checks that the parts belong together.
    fn parse(entry: Entry) -> Result<Key, String> {
        let public = AsymmetricPublicKey::<V4>::try_from(entry.public.as_str())
            .map_err(|_| "`public` isn't a PASERK k4.public")?;
        let id = paserk(&Id::from(&public));
        if id != entry.id {
            return Err(format!("`id` doesn't belong to `public`, whose id is {id}"));
        }
        let secret = entry.secret.as_deref().map(parse_secret).transpose()?;
        if let Some(secret) = &secret {
            let derived = AsymmetricPublicKey::<V4>::try_from(secret).map_err(|_| SECRET_FORM)?;
            if derived.as_bytes() != public.as_bytes() {
                return Err("`secret` doesn't belong to `public`".to_owned());
            }
        }
        if entry.signing && secret.is_none() {
            return Err("it has `signing = true` and no `secret`".to_owned());
        }
        Ok(Key { id, public, secret, signing: entry.signing, created: entry.created })
    }

    fn entry(&self) -> Entry {
        Entry {
            id: self.id.clone(),
            public: paserk(&self.public),
            secret: self.secret.as_ref().map(paserk),
            signing: self.signing,
            created: self.created.clone(),
        }
    }
}

const SECRET_FORM: &str = "`secret` isn't a PASERK k4.secret";

fn parse_secret(text: &str) -> Result<AsymmetricSecretKey<V4>, String> {
    // The library panics on a seed of zeros; its 32 bytes begin with these 42 characters.
    const ZERO_SEED: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if text.strip_prefix("k4.secret.").is_some_and(|key| key.starts_with(ZERO_SEED)) {
        return Err("`secret` is all zeros".to_owned());
    }
    AsymmetricSecretKey::<V4>::try_from(text).map_err(|_| SECRET_FORM.to_owned())
}

fn paserk(value: &impl FormatAsPaserk) -> String {
    let mut text = String::new();
    value.fmt(&mut text).expect("writing to a string can't fail");
    text
}

fn content<T>(reason: String) -> Result<T, KeyFileError> {
    Err(KeyFileError::Content(reason))
}

/// Where the file is or would be: where the links lead, if `path` is one.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        // A link to a file that isn't there yet, or no link.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(fs::read_link(path)
            .map_or_else(|_| path.to_owned(), |link| directory_of(path).join(link))),
        outcome => outcome,
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The text of a file of bounded length, and its permission bits.
fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("longer than the {FILE_BYTES_MAX} bytes that are allowed");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok((text, mode))
}
