//! Doubt about a decision. A greeting decides early, and others may greet alike: when both ends then go on in lines that
//! are none of the protocol's, before the client has said one of its commands, that is told once.
//!
//! What a server says settles nothing, for that is what others have alike. A command does, and ends the watch.

use super::evidence::begins;
use super::framing::{Framer, Input};
use super::imap_text::is_tag;
use super::observe::{Observation, Out};
use super::pop3::split_verb;
use super::smtp::parse_reply;
use super::{Detector, End, Interest, Load, Protocol, nntp, tls};
use crate::limits::{GUARD_LINE_OCTETS, GUARD_LINES};
use crate::stream::{Direction, Mark};

/// Lines of each end that are enough for doubt.
const ENOUGH: u32 = 3;

/// A detector that is watched until its protocol has proved to be the right one.
pub(super) struct Guarded<D> {
    inner: D,
    watch: Option<Box<Watch>>,
}

impl<D: Detector> Guarded<D> {
    pub(super) fn new(protocol: Protocol, inner: D) -> Self {
        let watch = Watch { protocol, framers: Default::default(), violations: [0; 2], lines: 0 };
        Self { inner, watch: Some(Box::new(watch)) }
    }
}

struct Watch {
    protocol: Protocol,
    framers: [Framer; 2],
    /// Lines that are not of the protocol's grammar: of the client, of the server.
    violations: [u32; 2],
    lines: u32,
}

impl Watch {
    /// Reads on; `true` when there is nothing more to watch for.
    fn read(&mut self, direction: Direction, mut input: Input<'_>, out: &mut Out) -> bool {
        let mark = input.mark;
        // STARTTLS went before what was captured.
        if direction == Direction::ToServer
            && self.framers[direction.index()].is_at_boundary()
            && tls::looks_like_client_hello(input.octets)
        {
            return true;
        }
        while let Some(line) = self.framers[direction.index()].line(&mut input, GUARD_LINE_OCTETS) {
            self.lines += 1;
            let text = line.octets.trim_ascii();
            match direction {
                _ if line.follows_loss || text.is_empty() => {}
                Direction::ToServer if is_command(self.protocol, text) => return true,
                Direction::ToClient if is_reply(self.protocol, text) => {}
                _ => self.violations[direction.index()] += 1,
            }
            if self.violations.iter().all(|count| *count >= ENOUGH) {
                out.push(mark, Observation::Desync);
                return true;
            }
            if self.lines >= GUARD_LINES {
                return true;
            }
        }
        false
    }
}

impl<D: Detector> Detector for Guarded<D> {
    fn on_data(&mut self, direction: Direction, offset: u64, octets: &[u8], mark: Mark, out: &mut Out) -> Interest {
        if let Some(watch) = &mut self.watch
            && watch.read(direction, Input { octets, offset, mark }, out)
        {
            self.watch = None;
        }
        self.inner.on_data(direction, offset, octets, mark, out)
    }

    fn on_gap(&mut self, direction: Direction, len: u64, mark: Mark, out: &mut Out) {
        if let Some(watch) = &mut self.watch {
            watch.framers[direction.index()].lose();
        }
        self.inner.on_gap(direction, len, mark, out);
    }

    fn load(&self) -> Load {
        let inner = self.inner.load();
        let watch = self
            .watch
            .as_ref()
            .map_or(0, |watch| size_of::<Watch>() + watch.framers.iter().map(Framer::octets).sum::<usize>());
        Load { octets: size_of::<Self>() - size_of::<D>() + watch + inner.octets, ..inner }
    }

    fn on_reply_overdue(&mut self, out: &mut Out) {
        self.inner.on_reply_overdue(out);
    }

    fn on_end(&mut self, end: End, out: &mut Out) {
        self.inner.on_end(end, out);
    }
}

/// Whether a line begins with a command of the protocol. Its arguments are not looked at.
fn is_command(protocol: Protocol, line: &[u8]) -> bool {
    let (first, rest) = split_verb(line);
    let verb = match protocol {
        Protocol::Imap | Protocol::Acap if is_tag(first) => split_verb(rest).0,
        Protocol::Imap | Protocol::Acap => return false,
        _ => first,
    };
    verbs(protocol).iter().any(|known| known.eq_ignore_ascii_case(verb))
}

/// Commands that a connection may begin with; those of later states come after one of these.
fn verbs(protocol: Protocol) -> &'static [&'static [u8]] {
    match protocol {
        Protocol::Pop3 => &[b"USER", b"PASS", b"APOP", b"AUTH", b"CAPA", b"STLS", b"STAT", b"RETR", b"NOOP", b"QUIT"],
        Protocol::Imap => &[
            b"CAPABILITY",
            b"NOOP",
            b"LOGOUT",
            b"STARTTLS",
            b"AUTHENTICATE",
            b"LOGIN",
            b"ID",
            b"ENABLE",
            b"SELECT",
            b"EXAMINE",
            b"LIST",
            b"LSUB",
            b"STATUS",
            b"NAMESPACE",
            b"IDLE",
            b"UID",
            b"FETCH",
            b"APPEND",
        ],
        Protocol::Smtp | Protocol::Lmtp => &[
            b"EHLO",
            b"HELO",
            b"LHLO",
            b"MAIL",
            b"RCPT",
            b"DATA",
            b"BDAT",
            b"RSET",
            b"NOOP",
            b"QUIT",
            b"AUTH",
            b"STARTTLS",
            b"VRFY",
            b"EXPN",
            b"HELP",
            b"XCLIENT",
            b"XFORWARD",
        ],
        Protocol::ManageSieve => &[
            b"AUTHENTICATE",
            b"STARTTLS",
            b"LOGOUT",
            b"CAPABILITY",
            b"NOOP",
            b"PUTSCRIPT",
            b"LISTSCRIPTS",
            b"GETSCRIPT",
            b"SETACTIVE",
            b"HAVESPACE",
            b"CHECKSCRIPT",
            b"DELETESCRIPT",
            b"RENAMESCRIPT",
        ],
        Protocol::Nntp => &[
            b"CAPABILITIES",
            b"MODE",
            b"QUIT",
            b"AUTHINFO",
            b"STARTTLS",
            b"GROUP",
            b"LISTGROUP",
            b"ARTICLE",
            b"HEAD",
            b"BODY",
            b"STAT",
            b"POST",
            b"IHAVE",
            b"CHECK",
            b"TAKETHIS",
            b"DATE",
            b"HELP",
            b"LIST",
            b"NEWGROUPS",
            b"NEWNEWS",
            b"OVER",
            b"XOVER",
            b"HDR",
            b"XHDR",
        ],
        Protocol::Acap => &[b"AUTHENTICATE", b"STARTTLS", b"LOGOUT", b"NOOP", b"LANG", b"SEARCH", b"STORE"],
    }
}

/// Whether a line may be a reply of the protocol.
fn is_reply(protocol: Protocol, line: &[u8]) -> bool {
    match protocol {
        Protocol::Pop3 => begins(line, b"+OK") || begins(line, b"-ERR") || matches!(line, [b'+'] | [b'+', b' ', ..]),
        Protocol::Imap | Protocol::Acap => {
            let (tag, rest) = split_verb(line);
            let status = split_verb(rest).0;
            matches!(tag, b"*" | b"+") || [&b"OK"[..], b"NO", b"BAD"].iter().any(|s| s.eq_ignore_ascii_case(status))
        }
        Protocol::Smtp | Protocol::Lmtp => parse_reply(line).is_some(),
        Protocol::ManageSieve => {
            let is_status = [&b"OK"[..], b"NO", b"BYE"].iter().any(|s| s.eq_ignore_ascii_case(split_verb(line).0));
            is_status || matches!(line.first(), Some(b'"' | b'{'))
        }
        Protocol::Nntp => nntp::parse_reply(line).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PROTOCOLS, Start};
    use super::*;

    /// How often doubt is told when client and server say these lines by turns, in pieces of that size.
    fn doubts(protocol: Protocol, lines: &[(&str, &str)], size: usize) -> usize {
        let start = Start { is_midstream: false, server_captured: true };
        let mut guarded = protocol.start(start);
        let mut out = Out::default();
        let mut offsets = [0; 2];
        for (client, server) in lines {
            for (direction, text) in [(Direction::ToServer, client), (Direction::ToClient, server)] {
                for piece in format!("{text}\r\n").as_bytes().chunks(size) {
                    let offset = &mut offsets[direction.index()];
                    guarded.on_data(direction, *offset, piece, Mark::default(), &mut out);
                    *offset += piece.len() as u64;
                }
            }
        }
        out.drain().filter(|(_, seen)| matches!(seen, Observation::Desync)).count()
    }

    const CHAT: [(&str, &str); 4] =
        [("hello there", "who is it"), ("me again", "what now"), ("nothing much", "go away"), ("bye bye", "at last")];

    #[test]
    fn what_neither_end_should_say_is_told_once() {
        for info in &PROTOCOLS {
            for size in 1..=8 {
                assert_eq!(doubts(info.protocol, &CHAT, size), 1, "{}", info.name);
            }
        }
    }

    #[test]
    fn a_command_or_an_end_that_keeps_to_the_form_leaves_no_doubt() {
        for info in &PROTOCOLS {
            let command = match info.protocol {
                Protocol::Imap | Protocol::Acap => "a1 NOOP",
                Protocol::Nntp => "DATE",
                _ => "NOOP",
            };
            let begun: Vec<(&str, &str)> = [(command, "hm")].into_iter().chain(CHAT).collect();
            assert_eq!(doubts(info.protocol, &begun, 4), 0, "{}", info.name);
        }
        assert_eq!(doubts(Protocol::Smtp, &CHAT.map(|(client, _)| (client, "500 what")), 4), 0);
        assert_eq!(doubts(Protocol::Imap, &CHAT.map(|(_, server)| ("", server)), 4), 0);
    }
}
