//! `barewire baseline`: the file of findings that somebody accepts for a while.

use super::Failure;
use crate::finding::{Acceptance, Uid};
use crate::ops::{console, counted, folder_of};
use crate::output::Written;
use crate::output::baseline::{self, Accepted, AcceptedFindings};
use crate::run;
use crate::wire::Timestamp;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Accept findings for a while, with a reason, and keep that up to date.
///
/// Accepted findings stay in the records, with the reason, and do not count for --fail-on. They are known by event.id,
/// which is the same in every run, so the file can be kept in version control. It holds no account and no secret.
#[derive(Args)]
pub(super) struct BaselineOf {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Accept the findings of a replay or watch; what the file has accepted before stays as it is.
    Write(Write),
    /// Name what has expired (then the status is 1), and with records what is not found any more.
    Check(Check),
    /// Take out what has expired, and with records what is not found any more.
    Prune(Check),
}

/// The usual place, in the folder where the captures are judged.
const FILE: &str = ".barewire-baseline.json";
/// Days that something is accepted for, unless told otherwise.
const DAYS: u64 = 90;
const DAY_NS: u64 = 24 * 3600 * 1_000_000_000;
/// Findings that are named one by one.
const NAMED: usize = 20;
/// More is no line of ours.
const LINE_OCTETS: u64 = 1 << 20;
/// A file that people review; more is another file.
const FILE_OCTETS: u64 = 64 << 20;

#[derive(Args)]
struct Write {
    /// Records in the form ecs, as 'barewire replay' writes them; - for standard input.
    #[arg(required = true, value_name = "RECORDS")]
    records: Vec<PathBuf>,

    /// The baseline.
    #[arg(short = 'f', long, value_name = "FILE", default_value = FILE)]
    file: PathBuf,

    /// Why these findings may stand.
    #[arg(long, value_name = "TEXT", value_parser = parse_text)]
    reason: String,

    /// Who answers for that.
    #[arg(long, value_name = "NAME", value_parser = parse_text)]
    owner: String,

    /// First day on which they count again, in UTC, or never. By default in 90 days.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_expiry)]
    expires: Option<Expiry>,

    /// Only findings of this name, such as starttls-not-offered.
    #[arg(long, value_name = "FINDING")]
    only: Vec<String>,

    /// Reason, owner and expiry also for what was accepted before.
    #[arg(long)]
    renew: bool,
}

#[derive(Args)]
struct Check {
    /// Records in the form ecs, as 'barewire replay' writes them; - for standard input.
    #[arg(value_name = "RECORDS")]
    records: Vec<PathBuf>,

    /// The baseline.
    #[arg(short = 'f', long, value_name = "FILE", default_value = FILE)]
    file: PathBuf,
}

#[derive(Clone, Copy, Debug)]
struct Expiry(Option<Timestamp>);

fn parse_expiry(text: &str) -> Result<Expiry, String> {
    baseline::expiry(text).map(Expiry)
}

fn parse_text(text: &str) -> Result<String, String> {
    baseline::said(text)?;
    if text.trim().is_empty() { Err("it says nothing".to_owned()) } else { Ok(text.to_owned()) }
}

impl BaselineOf {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self.step {
            Step::Write(write) => write.run(),
            Step::Check(check) => check.check(),
            Step::Prune(check) => check.prune(),
        }
    }
}

impl Write {
    fn run(self) -> Result<u8, Failure> {
        let mut all = if self.file.exists() { read(&self.file)? } else { AcceptedFindings::new() };
        if let Some(unknown) = self.only.iter().find(|name| crate::finding::FindingId::parse(name).is_none()) {
            return Err(Failure::usage(format!("no finding is called {unknown}; 'barewire explain' lists all")));
        }
        let expires = self.expires.map_or_else(in_three_months, |expiry| expiry.0);
        if expires.is_some_and(|expires| expires <= run::now()) {
            return Err(Failure::usage("--expires: that day has begun; nothing would be accepted"));
        }
        let acceptance = Acceptance { reason: self.reason.clone(), owner: self.owner.clone(), expires, severity: None };
        let (mut new, mut renewed, mut lines) = (0, 0, Vec::new());
        for (uid, accepted) in found(&self.records, &acceptance)? {
            if !self.only.is_empty() && !self.only.contains(&accepted.rule) {
                continue;
            }
            match all.get_mut(&uid) {
                None => {
                    new += 1;
                    if new <= NAMED {
                        lines.push(format!("accepted: {}", line(&accepted)));
                    }
                    all.insert(uid, accepted);
                }
                Some(known) if self.renew => {
                    renewed += 1;
                    *known = accepted;
                }
                Some(_) => {}
            }
        }
        write(&self.file, &all)?;
        lines.iter().for_each(|line| console::info(line));
        if new > NAMED {
            console::info(&format!("accepted: {} more", new - NAMED));
        }
        let until =
            acceptance.expires.map_or_else(|| "for ever".to_owned(), |at| format!("until {}", baseline::day_of(at)));
        let renewed = if renewed > 0 { format!(", {renewed} renewed") } else { String::new() };
        let total = all.len();
        console::info(&format!("{}: {new} accepted {until}{renewed}, {total} in all", self.file.display()));
        Ok(0)
    }
}

impl Check {
    fn check(&self) -> Result<u8, Failure> {
        let (all, now) = (read(&self.file)?, run::now());
        let found = self.found()?;
        let mut text = String::new();
        let mut has_expired = false;
        for (uid, accepted) in &all {
            if let Some(why) = stale(uid, accepted, found.as_ref(), now) {
                has_expired |= !accepted.acceptance.holds(now);
                text += &format!("{uid}  {why}: {}\n", line(accepted));
            }
        }
        console::data(&text)?;
        let good = all.len() - text.lines().count();
        let text = format!("{} accepted and in force", counted(good as u64, "finding"));
        console::info(&format!("{}: {text}", self.file.display()));
        Ok(u8::from(has_expired))
    }

    fn prune(&self) -> Result<u8, Failure> {
        let (mut all, now) = (read(&self.file)?, run::now());
        let (found, mut gone) = (self.found()?, 0);
        all.retain(|uid, accepted| {
            let why = stale(uid, accepted, found.as_ref(), now);
            gone += usize::from(why.is_some());
            if let Some(why) = why.as_ref().filter(|_| gone <= NAMED) {
                console::info(&format!("taken out, {why}: {}", line(accepted)));
            }
            why.is_none()
        });
        if gone > 0 {
            write(&self.file, &all)?;
        }
        if gone > NAMED {
            console::info(&format!("taken out: {} more", gone - NAMED));
        }
        console::info(&format!("{}: {gone} taken out, {} left", self.file.display(), all.len()));
        Ok(0)
    }

    /// What the records find; `None` without records.
    fn found(&self) -> Result<Option<AcceptedFindings>, Failure> {
        let nothing = Acceptance { reason: String::new(), owner: String::new(), expires: None, severity: None };
        let found = (!self.records.is_empty()).then(|| found(&self.records, &nothing)).transpose()?;
        if found.as_ref().is_some_and(AcceptedFindings::is_empty) {
            // Logins and sessions alone say nothing of findings, and all would be taken out.
            let what = "the records hold no finding; if there is none any more, remove the file";
            return Err(Failure::input(format!("{}: {what}", self.file.display())));
        }
        Ok(found)
    }
}

/// Why an entry is of no use any more.
fn stale(uid: &Uid, accepted: &Accepted, found: Option<&AcceptedFindings>, now: Timestamp) -> Option<String> {
    match accepted.acceptance.expires {
        Some(expires) if expires <= now => Some(format!("expired on {}", baseline::day_of(expires))),
        _ => found.is_some_and(|found| !found.contains_key(uid)).then(|| "not found any more".to_owned()),
    }
}

fn line(accepted: &Accepted) -> String {
    let Accepted { rule, about, acceptance, .. } = accepted;
    let place = if about.is_empty() { String::new() } else { format!(" on {about}") };
    if acceptance.reason.is_empty() {
        return format!("{rule}{place}");
    }
    format!("{rule}{place} ({}; {})", acceptance.reason, acceptance.owner)
}

fn in_three_months() -> Option<Timestamp> {
    let today = run::now().0 / DAY_NS * DAY_NS;
    Some(Timestamp(today + DAYS * DAY_NS))
}

/// The findings of all records.
fn found(records: &[PathBuf], acceptance: &Acceptance) -> Result<AcceptedFindings, Failure> {
    let mut all = BTreeMap::new();
    for path in records {
        let failed = |error: io::Error| Failure::input(format!("reading {}: {error}", path.display()));
        let input: Box<dyn io::Read> =
            if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            if (&mut input).take(LINE_OCTETS).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let record = Written::parse(&line).ok_or_else(|| {
                let what = "no record; give what 'barewire replay' wrote, in the form ecs";
                Failure::input(format!("{}: line {number} is {what}", path.display()))
            })?;
            all.extend(Accepted::of(&record, acceptance.clone()));
        }
    }
    Ok(all)
}

/// Reads a baseline.
pub(super) fn read(path: &Path) -> Result<AcceptedFindings, Failure> {
    let failed = |what: String| Failure::usage(format!("baseline {}: {what}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(format!("{error}; 'barewire baseline write' makes one")))?;
    let read = file.take(FILE_OCTETS).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if read as u64 == FILE_OCTETS {
        return Err(failed(format!("more than {} MiB", FILE_OCTETS >> 20)));
    }
    baseline::read(&text).map_err(failed)
}

/// Writes a baseline in the place of the one that is there: whole or not at all, and as readable as that was.
fn write(path: &Path, all: &AcceptedFindings) -> Result<(), Failure> {
    let text = baseline::write(all);
    if text.len() as u64 >= FILE_OCTETS {
        let many = counted(all.len() as u64, "finding");
        return Err(Failure::usage(format!(
            "{}: {many} would take more than {} MiB, which nobody reviews; accept some with --only",
            path.display(),
            FILE_OCTETS >> 20
        )));
    }
    let failed = |error: io::Error| Failure::output(format!("writing {}: {error}", path.display()));
    // A link goes on leading to the file that it led to.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = place.file_name().ok_or_else(|| Failure::usage(format!("{} is no file", path.display())))?;
    let part = folder_of(&place).join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    // Never one that is there already: it may be somebody's link to another file.
    let file = File::options().write(true).create_new(true).open(&part);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if let Ok(before) = std::fs::metadata(&place) {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&part, &place)
    });
    written.map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = std::fs::remove_file(&part);
        }
        failed(error)
    })
}
