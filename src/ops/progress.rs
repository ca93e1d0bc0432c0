//! A progress bar of one line for people who wait. It never stops the work: an output that fails ends the bar. The
//! time comes in as an argument; whether there is a terminal to draw on is the caller's to know.

use super::words::{clock, counted, grouped, octets};
use std::io::Write;
use std::time::Duration;

/// Work that is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// Ten times a second looks smooth and costs nothing.
const INTERVAL: Duration = Duration::from_millis(100);
/// The last column stays free: some terminals wrap when it is written.
const COLUMNS: usize = 79;
/// Characters within the brackets of the bar.
const BAR: usize = 20;

/// A line that is drawn over and over, and cleared in the end.
pub struct Progress<W: Write> {
    out: W,
    is_enabled: bool,
    drawn: Option<Duration>,
    width: usize,
}

impl<W: Write> Progress<W> {
    /// A bar on `out`; one that is not enabled draws nothing.
    #[must_use]
    pub fn new(out: W, enabled: bool) -> Self {
        Self { out, is_enabled: enabled, drawn: None, width: 0 }
    }

    /// `done` of `total` octets (`None`: nobody knows) and `packets` were read in `elapsed`. Draws when it is time to.
    pub fn tick(&mut self, done: u64, total: Option<u64>, packets: u64, elapsed: Duration) {
        let is_due = self.drawn.is_none_or(|drawn| elapsed.saturating_sub(drawn) >= INTERVAL);
        if self.is_enabled && elapsed > PATIENCE && is_due {
            self.drawn = Some(elapsed);
            self.draw(&line(done, total, packets, elapsed));
        }
    }

    /// Clears the line.
    pub fn finish(&mut self) {
        if self.width > 0 {
            self.draw("");
            self.put("\r");
        }
    }

    /// Spaces instead of an escape sequence wipe what was longer before: they work on every terminal.
    fn draw(&mut self, line: &str) {
        let line = &line[..line.len().min(COLUMNS)];
        let width = self.width;
        self.put(&format!("\r{line:<width$}"));
        self.width = line.len();
    }

    fn put(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.is_enabled &= written.is_ok();
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        self.finish();
    }
}

fn line(done: u64, total: Option<u64>, packets: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = grouped((packets as f64 / seconds) as u64);
    match total.filter(|&total| total > 0) {
        Some(total) => {
            let done = done.min(total);
            let share = done as f64 / total as f64;
            let bar = "=".repeat((share * BAR as f64) as usize);
            let percent = (share * 100.0) as u64;
            let left = if done > 0 { clock((seconds / share - seconds).ceil() as u64) } else { "?".to_owned() };
            let amount = format!("{} of {}", octets(done), octets(total));
            format!("[{bar:<BAR$}] {percent:>3}%  {amount}  {rate} packets/s  ETA {left}")
        }
        None => {
            let packets = counted(packets, "packet");
            format!("{}  {}  {packets}  {rate} packets/s", clock(elapsed.as_secs()), octets(done))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(ticks: &[(u64, Option<u64>, u64, u64)]) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, true);
        for &(done, total, packets, millis) in ticks {
            progress.tick(done, total, packets, Duration::from_millis(millis));
        }
        drop(progress);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn short_work_and_no_terminal_show_nothing() {
        assert_eq!(drawn(&[(1, Some(2), 1, 500), (2, Some(2), 2, 1000)]), "");
        let mut out = Vec::new();
        Progress::new(&mut out, false).tick(1, Some(2), 1, Duration::from_secs(9));
        assert!(out.is_empty());
    }

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let text = drawn(&[(1_230_000_000, Some(2_930_000_000), 3_000_000, 5000)]);
        let line = "[========            ]  41%  1.23 GB of 2.93 GB  600,000 packets/s  ETA 0:07";
        assert_eq!(text, format!("\r{line}\r{}\r", " ".repeat(line.len())));
    }

    #[test]
    fn without_a_total_there_is_no_promise() {
        let text = drawn(&[(1_230_000_000, None, 3_000_000, 65_000)]);
        assert!(text.starts_with("\r1:05  1.23 GB  3,000,000 packets  46,153 packets/s\r"), "{text:?}");
    }

    #[test]
    fn ten_lines_a_second_at_most() {
        let ticks: Vec<_> = (1001..2001).map(|millis| (millis, Some(2001), millis, millis)).collect();
        assert_eq!(drawn(&ticks).matches('[').count(), 10);
    }

    #[test]
    fn the_widest_line_fits_and_a_shorter_one_wipes_it() {
        let text = drawn(&[(u64::MAX, Some(u64::MAX), u64::MAX, 1001), (0, Some(1), 0, 360_000_000)]);
        assert!(text.split('\r').all(|line| line.len() <= COLUMNS), "{text:?}");
        assert!(text.contains("100%") && text.contains("ETA ?"));
    }

    #[test]
    fn an_output_that_fails_ends_the_bar() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut progress = Progress::new(Full, true);
        progress.tick(1, Some(2), 1, Duration::from_secs(2));
        assert!(!progress.is_enabled);
    }
}
