//! Words for people on standard error, data on standard output. A closed pipe is no error.

use crate::run::Failure;
use std::io::{self, IsTerminal as _, Write as _};

/// One line that says what failed.
pub fn error(message: &str) {
    line(&format!("barewire: {message}"));
}

/// One line for people.
pub fn line(text: &str) {
    block(&format!("{text}\n"));
}

/// Several lines for people.
pub fn block(text: &str) {
    // When nobody can hear it there is nobody to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether standard error is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether people who read standard error want colours (the NO_COLOR convention).
#[must_use]
pub fn is_coloured() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text that was asked for.
///
/// # Errors
///
/// Standard output could not be written.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::output(format!("writing standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The terminal's echo, off until dropped.
pub struct Echo {
    before: Option<libc::termios>,
}

impl Echo {
    /// Turns the echo of standard input off, where that is a terminal, and asks for the secret.
    #[must_use]
    pub fn off() -> Self {
        if !io::stdin().is_terminal() {
            return Self { before: None };
        }
        // SAFETY: termios is plain data; all zeroes is one of its values.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is standard input, `settings` outlives the call.
        if unsafe { libc::tcgetattr(libc::STDIN_FILENO, &raw mut settings) } != 0 {
            return Self { before: None };
        }
        let before = settings;
        settings.c_lflag &= !libc::ECHO;
        // SAFETY: as above; a failure leaves the echo on, which the user sees.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const settings) };
        block("Secret: ");
        Self { before: Some(before) }
    }

    /// Whether standard input is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.before.is_some()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: restores what tcgetattr gave.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
            line("");
        }
    }
}
