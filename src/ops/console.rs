//! Words for people on standard error, data on standard output. A closed pipe is no error.
//!
//! What is told while the program runs has a level, one of syslog's (RFC 5424 §6.2.1). A terminal sees the level's name;
//! the journal of a service manager takes it from the number before the line (sd-daemon(3)).

use crate::run::Failure;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// How much a line matters, as syslog numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something failed.
    Error = 3,
    /// The sensor may not see, tell or be confined as it should.
    Warning = 4,
    /// A trouble is over.
    Notice = 5,
    /// What is at work, and how much of it.
    Info = 6,
    /// For whoever looks for a cause.
    Debug = 7,
}

/// The least that is told, as a [`Level`].
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Whether standard error is the journal's: the environment names the file that it was made to be.
static IS_JOURNAL: LazyLock<bool> = LazyLock::new(|| {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let found = std::fs::metadata("/proc/self/fd/2").ok();
    found.is_some_and(|found| named == format!("{}:{}", found.dev(), found.ino()))
});

/// From now on lines down to this level are told.
pub fn set_level(level: Level) {
    // Looked at before the sandbox closes the way to it.
    LazyLock::force(&IS_JOURNAL);
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether lines of this level are told.
#[must_use]
pub fn tells(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// One line of the log, if its level is told.
pub fn log(level: Level, text: &str) {
    if tells(level) {
        block(&log_line(level, text, *IS_JOURNAL));
    }
}

fn log_line(level: Level, text: &str, is_journal: bool) -> String {
    // A line is one line, whatever a file's name holds.
    let text = text.replace(['\r', '\n'], " ");
    if is_journal {
        return format!("<{}>{text}\n", level as u8);
    }
    let name = match level {
        Level::Error => "error: ",
        Level::Warning => "warning: ",
        Level::Notice | Level::Info => "",
        Level::Debug => "debug: ",
    };
    format!("barewire: {name}{text}\n")
}

/// What failed.
pub fn error(text: &str) {
    log(Level::Error, text);
}

/// What may keep the sensor from seeing, from telling or from being confined.
pub fn warning(text: &str) {
    log(Level::Warning, text);
}

/// A trouble that is over.
pub fn notice(text: &str) {
    log(Level::Notice, text);
}

/// What is at work.
pub fn info(text: &str) {
    log(Level::Info, text);
}

/// What helps to find a cause.
pub fn debug(text: &str) {
    log(Level::Debug, text);
}

/// Several lines for people.
pub fn block(text: &str) {
    let footer = FOOTER.lock().unwrap_or_else(PoisonError::into_inner);
    // A name of the wire must be no command to the runner of a build, which looks for them anywhere in a line.
    let text = text.replace("##[", "#\\u{23}[");
    // When nobody can hear it there is nobody to tell.
    let _ = io::stderr().lock().write_all(footer.around(&text).as_bytes());
}

/// Lines that stay below all others on a terminal.
static FOOTER: Mutex<Footer> = Mutex::new(Footer(Vec::new()));

struct Footer(Vec<String>);

impl Footer {
    /// Takes the lines away, writes the text, and draws them again (ECMA-48: CUU, ED).
    fn around(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}{}", self.erased(), self.drawn())
    }

    fn erased(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("\x1b[{}A\x1b[J", self.0.len()) }
    }

    fn drawn(&self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Draws lines that stay below all that is told from now on; none takes them away. For terminals only.
pub fn set_footer(lines: Vec<String>) {
    let mut footer = FOOTER.lock().unwrap_or_else(PoisonError::into_inner);
    let new = Footer(lines);
    let text = footer.erased() + &new.drawn();
    let _ = io::stderr().lock().write_all(text.as_bytes());
    *footer = new;
}

/// Columns that can be written on a terminal; the last stays free, for some wrap when it is written.
#[must_use]
pub fn columns() -> usize {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(79, |(width, _)| usize::from(width.0).saturating_sub(1))
}

/// Whether standard output is a terminal.
#[must_use]
pub fn output_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether colours are wanted: 0 where a terminal is and the NO_COLOR convention has nothing against it, 1 never, 2 always.
static COLOUR: AtomicU8 = AtomicU8::new(0);

/// From now on colours are used always, or never.
pub fn set_coloured(always: bool) {
    COLOUR.store(1 + u8::from(always), Ordering::Relaxed);
}

/// Whether people who read standard error want colours.
#[must_use]
pub fn is_coloured() -> bool {
    match COLOUR.load(Ordering::Relaxed) {
        0 => is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        wanted => wanted == 2,
    }
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
            block("\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_above_the_lines_that_stay() {
        assert_eq!(Footer(Vec::new()).around("a\n"), "a\n");
        let footer = Footer(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(footer.around("a\n"), "\x1b[2A\x1b[Ja\none\ntwo\n");
    }

    #[test]
    fn a_terminal_sees_the_name_of_a_level_and_the_journal_its_number() {
        assert_eq!(log_line(Level::Warning, "eth1 is down", false), "barewire: warning: eth1 is down\n");
        assert_eq!(log_line(Level::Info, "listening", false), "barewire: listening\n");
        assert_eq!(log_line(Level::Warning, "eth1 is down", true), "<4>eth1 is down\n");
        assert_eq!(log_line(Level::Error, "a\r\n<0>b", true), "<3>a  <0>b\n", "no second line");
    }
}
