//! The recent records that pages are made from. Bounded: those that are oldest by their times make room, whichever way
//! files were named, and how many did is known.

use super::query::{About, Filter};
use super::words::Words;
use crate::finding::FindingId;
use crate::output::{Fact, FactKind, NoFact};
use crate::page::text::{NAME_CHARS, SENTENCE_CHARS, shown};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;

/// Distinct findings that are kept.
pub const FINDINGS: usize = 100_000;
/// Octets of their text; a usual one has 350.
const FINDING_OCTETS: usize = 64 << 20;
/// Logins, and connections, that are kept; some two hundred octets each.
const EVENTS: usize = 100_000;

/// A finding.
pub(super) struct FindingRow {
    /// Its time is that of its last occurrence.
    pub(super) about: About,
    pub(super) first: u64,
    pub(super) severity: u8,
    pub(super) is_accepted: bool,
    /// `None`: one that this version does not know.
    pub(super) id: Option<FindingId>,
    pub(super) rule: u16,
    pub(super) count: u64,
    pub(super) message: Box<str>,
    identity: u64,
}

impl FindingRow {
    fn octets(&self) -> usize {
        self.about.user.as_ref().map_or(0, |user| user.len()) + self.message.len()
    }
}

/// A login or a connection.
pub(super) struct EventRow {
    pub(super) about: About,
    /// Of a connection: how it was protected.
    pub(super) protection: u8,
    /// Community ID.
    pub(super) connection: Box<str>,
    identity: u64,
}

/// How far ahead of the clock a record may be dated, in nanoseconds.
const AHEAD: u64 = 86_400 * 1_000_000_000;

/// A time, and the number of what came then.
type Place = (u64, u64);

/// Events by their times.
#[derive(Default)]
struct Events {
    rows: BTreeMap<Place, EventRow>,
    known: HashSet<u64>,
    gone: u64,
}

impl Events {
    /// Whether it is one that has not been seen.
    fn add(&mut self, row: EventRow) -> bool {
        if !self.known.insert(row.identity) {
            return false;
        }
        self.rows.insert((row.about.time, self.gone + self.rows.len() as u64), row);
        if self.rows.len() > EVENTS
            && let Some((_, oldest)) = self.rows.pop_first()
        {
            self.known.remove(&oldest.identity);
            self.gone += 1;
        }
        true
    }
}

/// Lines that came, and what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Came {
    /// Findings, logins, sessions, by [`FactKind`]; those that came again are not counted again.
    pub(super) records: [u64; 3],
    pub(super) unreadable: u64,
    pub(super) foreign: u64,
}

/// Recent records.
#[derive(Default)]
pub struct Board {
    /// By when they occurred last.
    findings: BTreeMap<Place, FindingRow>,
    places: HashMap<u64, Place>,
    next: u64,
    octets: usize,
    gone: u64,
    logins: Events,
    sessions: Events,
    pub(super) words: Words,
    pub(super) came: Came,
    /// Of what came, in nanoseconds since 1970.
    pub(super) newest: u64,
    /// The time of day; 0: not known.
    clock: u64,
    version: u64,
    hasher: RandomState,
}

impl Board {
    /// Takes a line of a file or of a running sensor; one that is no record is counted.
    pub fn take(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        self.version += 1;
        match Fact::parse(line) {
            Ok(fact) => self.add(&fact),
            Err(NoFact::Unreadable) => self.came.unreadable += 1,
            Err(NoFact::Foreign) => self.came.foreign += 1,
        }
    }

    /// What is the time, in nanoseconds since 1970.
    pub fn set_clock(&mut self, now: u64) {
        self.clock = now;
    }

    /// Another one each time that something came.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    fn add(&mut self, fact: &Fact<'_>) {
        // A day is for clocks that are set wrong; what is dated farther ahead is no time to count from.
        if self.clock == 0 || fact.time <= self.clock.saturating_add(AHEAD) {
            self.newest = self.newest.max(fact.time);
        }
        let identity = self.hasher.hash_one((fact.kind as u8, &*fact.id));
        let is_new = match fact.kind {
            FactKind::Finding => self.finding(fact, identity),
            FactKind::Login => {
                let row = self.event(fact, identity);
                self.logins.add(row)
            }
            FactKind::Session => {
                let row = self.event(fact, identity);
                self.sessions.add(row)
            }
        };
        self.came.records[fact.kind as usize] += u64::from(is_new);
    }

    fn finding(&mut self, fact: &Fact<'_>, identity: u64) -> bool {
        let mut row = self.row(fact, identity);
        let known = self.places.remove(&identity).and_then(|place| self.findings.remove(&place));
        let is_new = known.is_none();
        if let Some(known) = known {
            self.octets -= known.octets();
            let (time, first) = (row.about.time.max(known.about.time), row.first.min(known.first));
            // What is told again may say more than before.
            row = if row.count >= known.count { row } else { known };
            (row.about.time, row.first) = (time, first);
        }
        self.octets += row.octets();
        let place = (row.about.time, self.next);
        self.next += 1;
        self.places.insert(identity, place);
        self.findings.insert(place, row);
        self.make_room();
        is_new
    }

    fn make_room(&mut self) {
        while self.findings.len() > FINDINGS || self.octets > FINDING_OCTETS {
            let Some((_, oldest)) = self.findings.pop_first() else { break };
            self.octets -= oldest.octets();
            self.places.remove(&oldest.identity);
            self.gone += 1;
        }
    }

    fn row(&mut self, fact: &Fact<'_>, identity: u64) -> FindingRow {
        FindingRow {
            about: self.about(fact),
            first: fact.first,
            severity: fact.severity,
            is_accepted: fact.is_accepted,
            id: FindingId::parse(&fact.action),
            rule: self.words.number(&shown(&fact.action, NAME_CHARS)),
            count: fact.count,
            message: shown(&fact.message, SENTENCE_CHARS).into_boxed_str(),
            identity,
        }
    }

    fn event(&mut self, fact: &Fact<'_>, identity: u64) -> EventRow {
        EventRow {
            about: self.about(fact),
            protection: fact.protection() as u8,
            connection: shown(&fact.connection, NAME_CHARS).into_boxed_str(),
            identity,
        }
    }

    fn about(&mut self, fact: &Fact<'_>) -> About {
        let user = fact.user.as_deref().filter(|user| !user.is_empty());
        About {
            time: fact.time,
            protocol: fact.protocol,
            server: fact.server,
            client: fact.client,
            user: user.map(|user| shown(user, NAME_CHARS).into_boxed_str()),
            mechanism: self.word(&fact.mechanism),
            outcome: self.word(&fact.outcome),
        }
    }

    fn word(&mut self, word: &str) -> Option<u16> {
        (!word.is_empty()).then(|| self.words.number(&shown(word, NAME_CHARS)))
    }

    /// Findings that pass, by when they occurred last.
    pub(super) fn findings<'a>(&'a self, filter: &'a Filter<'a>) -> impl DoubleEndedIterator<Item = &'a FindingRow> {
        self.findings.values().filter(|row| filter.takes_finding(&row.about, row.severity, row.rule))
    }

    /// Logins that pass, by their times, whatever finding and severity are wanted.
    pub(super) fn logins<'a>(&'a self, filter: &'a Filter<'a>) -> impl DoubleEndedIterator<Item = &'a EventRow> {
        self.logins.rows.values().filter(|row| filter.takes_login(&row.about))
    }

    /// Connections that pass by time, protocol, server and client.
    pub(super) fn sessions<'a>(&'a self, filter: &'a Filter<'a>) -> impl DoubleEndedIterator<Item = &'a EventRow> {
        self.sessions.rows.values().filter(|row| filter.takes_session(&row.about))
    }

    /// Of all that is kept, the time of the first; nothing is known of what was before.
    pub(super) fn oldest(&self) -> Option<u64> {
        let events =
            [&self.logins, &self.sessions].map(|events| events.rows.first_key_value().map(|(place, _)| place.0));
        events.into_iter().flatten().chain(self.findings.values().map(|row| row.first)).min()
    }

    /// Records that made room for others: findings, logins, sessions.
    pub(super) fn gone(&self) -> [u64; 3] {
        [self.gone, self.logins.gone, self.sessions.gone]
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Query;
    use super::*;

    fn line(dataset: &str, id: &str, user: &str, count: u64, outcome: &str) -> String {
        format!(
            r#"{{"@timestamp":"2026-11-24T23:02:05.{count:06}Z","message":"of {user}","event":{{"id":"{id}","dataset":"barewire.{dataset}","action":"cleartext-password"}},"user":{{"name":"{user}"}},"barewire":{{"severity":"high","count":{count},"login":{{"outcome":"{outcome}"}}}}}}"#
        )
    }

    fn rows(board: &Board) -> Vec<(String, u64, &str)> {
        let query = Query::default();
        let filter = Filter::new(&query, &board.words, board.newest);
        let row = |row: &FindingRow| {
            let user = row.about.user.as_deref().unwrap_or_default().to_owned();
            (user, row.count, row.about.outcome.map_or("", |outcome| board.words.text(outcome)).to_owned())
        };
        let rows: Vec<_> = board.findings(&filter).map(row).collect();
        rows.into_iter()
            .map(|(user, count, outcome)| (user, count, if outcome == "accepted" { "accepted" } else { "" }))
            .collect()
    }

    #[test]
    fn what_is_told_again_says_the_most_that_it_said() {
        let mut board = Board::default();
        for (count, outcome) in [(1, "unknown"), (3, "accepted"), (2, "unknown")] {
            board.take(line("finding", "A", "carol", count, outcome).as_bytes());
        }
        board.take(b"\n");
        board.take(b"{");
        assert_eq!(rows(&board), [("carol".to_owned(), 3, "accepted")]);
        let times = board.findings.values().map(|row| [row.first % 1_000_000, row.about.time % 1_000_000]);
        assert_eq!(times.collect::<Vec<_>>(), [[1000, 3000]], "the first and the last that were told");
        assert_eq!((board.came.records, board.came.unreadable, board.version()), ([1, 0, 0], 1, 4));
        assert_eq!(board.octets, "carol".len() + "of carol".len());
    }

    #[test]
    fn long_texts_make_room_by_their_octets() {
        let mut board = Board::default();
        let user = "\u{20ac}".repeat(2000);
        let most = FINDING_OCTETS / (3 * (NAME_CHARS + SENTENCE_CHARS));
        for at in 0..most as u64 + 1000 {
            board.take(line("finding", &at.to_string(), &user, at % 9 + 1, "accepted").as_bytes());
            assert!(board.octets <= FINDING_OCTETS);
        }
        let [gone, ..] = board.gone();
        assert!(gone > 0 && board.findings.len() as u64 + gone == most as u64 + 1000, "{gone}");
        assert_eq!(board.places.len(), board.findings.len());
    }

    /// As where a glob names the latest file first, and where what was found long ago goes on.
    #[test]
    fn what_is_oldest_by_its_time_makes_room() {
        let at = |second: usize, id: usize| {
            line("finding", &id.to_string(), "carol", 1, "accepted")
                .replace("23:02:05", &format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
        };
        let mut board = Board::default();
        board.take(at(80_000, 0).as_bytes());
        board.take(at(1, 1).as_bytes());
        for id in 2..FINDINGS {
            board.take(at(id / 2, id).as_bytes());
        }
        board.take(at(80_001, 1).as_bytes());
        for id in FINDINGS..FINDINGS + 10 {
            board.take(at(id / 2, id).as_bytes());
        }
        let query = Query::default();
        let filter = Filter::new(&query, &board.words, board.newest);
        let latest: Vec<u64> =
            board.findings(&filter).rev().take(2).map(|row| row.about.time / 1_000_000_000 % 86_400).collect();
        assert_eq!((latest, board.findings.len(), board.gone()), (vec![80_001, 80_000], FINDINGS, [10, 0, 0]));
        assert_eq!(board.came.records, [FINDINGS as u64 + 10, 0, 0], "what is told again is not counted again");
    }

    #[test]
    fn strangers_words_displace_none_that_are_known() {
        let mut board = Board::default();
        for at in 0..2000 {
            board.take(line("login", &at.to_string(), "carol", 1, &format!("made-up-{at}")).as_bytes());
        }
        board.take(line("finding", "A", "carol", 1, "accepted").as_bytes());
        let query = Query::default();
        let filter = Filter::new(&query, &board.words, board.newest);
        let row = board.findings(&filter).next().expect("the finding");
        assert_eq!(board.words.text(row.rule), "cleartext-password");
        assert_eq!(row.about.outcome.map(|outcome| board.words.text(outcome)), Some("accepted"));
    }

    #[test]
    fn events_count_once_and_the_oldest_make_room() {
        let mut board = Board::default();
        for at in 0..EVENTS + 10 {
            board.take(line("login", &at.to_string(), "carol", 1, "accepted").as_bytes());
        }
        board.take(line("login", &EVENTS.to_string(), "carol", 1, "accepted").as_bytes());
        assert_eq!((board.gone(), board.came.records), ([0, 10, 0], [0, EVENTS as u64 + 10, 0]));
        assert_eq!((board.logins.rows.len(), board.logins.known.len()), (EVENTS, EVENTS));
    }

    #[test]
    fn what_is_dated_far_ahead_is_no_time_to_count_from() {
        let mut board = Board::default();
        let [now, then] = [1_795_561_325_000_001_000, 1_795_561_325_000_001_000 - AHEAD];
        board.set_clock(then);
        board.take(line("finding", "A", "carol", 1, "accepted").as_bytes());
        assert_eq!(board.newest, now);
        board.take(line("finding", "B", "carol", 1, "accepted").replace("2026", "2526").as_bytes());
        assert_eq!((board.newest, board.findings.len()), (now, 2));
    }
}
