//! The first three questions and the list of findings, as parts of a page.

use super::board::{Board, EventRow, FindingRow};
use super::query::{Dimension, Filter, Query};
use super::{Source, heat};
use crate::finding::{Category, FindingId};
use crate::ops::{counted, grouped, octets};
use crate::page::document::{Block, Cell, Column, Figure, Table, Tone, name, number, text};
use crate::page::html::{block, content};
use crate::page::text::{NAME_CHARS, SENTENCE_CHARS, shown, shown_path};
use crate::page::words::{moment, percent, roughly};
use maud::{Markup, html};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

/// Rows of a list of the first by some measure.
const TOP: usize = 10;
/// Findings of a page of the list.
pub(super) const ROWS: usize = 50;
/// Logins that are shown.
const LOGINS: usize = 20;
/// Seconds without a packet after which that is remarkable.
const SILENCE: u64 = 300;

/// What a page is made from: the records that a query lets through.
pub(super) struct Look<'a> {
    pub(super) board: &'a Board,
    pub(super) query: &'a Query,
    pub(super) filter: &'a Filter<'a>,
    /// The newest first.
    pub(super) rows: Vec<&'a FindingRow>,
}

impl<'a> Look<'a> {
    pub(super) fn new(board: &'a Board, query: &'a Query, filter: &'a Filter<'a>) -> Self {
        Self { board, query, filter, rows: board.findings(filter).rev().collect() }
    }

    /// Something was seen of what is asked for: that nothing is exposed says something only then.
    pub(super) fn is_told(&self) -> bool {
        !self.rows.is_empty() || !self.query.passes_over_sessions() && self.board.sessions(self.filter).next().is_some()
    }

    fn link(&self, dimension: Dimension, text: &str) -> Cell {
        Cell::Link(text.to_owned(), self.query.with(dimension, text).link())
    }

    fn word(&self, number: u16) -> &'a str {
        self.board.words.text(number)
    }

    /// Links to a value and, where nothing is known of it, nothing.
    fn maybe(&self, dimension: Dimension, text: Option<String>) -> Cell {
        text.filter(|text| !text.is_empty()).map_or(Cell::Empty, |text| self.link(dimension, &text))
    }
}

pub(super) fn figure(value: String, label: &str, note: String, tone: Tone) -> Figure {
    Figure { value, label: label.to_owned(), note, tone }
}

/// The whole of what there is to a table.
pub(super) fn table(caption: &str, columns: Vec<Column>, rows: Vec<Vec<Cell>>, note: String) -> Block {
    Block::Table(Table { caption: caption.to_owned(), columns, rows, note })
}

fn notice(tone: Tone, text: String) -> Block {
    Block::Notice(tone, text)
}

fn blocks(all: &[Block], id: &str) -> Markup {
    html! { @for (at, one) in all.iter().enumerate() { (block(one, &format!("{id}-{at}"))) } }
}

/// Is the sensor seeing?
pub(super) fn seeing(board: &Board, source: &Source) -> Markup {
    let mut all = Vec::new();
    if let Some(sensor) = &source.sensor {
        all.extend(sensor.trouble.iter().map(|trouble| notice(Tone::Bad, shown(trouble, SENTENCE_CHARS))));
        let captured: u64 = sensor.interfaces.iter().map(|one| one.captured).sum();
        let dropped: u64 = sensor.interfaces.iter().map(|one| one.dropped).sum();
        let age = source.now.unwrap_or_default().since(sensor.last_packet) / 1_000_000_000;
        let has_packets = sensor.last_packet.0 > 0;
        let is_silent = !has_packets || age >= SILENCE;
        let silent = if sensor.seconds < SILENCE { Tone::Warning } else { Tone::Bad };
        let whole = |whole: u64, missing: u64, tone| match (whole, missing) {
            (0, _) => Tone::Plain,
            (_, 0) => Tone::Good,
            _ => tone,
        };
        let [of_mail, missing] = sensor.octets;
        all.push(Block::Figures(vec![
            figure(
                grouped(captured),
                "packets",
                format!("{} a second, in {}", grouped(sensor.rate), roughly(sensor.seconds)),
                if captured > 0 { Tone::Good } else { silent },
            ),
            figure(
                if has_packets { format!("{} ago", roughly(age)) } else { "never".to_owned() },
                "last packet",
                if is_silent { "nothing is seen on this line".to_owned() } else { "the line is alive".to_owned() },
                if is_silent { silent } else { Tone::Good },
            ),
            figure(
                percent(dropped, captured + dropped),
                "packets dropped",
                counted(dropped, "packet"),
                whole(captured + dropped, dropped, Tone::Bad),
            ),
            figure(
                percent(missing, of_mail + missing),
                "of mail not captured",
                format!("{} of {}", octets(missing), octets(of_mail + missing)),
                whole(of_mail + missing, missing, Tone::Warning),
            ),
            sessions(board),
        ]));
        all.push(interfaces(sensor));
        all.push(sinks(source, sensor));
    } else {
        let came = board.came.records;
        let line = |number: u64, what: &str| figure(grouped(number), what, String::new(), Tone::Plain);
        all.push(Block::Figures(vec![line(came[0], "findings"), line(came[1], "logins"), sessions(board)]));
        all.push(files(source));
    }
    let came = &board.came;
    if came.unreadable + came.foreign > 0 {
        let text = format!(
            "{} left out: {} damaged or no JSON, {} no records of barewire in ECS form.",
            counted(came.unreadable + came.foreign, "line"),
            grouped(came.unreadable),
            grouped(came.foreign)
        );
        all.push(notice(Tone::Warning, text));
    }
    if source.missed > 0 {
        let text =
            format!("{} came faster than this page took them and are not on it.", counted(source.missed, "record"));
        all.push(notice(Tone::Warning, text));
    }
    let gone = board.gone();
    if gone.iter().any(|gone| *gone > 0) {
        let [findings, logins, sessions] = gone.map(grouped);
        let text = format!(
            "This page keeps the latest of each: {findings} findings, {logins} logins and {sessions} sessions are older and \
             no longer on it."
        );
        all.push(notice(Tone::Plain, text));
    }
    blocks(&all, "seeing")
}

fn sessions(board: &Board) -> Figure {
    let sessions = board.came.records[2];
    let note = if sessions == 0 { "none is over yet, or records of them are not at hand" } else { "seen to their end" };
    figure(grouped(sessions), "mail sessions", note.to_owned(), Tone::Plain)
}

fn interfaces(sensor: &super::Sensor) -> Block {
    let rows = sensor.interfaces.iter().map(|one| {
        let state = if one.is_up { (Tone::Good, "up") } else { (Tone::Bad, "down") };
        vec![
            Cell::Text(shown(&one.name, NAME_CHARS)),
            Cell::State(state.0, state.1.to_owned()),
            Cell::Number(one.captured),
            Cell::Number(one.dropped),
        ]
    });
    let columns = vec![name("Interface"), text("State"), number("Packets"), number("Dropped")];
    table("Interfaces", columns, rows.collect(), String::new())
}

fn sinks(source: &Source, sensor: &super::Sensor) -> Block {
    let now = source.now.unwrap_or_default();
    let rows = sensor.sinks.iter().map(|sink| {
        let spool = sink.spool.as_ref();
        let waiting = spool.filter(|spool| spool.records > 0);
        let lost = sink.failed + sink.refused;
        let state = match () {
            () if lost > 0 => (Tone::Bad, format!("{} lost or refused", grouped(lost))),
            () if waiting.is_some() => (Tone::Warning, "waiting".to_owned()),
            () => (Tone::Good, "all delivered".to_owned()),
        };
        vec![
            Cell::Text(shown(&sink.name, NAME_CHARS)),
            Cell::State(state.0, state.1),
            Cell::Number(sink.written),
            spool.map_or(Cell::Empty, |spool| Cell::Number(spool.records)),
            waiting.map_or(Cell::Empty, |spool| Cell::Text(roughly(now.since(spool.oldest) / 1_000_000_000))),
            spool.map_or(Cell::Empty, |spool| Cell::Share(spool.octets, spool.limit)),
        ]
    });
    let columns = vec![
        name("Receiver"),
        text("State"),
        number("Records"),
        number("Waiting"),
        text("The oldest since"),
        number("Spool filled"),
    ];
    let mut table =
        Table { caption: "Delivery of records".to_owned(), columns, rows: rows.collect(), note: String::new() };
    table.prune();
    Block::Table(table)
}

fn files(source: &Source) -> Block {
    let rows = source.files.iter().map(|file| {
        vec![
            Cell::Path(shown_path(&file.name, NAME_CHARS)),
            Cell::State(if file.is_faulty { Tone::Bad } else { Tone::Good }, shown(&file.state, SENTENCE_CHARS)),
            Cell::Number(file.lines),
            if file.long > 0 { Cell::Number(file.long) } else { Cell::Empty },
        ]
    });
    let columns = vec![name("File"), text("State"), number("Lines"), number("Too long")];
    let mut table = Table { caption: "Files".to_owned(), columns, rows: rows.collect(), note: String::new() };
    table.prune();
    Block::Table(table)
}

/// Occurrences of what is the same in some way.
#[derive(Clone, Copy, Default)]
struct Tally {
    severity: u8,
    findings: u64,
    times: u64,
    last: u64,
}

/// Rows by what `key` says of them, the gravest and most frequent first, and how many there are in all.
fn ranked<'a, K: Hash + Eq + Ord + Copy>(
    rows: impl Iterator<Item = &'a FindingRow>,
    key: impl Fn(&'a FindingRow) -> Option<K>,
) -> Vec<(K, Tally)> {
    let mut all: HashMap<K, Tally> = HashMap::new();
    for row in rows {
        let Some(key) = key(row) else { continue };
        let tally = all.entry(key).or_default();
        tally.severity = tally.severity.max(row.severity);
        tally.findings += 1;
        tally.times = tally.times.saturating_add(row.count);
        tally.last = tally.last.max(row.about.time);
    }
    let mut all: Vec<(K, Tally)> = all.into_iter().collect();
    all.sort_by_key(|(key, tally)| (Reverse(tally.severity), Reverse(tally.times), *key));
    all
}

/// The cells that follow the name of a row.
fn cells(tally: &Tally) -> [Cell; 4] {
    [
        Cell::Severity(tally.severity),
        Cell::Number(tally.findings),
        Cell::Number(tally.times),
        Cell::Time(moment(tally.last)),
    ]
}

fn columns(title: &'static str) -> Vec<Column> {
    vec![name(title), text("Gravest"), number("Findings"), number("Times"), text("Last")]
}

fn is_disclosure(row: &FindingRow) -> bool {
    row.id.is_some_and(FindingId::is_disclosure)
}

/// What is exposed now?
pub(super) fn exposed(look: &Look<'_>) -> Markup {
    let disclosed = || look.rows.iter().copied().filter(|row| is_disclosure(row));
    let sum = |rows: &mut dyn Iterator<Item = &FindingRow>| rows.fold(0_u64, |sum, row| sum.saturating_add(row.count));
    let credentials = sum(&mut disclosed());
    let is_accepted = |row: &&FindingRow| row.about.outcome.is_some_and(|outcome| look.word(outcome) == "accepted");
    // Of one that occurred several times, once is enough: of how many it is so is not told.
    let (disclosures, accepted) = (disclosed().count(), disclosed().filter(is_accepted).count());
    let accounts: HashSet<&str> = disclosed().filter_map(|row| row.about.user.as_deref()).collect();
    let servers: HashSet<(IpAddr, u16)> = disclosed().filter_map(|row| row.about.server).collect();
    let clients: HashSet<IpAddr> = disclosed().filter_map(|row| row.about.client).collect();
    let meddled = sum(&mut look.rows.iter().copied().filter(|row| row.id.is_some_and(is_interference)));
    let is_told = look.is_told();
    let tone = |count: u64| match (count, is_told) {
        (0, true) => Tone::Good,
        (0, false) => Tone::Plain,
        _ => Tone::Bad,
    };
    let mut all = vec![
        Block::Figures(vec![
            figure(
                grouped(credentials),
                "credentials in clear",
                match disclosures {
                    0 => "none is at hand".to_owned(),
                    all => format!("accepted in {} of {}", grouped(accepted as u64), counted(all as u64, "finding")),
                },
                tone(credentials),
            ),
            figure(
                grouped(accounts.len() as u64),
                "accounts exposed",
                "distinct names".to_owned(),
                tone(accounts.len() as u64),
            ),
            figure(
                grouped(servers.len() as u64),
                "servers that they went to",
                format!("from {}", counted(clients.len() as u64, "client")),
                tone(servers.len() as u64),
            ),
            figure(
                grouped(meddled),
                "times TLS was meddled with",
                "stripped, injected or broken off".to_owned(),
                tone(meddled),
            ),
        ]),
        rules(look, "Credentials", Category::Exposure),
        rules(look, "STARTTLS and TLS", Category::Transport),
        mechanisms(look),
    ];
    let doubts = rules(look, "How good the evidence is", Category::Quality);
    // No doubt is nothing to tell of.
    if matches!(&doubts, Block::Table(table) if !table.rows.is_empty()) {
        all.push(doubts);
    }
    blocks(&all, "exposed")
}

/// Somebody between the two ends may have had a hand in it.
fn is_interference(id: FindingId) -> bool {
    use FindingId as Id;
    matches!(
        id,
        Id::StarttlsStripped
            | Id::StarttlsCommandInjection
            | Id::StarttlsResponseInjection
            | Id::TlsFallbackToCleartext
    )
}

fn rules(look: &Look<'_>, caption: &str, category: Category) -> Block {
    let of = |row: &FindingRow| row.id.map_or(Category::Quality, |id| id.entry().category) == category;
    let ranked = ranked(look.rows.iter().copied().filter(|row| of(row)), |row| Some(row.rule));
    let rows = ranked.iter().take(ROWS).map(|(rule, tally)| {
        let word = look.word(*rule);
        let title = FindingId::parse(word).map_or(word, |id| id.entry().title);
        let link = Cell::Link(title.to_owned(), look.query.with(Dimension::Rule, word).link());
        [link].into_iter().chain(cells(tally)).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    let note = if rows.is_empty() { "None.".to_owned() } else { more(ranked.len(), ROWS) };
    table(caption, columns("Finding"), rows, note)
}

fn mechanisms(look: &Look<'_>) -> Block {
    let ranked = ranked(look.rows.iter().copied().filter(|row| is_disclosure(row)), |row| {
        row.about.mechanism.map(|mechanism| (mechanism, row.about.protocol))
    });
    let rows = ranked.iter().take(TOP).map(|((mechanism, protocol), tally)| {
        let cell = look.link(Dimension::Mechanism, look.word(*mechanism));
        let protocol = protocol.map_or(Cell::Empty, |protocol| {
            let link = look.query.with(Dimension::Protocol, protocol.name()).link();
            Cell::Link(protocol.info().title.to_owned(), link)
        });
        [cell, protocol].into_iter().chain(cells(tally)).collect()
    });
    let mut columns = columns("Mechanism");
    columns.insert(1, text("Protocol"));
    table("Ways of logging in that disclose", columns, rows.collect(), more(ranked.len(), TOP))
}

fn more(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("And {} more.", grouped(more as u64)),
    }
}

/// Who and where?
pub(super) fn who(look: &Look<'_>) -> Markup {
    let users = ranked(look.rows.iter().copied(), |row| row.about.user.as_deref());
    let servers = ranked(look.rows.iter().copied(), |row| row.about.server);
    let clients = ranked(look.rows.iter().copied(), |row| row.about.client);
    let rows = |cell: Cell, tally: &Tally| [cell].into_iter().chain(cells(tally)).collect::<Vec<Cell>>();
    let users_of = users.iter().take(TOP).map(|(user, tally)| rows(look.link(Dimension::User, user), tally));
    let servers_of = servers
        .iter()
        .take(TOP)
        .map(|((ip, port), tally)| rows(look.link(Dimension::Server, &SocketAddr::new(*ip, *port).to_string()), tally));
    let clients_of =
        clients.iter().take(TOP).map(|(client, tally)| rows(look.link(Dimension::Client, &client.to_string()), tally));
    let all = [
        table("Accounts", columns("Account"), users_of.collect(), more(users.len(), TOP)),
        table("Servers", columns("Server"), servers_of.collect(), more(servers.len(), TOP)),
        table("Clients", columns("Client"), clients_of.collect(), more(clients.len(), TOP)),
    ];
    html! {
        div.columns { @for (at, one) in all.iter().enumerate() { div { (block(one, &format!("who-{at}"))) } } }
        (heat::map(look))
    }
}

/// The findings themselves, a page of them.
pub(super) fn log(look: &Look<'_>) -> Markup {
    let pages = look.rows.len().div_ceil(ROWS).max(1);
    let page = look.query.page.min(pages - 1);
    let rows = look.rows.iter().skip(page * ROWS).take(ROWS);
    let to = |page: usize| Query { page, ..look.query.clone() }.link();
    let caption = match look.rows.len() {
        0 => "No finding".to_owned(),
        all => format!("{}, the latest first", counted(all as u64, "finding")),
    };
    html! {
        div.scroll role="group" tabindex="0" aria-labelledby="log-caption" {
            table.log {
                caption { span #log-caption { (caption) } }
                thead { tr {
                    @for head in ["Last, in UTC", "Severity", "Finding", "Server", "Client", "Account", "Login"] {
                        th scope="col" { (head) }
                    }
                    th.number scope="col" { "Times" }
                } }
                tbody { @for row in rows { (finding(look, row)) } }
            }
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of findings" {
                @if page > 0 { a rel="prev" href=(to(page - 1)) { "Newer" } }
                span { "Page " (grouped(page as u64 + 1)) " of " (grouped(pages as u64)) }
                @if page + 1 < pages { a rel="next" href=(to(page + 1)) { "Older" } }
            }
        }
    }
}

fn finding(look: &Look<'_>, row: &FindingRow) -> Markup {
    let word = look.word(row.rule);
    let title = row.id.map_or(word, |id| id.entry().title);
    let severity = crate::finding::severity_name(row.severity);
    let server = row.about.server.map(|(ip, port)| SocketAddr::new(ip, port).to_string());
    html! {
        tr {
            td { span.time { (moment(row.about.time)) } }
            td { a.severity.(severity) href=(look.query.with(Dimension::Severity, severity).link()) { (severity) } }
            th.wide scope="row" {
                a href=(look.query.with(Dimension::Rule, word).link()) { (title) }
                @if row.is_accepted { " (accepted for now)" }
                p { (row.message) }
            }
            td { (content(&look.maybe(Dimension::Server, server))) }
            td { (content(&look.maybe(Dimension::Client, row.about.client.map(|client| client.to_string())))) }
            td { (content(&look.maybe(Dimension::User, row.about.user.as_deref().map(str::to_owned)))) }
            td {
                (content(&look.maybe(Dimension::Mechanism, row.about.mechanism.map(|word| look.word(word).to_owned()))))
                " "
                (content(&look.maybe(Dimension::Outcome, row.about.outcome.map(|word| look.word(word).to_owned()))))
            }
            td.number { (grouped(row.count)) }
        }
    }
}

/// The latest logins in clear, each with what other programs know its connection by.
pub(super) fn logins(look: &Look<'_>) -> Markup {
    let latest: Vec<&EventRow> = look.board.logins(look.filter).rev().take(LOGINS).collect();
    if latest.is_empty() {
        return html! { p.note { "None, or their records are not at hand: --records findings,logins,sessions writes them." } };
    }
    let rows = latest.iter().map(|row| {
        let word = |word: Option<u16>| word.map(|word| look.word(word).to_owned());
        let server = row.about.server.map(|(ip, port)| SocketAddr::new(ip, port).to_string());
        vec![
            Cell::Time(moment(row.about.time)),
            look.maybe(Dimension::User, row.about.user.as_deref().map(str::to_owned)),
            look.maybe(Dimension::Client, row.about.client.map(|client| client.to_string())),
            look.maybe(Dimension::Server, server),
            look.maybe(Dimension::Mechanism, word(row.about.mechanism)),
            look.maybe(Dimension::Outcome, word(row.about.outcome)),
            Cell::Code(row.connection.to_string()),
        ]
    });
    let columns = vec![
        name("Time, in UTC"),
        text("Account"),
        text("Client"),
        text("Server"),
        text("Mechanism"),
        text("Outcome"),
        text("Community ID"),
    ];
    let note = "Zeek, Suricata, Arkime and others find the connection by its Community ID.".to_owned();
    block(&table("The latest logins in clear", columns, rows.collect(), note), "logins-latest")
}
