//! What is shown to receivers: from files that only their owner can read, never told, wiped when done with.

use crate::sink::private;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use ureq::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// Octets of a password or token at most; tokens of identity providers have a few thousand.
const LARGEST: usize = 16 << 10;

/// How a sensor shows who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Not at all, or by its certificate.
    #[default]
    None,
    /// RFC 7617: a user's name, and the file with the password.
    Basic(String, PathBuf),
    /// A token in a file, behind a word such as `Bearer`.
    Token(&'static str, PathBuf),
}

impl Login {
    /// The value of `Authorization`.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, String> {
        match self {
            Self::None => Ok(None),
            Self::Basic(user, file) => {
                if user.contains(':') {
                    return Err(format!("user {user}: no colon may stand in it"));
                }
                let password = private::secret(file, "password", LARGEST)?;
                let pair = Zeroizing::new([user.as_bytes(), b":", &password].concat());
                let mut value = Zeroizing::new(vec![0; 6 + pair.len().div_ceil(3) * 4]);
                value[..6].copy_from_slice(b"Basic ");
                let _ = STANDARD.encode_slice(&pair, &mut value[6..]);
                sealed(value).map(Some)
            }
            Self::Token(word, file) => {
                let token = private::secret(file, "token", LARGEST)?;
                sealed(Zeroizing::new([word.as_bytes(), b" ", &token].concat())).map(Some)
            }
        }
    }
}

/// A header's value that is wiped when the last who has it drops it, and that nobody shows.
fn sealed(value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, String> {
    struct Wiped(Zeroizing<Vec<u8>>);
    impl AsRef<[u8]> for Wiped {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(Wiped(value)));
    let mut value = value.map_err(|_| "a token of one line of printable ASCII must stand in its file".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Adds the headers of a file: `NAME: VALUE` a line.
pub(super) fn headers(file: &Path, into: &mut HeaderMap) -> Result<(), String> {
    /// What says where a request ends, or whose it is.
    const OWN: [HeaderName; 7] =
        [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING];
    let content = private::read(file, "headers", 64 << 10)?;
    for (at, line) in content.split(|octet| *octet == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        // What stands in the line is not told.
        let fail = |what: &str| format!("{}: line {}: {what}", file.display(), at + 1);
        let colon = line.iter().position(|octet| *octet == b':').ok_or_else(|| fail("not NAME: VALUE"))?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| fail("not NAME: VALUE"))?;
        if OWN.contains(&name) {
            return Err(fail(&format!("{name} is not for a file to say")));
        }
        let value = sealed(Zeroizing::new(line[colon + 1..].trim_ascii().to_vec()));
        into.insert(name, value.map_err(|_| fail("its value is not printable ASCII"))?);
    }
    Ok(())
}
