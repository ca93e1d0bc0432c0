//! Which protocol a connection speaks, by its first octets. Ports are hints, never proof.
//!
//! Octets are kept until the decision and then handed to the detector in the order in which they came, at their places
//! in the stream; a PROXY preamble before the client's is noted and left out.

use super::evidence::{self, Evidence, may_be_greeting};
use super::observe::{Confidence, Observation, Out};
use super::proxy::{self, Preamble};
use super::tls::looks_like_client_hello;
use super::{Detector, Interest, Protocol, Start, implicit};
use crate::limits::{PROBE_OCTETS, PROXY_OCTETS};
use crate::stream::{Direction, Mark};
use zeroize::Zeroizing;

/// What the ports suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The protocol usual on the server's port.
    pub protocol: Protocol,
    /// On this port TLS comes first.
    pub is_implicit_tls: bool,
}

/// What is known of the connection besides its octets.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What the server's port suggests.
    pub hint: Option<Hint>,
    /// Ports of client and server, as assumed.
    pub ports: [u16; 2],
    /// The beginning was not captured.
    pub is_midstream: bool,
    /// A SYN told who the client is.
    pub is_sure_of_ends: bool,
}

/// FTP logs in with USER and PASS too. Without a reply only its ports tell it from POP3.
const FTP_PORTS: [u16; 2] = [21, 2121];

/// What the probe says so far.
pub enum Verdict {
    /// More octets are needed.
    Undecided,
    /// Mail in clear.
    Mail {
        /// Which.
        protocol: Protocol,
        /// How sure.
        confidence: Confidence,
        /// The ends are the other way round than assumed.
        is_swapped: bool,
    },
    /// TLS from the first octet, on a port for mail.
    Tls,
    /// Nothing of interest.
    NotMail,
}

enum Entry {
    Octets { direction: Direction, offset: u64, len: usize, mark: Mark },
    Gap { direction: Direction, len: u64, mark: Mark },
}

/// Line ends at which what was kept is judged.
const OCCASIONS: u32 = 64;
/// Octets within which TLS and binary protocols show themselves.
const BEGINNING: usize = 16;

/// The first octets of a connection.
#[derive(Default)]
pub struct Probe {
    text: [Zeroizing<Vec<u8>>; 2],
    log: Vec<Entry>,
    has_gap: [bool; 2],
    /// Times that all was judged.
    judged: u32,
    /// Octets from which on it is judged again, come what may.
    due_at: usize,
}

/// Whether the first octets of a flow rule mail out at once, so that it need not be followed. `from_server` is
/// `None` when it is not known who the server is; `is_start`: nothing of this direction came before.
#[must_use]
pub fn is_hopeless(octets: &[u8], from_server: Option<bool>, is_start: bool) -> bool {
    const OTHERS: [&[u8]; 9] =
        [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"HTTP/", b"SSH-", b"\x16\x03"];
    let first = octets.first().copied().unwrap_or(b' ');
    let is_text = first.is_ascii_graphic() || matches!(first, b' ' | b'\r' | b'\n' | b'\t');
    if !is_text || OTHERS.iter().any(|other| octets.starts_with(other)) {
        return true;
    }
    is_start && from_server == Some(true) && !may_be_greeting(octets)
}

impl Probe {
    /// The next octets of a direction. Says whether it is worth judging anew: each time looks at all there is, so an
    /// attacker's single octets must not each be an occasion.
    pub fn push(&mut self, direction: Direction, offset: u64, octets: &[u8], mark: Mark) -> bool {
        super::framing::extend_wiped(&mut self.text[direction.index()], octets);
        self.log.push(Entry::Octets { direction, offset, len: octets.len(), mark });
        let total: usize = self.text.iter().map(|text| text.len()).sum();
        let ends_line = self.judged < OCCASIONS && octets.contains(&b'\n');
        let is_due = ends_line || total <= BEGINNING || total >= self.due_at;
        if is_due {
            self.judged += 1;
            self.due_at = 2 * total;
        }
        is_due
    }

    /// Octets of memory it takes.
    #[must_use]
    pub fn octets(&self) -> usize {
        let text: usize = self.text.iter().map(|text| text.capacity()).sum();
        size_of::<Self>() + text + self.log.capacity() * size_of::<Entry>()
    }

    /// Octets that were not captured.
    pub fn push_gap(&mut self, direction: Direction, len: u64, mark: Mark) {
        self.has_gap[direction.index()] = true;
        self.log.push(Entry::Gap { direction, len, mark });
    }

    /// Judges what is there. `is_final`: no more will come.
    #[must_use]
    pub fn judge(&self, known: &Known, is_final: bool) -> Verdict {
        let Known { hint, is_sure_of_ends, .. } = *known;
        // A port of mail tells the server as well as a SYN does.
        let ends: &[bool] = if is_sure_of_ends || hint.is_some() { &[false] } else { &[false, true] };
        if !is_final && ends.iter().any(|&is_swapped| self.preamble(is_swapped) == Preamble::Partial) {
            return Verdict::Undecided;
        }
        let evidence = self.evidence(known, false);
        if let Some(hello) = [evidence.client, evidence.server].into_iter().find(|text| looks_like_client_hello(text)) {
            return match hint {
                None => Verdict::NotMail,
                // What the server said before is what STARTTLS was answered with.
                Some(hint) if self.begins_with_reply(&evidence) => {
                    Verdict::Mail { protocol: hint.protocol, confidence: Confidence::Probable, is_swapped: false }
                }
                Some(_) if hello.len() > 5 => Verdict::Tls,
                Some(_) => Verdict::Undecided,
            };
        }
        let turned = ends.get(1).map(|&is_swapped| self.evidence(known, is_swapped));
        if evidence.is_other() || turned.as_ref().is_some_and(Evidence::is_other) {
            return Verdict::NotMail;
        }
        let room = if hint.is_some() { 4 * PROBE_OCTETS } else { PROBE_OCTETS };
        let is_full = evidence.octets() > room || self.log.len() > room + PROXY_OCTETS;
        let is_last = is_final || is_full;
        if let Some((protocol, confidence)) = evidence.decide(is_last) {
            return Verdict::Mail { protocol, confidence, is_swapped: false };
        }
        // What a server sends may be a message, commands and all: it takes both ends to turn them round.
        if let Some((protocol, confidence @ Confidence::Confirmed)) = turned.and_then(|turned| turned.decide(is_last)) {
            return Verdict::Mail { protocol, confidence, is_swapped: true };
        }
        if is_full { Verdict::NotMail } else { Verdict::Undecided }
    }

    /// Whether the first octets are the server's, and lines.
    fn begins_with_reply(&self, evidence: &Evidence<'_>) -> bool {
        let is_servers = |entry: &Entry| matches!(entry, Entry::Octets { direction: Direction::ToClient, .. });
        self.log.first().is_some_and(is_servers)
            && evidence.server.first().is_some_and(|c| c.is_ascii_graphic())
            && memchr::memchr(b'\n', evidence.server).is_some()
    }

    fn evidence(&self, known: &Known, is_swapped: bool) -> Evidence<'_> {
        let (client, server) = if is_swapped { (1, 0) } else { (0, 1) };
        let skip = self.preamble_len(is_swapped);
        // Where it is not known who the client is, neither end's preamble speaks against mail.
        let skip_other = if known.is_sure_of_ends { 0 } else { self.preamble_len(!is_swapped) };
        let spoke_first = self.client_spoke_first(client, skip);
        let (client_text, server_text) = (&self.text[client][skip..], &self.text[server][skip_other..]);
        Evidence {
            client: client_text,
            server: server_text,
            client_lines: evidence::client_lines(client_text).collect(),
            server_lines: evidence::lines(server_text).collect(),
            hint: known.hint.map(|hint| hint.protocol),
            is_ftp_port: FTP_PORTS.contains(&known.ports[server]),
            has_start: !known.is_midstream && !self.has_gap[server],
            spoke_first,
        }
    }

    /// Whether the client's first octets after a preamble came before any of the server's.
    fn client_spoke_first(&self, client: usize, mut skip: usize) -> bool {
        for entry in &self.log {
            match *entry {
                Entry::Octets { direction, len, .. } if direction.index() == client && len <= skip => skip -= len,
                Entry::Octets { direction, .. } => return direction.index() == client,
                Entry::Gap { .. } => return false,
            }
        }
        false
    }

    /// The preamble before the client's own octets; one with a gap before it or in it is none.
    fn preamble(&self, is_swapped: bool) -> Preamble {
        let client = usize::from(is_swapped);
        if !proxy::may_begin(&self.text[client]) {
            return Preamble::Absent;
        }
        let mut len = 0;
        for entry in &self.log {
            match *entry {
                Entry::Octets { direction, len: more, .. } if direction.index() == client => len += more,
                Entry::Gap { direction, .. } if direction.index() == client => break,
                _ => {}
            }
        }
        match proxy::preamble(&self.text[client][..len]) {
            Preamble::Partial if self.has_gap[client] => Preamble::Absent,
            other => other,
        }
    }

    fn preamble_len(&self, is_swapped: bool) -> usize {
        match self.preamble(is_swapped) {
            Preamble::Whole { len, .. } => len,
            Preamble::Absent | Preamble::Partial => 0,
        }
    }

    /// Starts the detector and hands it all that was kept.
    #[must_use]
    pub fn release(self, protocol: Protocol, start: Start, is_swapped: bool, out: &mut Out) -> Released {
        self.replay(protocol.start(start), is_swapped, out)
    }

    /// The same for TLS from the first octet.
    #[must_use]
    pub fn release_tls(self, out: &mut Out) -> Released {
        self.replay(Box::new(implicit::ImplicitTls::default()), false, out)
    }

    fn replay(self, mut detector: Box<dyn Detector>, is_swapped: bool, out: &mut Out) -> Released {
        let turn = |direction: Direction| if is_swapped { direction.other() } else { direction };
        let preamble = self.preamble(is_swapped);
        let mut skip = self.preamble_len(is_swapped);
        let mut read = [0, 0];
        let mut interest = Interest::Open;
        for entry in &self.log {
            match *entry {
                Entry::Octets { direction, mut offset, len, mark } => {
                    let at = &mut read[direction.index()];
                    let mut octets = &self.text[direction.index()][*at..*at + len];
                    *at += len;
                    if skip > 0 && turn(direction) == Direction::ToServer {
                        let dropped = skip.min(len);
                        skip -= dropped;
                        if skip > 0 {
                            continue;
                        }
                        // The stream goes on after the preamble, and acknowledgements count its octets too: so the
                        // detector is told how far the client has got even when nothing else has come yet.
                        octets = &octets[dropped..];
                        offset += dropped as u64;
                        note_proxied(preamble, mark, out);
                    }
                    interest = detector.on_data(turn(direction), offset, octets, mark, out);
                }
                Entry::Gap { direction, len, mark } => detector.on_gap(turn(direction), len, mark, out),
            }
            if interest == Interest::Closed {
                break;
            }
        }
        Released { detector, interest }
    }
}

fn note_proxied(preamble: Preamble, mark: Mark, out: &mut Out) {
    if let Preamble::Whole { ends: Some(ends), .. } = preamble {
        let (client, server) = ends.texts();
        out.push(mark, Observation::Proxied { client, server });
    }
}

/// A started detector.
pub struct Released {
    /// The detector, which has read all that the probe kept.
    pub detector: Box<dyn Detector>,
    /// Whether it wants more.
    pub interest: Interest,
}
