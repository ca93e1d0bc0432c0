//! `barewire fingerprint`: what a secret's fingerprint is, to search the records for it.

use super::{Failure, options};
use crate::ops::console;
use crate::secret::{FingerprintClass, Secret};
use clap::Args;
use std::io::Read as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Print the fingerprint of a secret, to search the records for it.
///
/// The secret is read from the terminal without echo, or from standard input, where one line end after it is not
/// part of it.
#[derive(Args)]
pub(super) struct FingerprintOf {
    /// The key the records were made with.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The secret is a bearer token, not a password.
    #[arg(long)]
    bearer: bool,
}

/// The longest secret taken; a SASL line holds no longer one.
const SECRET_OCTETS: usize = 16 * 1024;

impl FingerprintOf {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let key = options::read_key(&self.key)?;
        let secret = read_secret()?;
        let class = if self.bearer { FingerprintClass::Bearer } else { FingerprintClass::Password };
        console::data(&format!("{}\n", key.fingerprint(class, &secret))).map(|()| 0)
    }
}

fn read_secret() -> Result<Secret, Failure> {
    let mut buffer = Zeroizing::new(vec![0; SECRET_OCTETS + 2]);
    let mut len = 0;
    let echo = console::Echo::off();
    let mut input = std::io::stdin().lock();
    loop {
        let more =
            input.read(&mut buffer[len..]).map_err(|error| Failure::input(format!("reading the secret: {error}")))?;
        len += more;
        // A terminal hands over a line at a time.
        if more == 0 || len == buffer.len() || echo.is_terminal() {
            break;
        }
    }
    drop(echo);
    let secret = buffer[..len].strip_suffix(b"\n").unwrap_or(&buffer[..len]);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.is_empty() || secret.len() > SECRET_OCTETS {
        return Err(Failure::usage("the secret on standard input must have 1 to 16384 octets"));
    }
    Ok(Secret::new(secret))
}
