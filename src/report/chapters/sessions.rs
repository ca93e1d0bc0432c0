//! How sessions were protected, and how far STARTTLS came.

use super::super::model::{IMPLICIT, Model, PROTECTIONS, STARTTLS, SecretTally};
use super::super::words::named;
use super::fill;
use crate::mail::PROTOCOLS;
use crate::ops::{counted, grouped};
use crate::page::document::{Bars, Block, Cell, Chapter, Flow, PROTECTED, Stage, Table, Tone, name, number, text};
use crate::page::words::{day, length, percent, some, step};
use std::collections::HashSet;

/// Bars that can be told from each other: two months by days.
const STEPS: usize = 62;
/// Days before its end that a certificate is to be renewed: clients see no fault until then.
const SOON_DAYS: u64 = 30;
/// Places of a secret that are named.
const SHOWN_PLACES: usize = 8;
const DAY: u64 = 86_400 * 1_000_000_000;

fn no_sessions() -> Vec<Block> {
    vec![Block::Notice(Tone::Plain, "No sessions are in the input, so this cannot be told.".to_owned())]
}

pub(super) fn protection(model: &Model) -> Chapter {
    let mut chapter = Chapter { id: "protection", title: "How sessions were protected", blocks: Vec::new() };
    let all = model.sessions();
    if all.iter().sum::<u64>() == 0 {
        chapter.blocks = no_sessions();
        return chapter;
    }
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    for (at, counts) in model.protocols.iter().enumerate().filter(|(_, counts)| counts.iter().any(|count| *count > 0)) {
        let title = PROTOCOLS.get(at).map_or("not known", |info| info.title);
        bars.push((title.to_owned(), counts.to_vec()));
        rows.push(row(Cell::Text(title.to_owned()), counts));
    }
    rows.push(row(Cell::Text("All".to_owned()), &all));
    chapter.blocks.push(Block::Heading("By protocol"));
    if bars.len() > 1 {
        chapter.blocks.push(Block::Bars(Bars {
            title: "Sessions by protocol and protection".to_owned(),
            description: format!(
                "{} of all sessions were under TLS.",
                percent(all[STARTTLS] + all[IMPLICIT], all.iter().sum())
            ),
            parts: PROTECTED.to_vec(),
            bars,
            is_time: false,
        }));
    }
    chapter.blocks.push(Block::Table(table("Sessions by protocol", "Protocol", rows, String::new())));
    if model.messages_in_clear > 0 {
        let messages = counted(model.messages_in_clear, "message");
        chapter.blocks.push(Block::Text(format!("The content of {messages} passed in clear.")));
    }
    over_time(model, &mut chapter.blocks);
    chapter
}

fn over_time(model: &Model, blocks: &mut Vec<Block>) {
    let (seconds, steps) = model.timeline.steps(STEPS);
    blocks.push(Block::Heading("Over time"));
    if steps.len() < 2 {
        blocks.push(Block::Text("All sessions ended within one second: there is no course to draw.".to_owned()));
        return;
    }
    let protocols: Vec<usize> =
        (0..model.protocols.len()).filter(|at| model.protocols[*at].iter().any(|count| *count > 0)).collect();
    let mut columns = vec![
        name("From"),
        number("In clear"),
        number("STARTTLS"),
        number("Implicit TLS"),
        number("Not known"),
        number("Under TLS"),
    ];
    if protocols.len() > 1 {
        columns.extend(protocols.iter().map(|at| number(SHARES[*at])));
    }
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for (at, of) in &steps {
        let mut sum = [0; PROTECTIONS];
        of.iter().for_each(|of| sum.iter_mut().zip(of).for_each(|(sum, count)| *sum += count));
        let label = step(*at, seconds);
        bars.push((label.clone(), sum.to_vec()));
        let mut row = vec![Cell::Time(label)];
        row.extend(sum.map(Cell::Number));
        row.push(share(&sum));
        if protocols.len() > 1 {
            row.extend(protocols.iter().map(|at| share(&of[*at])));
        }
        rows.push(row);
    }
    let each = length(seconds);
    blocks.push(Block::Bars(Bars {
        title: "Sessions over time by protection".to_owned(),
        description: format!("Each bar is {each}, by the time when a session ended."),
        parts: PROTECTED.to_vec(),
        bars,
        is_time: true,
    }));
    blocks.push(Block::Table(Table {
        caption: format!("Sessions over time, in steps of {each} (UTC)"),
        columns,
        rows,
        note: "By the time when a session ended. Columns of protocols: the share under TLS.".to_owned(),
    }));
}

/// The heads of columns that hold the share of a protocol, in the order of [`PROTOCOLS`].
const SHARES: [&str; PROTOCOLS.len() + 1] =
    ["POP3", "IMAP", "SMTP", "LMTP", "ManageSieve", "NNTP", "ACAP", "Not known"];

fn share(counts: &[u64; PROTECTIONS]) -> Cell {
    Cell::Share(counts[STARTTLS] + counts[IMPLICIT], counts.iter().sum())
}

fn row(name: Cell, counts: &[u64; PROTECTIONS]) -> Vec<Cell> {
    let mut row = vec![name];
    row.extend(counts.map(Cell::Number));
    row.push(Cell::Number(counts.iter().sum()));
    row.push(share(counts));
    row
}

fn table(caption: &str, first: &'static str, rows: Vec<Vec<Cell>>, note: String) -> Table {
    let columns = vec![
        name(first),
        number("In clear"),
        number("STARTTLS"),
        number("Implicit TLS"),
        number("Not known"),
        number("All"),
        number("Under TLS"),
    ];
    Table { caption: caption.to_owned(), columns, rows, note }
}

/// A stage of STARTTLS with the states that it can come to, and the kinds that give their colours.
type PathStage = (&'static str, &'static [(&'static str, &'static str)]);

/// The stages of a `Path`, in its order.
const PATH: [PathStage; 4] = [
    ("Offer", &[("offered", "good"), ("not offered", "bad"), ("offer not known", "unknown")]),
    ("Request", &[("requested", "good"), ("not requested", "bad")]),
    ("Reply", &[("accepted", "good"), ("refused", "bad"), ("no reply", "unknown"), ("not asked", "bad")]),
    ("Outcome", &[("TLS established", "best"), ("in clear", "bad"), ("TLS not known", "unknown")]),
];

pub(super) fn starttls(model: &Model) -> Chapter {
    let mut chapter = Chapter { id: "starttls", title: "How far STARTTLS came", blocks: Vec::new() };
    let total: u64 = model.paths.values().sum();
    if total == 0 {
        chapter.blocks = no_sessions();
        return chapter;
    }
    let mut ways: Vec<_> = model.paths.iter().collect();
    ways.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let rows = ways.iter().map(|(path, count)| {
        let mut row: Vec<Cell> = path
            .0
            .iter()
            .zip(PATH)
            .map(|(at, (_, states))| Cell::Text(states[usize::from(*at)].0.to_owned()))
            .collect();
        row.push(Cell::Number(**count));
        row.push(Cell::Share(**count, total));
        row
    });
    let table = Table {
        caption: "Sessions that began in clear, by what became of STARTTLS".to_owned(),
        columns: vec![name("Offer"), text("Request"), text("Reply"), text("Outcome"), number("Sessions"), number("Share")],
        rows: rows.collect(),
        note: "Not offered needs a complete capability list; without one the offer is not known. Sessions under TLS from the \
               start are not among these."
            .to_owned(),
    };
    let stages = PATH.map(|(title, states)| Stage { title, states: states.to_vec() });
    let established: u64 = model.paths.iter().filter(|(path, _)| path.0[3] == 0).map(|(_, count)| count).sum();
    chapter.blocks.push(Block::Flow(Flow {
        title: "What became of STARTTLS".to_owned(),
        description: format!(
            "Of {} that began in clear, {} came under TLS.",
            counted(total, "session"),
            grouped(established)
        ),
        stages: stages.into(),
        ways: ways.iter().map(|(path, count)| (path.0.map(usize::from).to_vec(), **count)).collect(),
    }));
    chapter.blocks.push(Block::Table(table));
    chapter
}

pub(super) fn reuse(model: &Model) -> Chapter {
    let mut secrets: Vec<&SecretTally> =
        model.secrets.iter().map(|(_, secret)| secret).filter(|secret| secret.places.len() > 1).collect();
    // A finding names the places of a secret without its fingerprint: the same places are told once.
    let known: HashSet<Vec<&String>> = secrets.iter().map(|secret| secret.places.iter().collect()).collect();
    let more = model.reuses.iter().map(|(_, reuse)| reuse);
    secrets.extend(more.filter(|reuse| !known.contains(&reuse.places.iter().collect::<Vec<_>>())));
    secrets.sort_by(|a, b| b.places.len().cmp(&a.places.len()).then_with(|| a.places.iter().cmp(b.places.iter())));
    let rows = secrets.iter().map(|secret| {
        vec![
            Cell::Lines(some(secret.places.iter().take(SHOWN_PLACES).cloned(), secret.places.len() as u64)),
            Cell::Number(secret.places.len() as u64),
            match secret.fingerprint.as_str() {
                "" => Cell::Empty,
                fingerprint => Cell::Code(fingerprint.to_owned()),
            },
        ]
    });
    let table = Table {
        caption: "Secrets that were used in several places".to_owned(),
        columns: vec![name("Server, protocol and account"), number("Places"), text("Fingerprint")],
        rows: Vec::new(),
        note:
            "Equal fingerprints are equal secrets; the secret cannot be read back. Only fingerprints of one key can be \
               compared: give all sensors the same. One account at IMAP or POP3 and SMTP of one \
               address is to be expected. At most 32 places of a secret are known."
                .to_owned(),
    };
    let blocks = match secrets.is_empty() {
        true => vec![Block::Notice(Tone::Plain, "No secret was seen in more than one place under one key.".to_owned())],
        false => {
            vec![fill(table, rows, "secrets", model.secrets.others() + model.reuses.others() + model.places.others)]
        }
    };
    Chapter { id: "reuse", title: "Secrets used in several places", blocks }
}

pub(super) fn tls(model: &Model) -> Chapter {
    let mut blocks = Vec::new();
    let total = model.tls_versions.total();
    if total > 0 {
        let mut versions = model.tls_versions.sorted();
        versions.sort_by(|a, b| b.0.cmp(a.0));
        let rows = versions.into_iter().map(|(version, count)| {
            let is_old = !matches!(version, "TLS 1.2" | "TLS 1.3");
            let remark =
                if is_old { Cell::State(Tone::Bad, "deprecated (RFC 8996, RFC 7568)".to_owned()) } else { Cell::Empty };
            vec![Cell::Text(version.to_owned()), Cell::Number(count), Cell::Share(count, total), remark]
        });
        blocks.push(Block::Table(Table {
            caption: "Sessions by version of TLS".to_owned(),
            columns: vec![name("Version"), number("Sessions"), number("Share"), text("Remark")],
            rows: rows.collect(),
            note: String::new(),
        }));
    } else {
        blocks.push(Block::Notice(Tone::Plain, "No session tells a version of TLS.".to_owned()));
    }
    blocks.push(certificates(model));
    Chapter { id: "tls", title: "TLS versions and certificates", blocks }
}

fn certificates(model: &Model) -> Block {
    let Some([_, now]) = model.span.filter(|_| model.certificates.len() > 0) else {
        return Block::Notice(Tone::Plain, "No record shows a certificate; TLS 1.3 hides them.".to_owned());
    };
    let mut all: Vec<_> = model.certificates.iter().map(|(_, certificate)| certificate).collect();
    all.sort_by(|a, b| (a.not_after, &a.sha256).cmp(&(b.not_after, &b.sha256)));
    let rows = all.iter().map(|certificate| {
        let servers = certificate.servers.iter().map(named);
        vec![
            Cell::some(&certificate.subject),
            certificate.not_after.map_or(Cell::Empty, |end| left(end, now)),
            certificate.not_after.map_or(Cell::Empty, |end| Cell::Time(day(end))),
            Cell::some(&certificate.issuer),
            Cell::Lines(some(servers, certificate.server_count)),
            Cell::Code(certificate.sha256.chars().take(16).collect()),
        ]
    });
    let table = Table {
        caption: "Certificates, the first to expire first".to_owned(),
        columns: vec![
            name("Subject"),
            text("State"),
            text("Valid until"),
            text("Issuer"),
            text("Servers"),
            text("SHA-256 begins"),
        ],
        rows: Vec::new(),
        note: format!(
            "As of {}, the newest record. TLS 1.3 hides certificates: those servers are not listed.",
            day(now)
        ),
    };
    fill(table, rows, "certificates", model.certificates.others())
}

/// How long a certificate is still valid at `now`.
fn left(end: u64, now: u64) -> Cell {
    match end.checked_sub(now) {
        None => Cell::State(Tone::Bad, format!("expired {} before", counted((now - end) / DAY, "day"))),
        Some(left) if left < SOON_DAYS * DAY => {
            Cell::State(Tone::Warning, format!("expires within {}", counted(left / DAY + 1, "day")))
        }
        Some(left) => Cell::State(Tone::Good, format!("{} left", counted(left / DAY, "day"))),
    }
}
