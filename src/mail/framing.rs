//! Bounds before meaning: lines, counted octets and dot-bodies, cut anywhere. Bodies are never kept.
//!
//! A line ends at LF; exactly one CR before it goes (a CR elsewhere is content). What a line cut over
//! segments needs is kept in a buffer that is wiped, because it may be a password.

use crate::stream::Mark;
use memchr::{memchr, memmem};
use std::sync::LazyLock;
use zeroize::Zeroizing;

/// Octets of one direction still to be read, with where they come from.
pub(super) struct Input<'a> {
    pub(super) octets: &'a [u8],
    /// Stream offset of the first of them.
    pub(super) offset: u64,
    pub(super) mark: Mark,
}

impl<'a> Input<'a> {
    /// The first `len` octets as an input of their own; none are taken.
    pub(super) fn first(&self, len: usize) -> Self {
        Self { octets: &self.octets[..len], ..*self }
    }

    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.octets.split_at(len.min(self.octets.len()));
        self.octets = rest;
        self.offset += taken.len() as u64;
        taken
    }
}

/// One line without its end.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) octets: &'a [u8],
    /// Where the line's first octet came from.
    pub(super) first: Mark,
    /// Where its last came from.
    pub(super) last: Mark,
    /// Stream offset after the line end.
    pub(super) end: u64,
    /// The line was longer than the bound; `octets` is its beginning.
    pub(super) is_cut: bool,
    /// What came before was lost: this may be the end of a line only.
    pub(super) follows_loss: bool,
}

/// Splits one direction into lines.
#[derive(Default)]
pub(super) struct Framer {
    /// Mostly lines come whole.
    carry: Option<Box<Carry>>,
    /// What comes next may be the rest of a line whose beginning was lost.
    follows_loss: bool,
}

/// The beginning of a line: never empty, and wiped when it is dropped.
struct Carry {
    octets: Zeroizing<Vec<u8>>,
    first: Mark,
    is_cut: bool,
    /// The line was handed out; drop it at the next call.
    spent: bool,
}

impl Framer {
    /// Octets were lost: what follows up to the next LF may be the rest of some line.
    pub(super) fn lose(&mut self) {
        self.reset();
        self.follows_loss = true;
    }

    /// Forgets an unfinished line.
    pub(super) fn reset(&mut self) {
        self.carry = None;
    }

    /// Octets of memory besides its own.
    pub(super) fn octets(&self) -> usize {
        self.carry.as_ref().map_or(0, |carry| size_of::<Carry>() + carry.octets.capacity())
    }

    /// Whether no part of a line is waiting for its end.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.carry.as_ref().is_none_or(|carry| carry.spent)
    }

    /// The next whole line of at most `cap` octets.
    #[inline]
    pub(super) fn line<'u, 'i: 'u>(&'u mut self, input: &mut Input<'i>, cap: usize) -> Option<Line<'u>> {
        if self.carry.as_ref().is_some_and(|carry| carry.spent) {
            self.reset();
        }
        let Some(at) = memchr(b'\n', input.octets) else {
            let rest = input.take(input.octets.len());
            if !rest.is_empty() {
                self.keep(rest, input.mark, cap);
            }
            return None;
        };
        let octets = input.take(at + 1);
        let end = input.offset;
        let last = Mark { end, ..input.mark };
        let follows_loss = std::mem::take(&mut self.follows_loss);
        if self.carry.is_none() && at <= cap {
            return Some(Line { octets: trim_end(octets), first: last, last, end, is_cut: false, follows_loss });
        }
        let carry = self.keep(octets, last, cap);
        carry.spent = true;
        let Carry { ref octets, first, is_cut, .. } = *carry;
        Some(Line { octets: trim_end(octets), first, last, end, is_cut, follows_loss })
    }

    /// The unterminated line at the end of the stream.
    pub(super) fn remainder(&mut self, end: u64) -> Option<Line<'_>> {
        let carry = self.carry.as_mut().filter(|carry| !carry.spent)?;
        carry.spent = true;
        let Carry { ref octets, first, .. } = **carry;
        let last = Mark { end, ..first };
        Some(Line { octets: trim_end(octets), first, last, end, is_cut: true, follows_loss: self.follows_loss })
    }

    fn keep(&mut self, octets: &[u8], mark: Mark, cap: usize) -> &mut Carry {
        let begin = || Box::new(Carry { octets: Zeroizing::default(), first: mark, is_cut: false, spent: false });
        let carry = self.carry.get_or_insert_with(begin);
        let room = cap.saturating_sub(carry.octets.len());
        let (kept, over) = octets.split_at(room.min(octets.len()));
        carry.is_cut |= !over.is_empty();
        extend_wiped(&mut carry.octets, kept);
        carry
    }
}

/// Appends without leaving an unwiped copy behind: `Vec` growth would free the old buffer as it is.
pub(super) fn extend_wiped(buffer: &mut Zeroizing<Vec<u8>>, octets: &[u8]) {
    if buffer.capacity() - buffer.len() < octets.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((buffer.len() + octets.len()).next_power_of_two().max(64)));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(octets);
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

static LF_DOT: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\n."));

/// Finds the line "." that ends a multi-line block (RFC 1939 §3, RFC 5321 §4.1.1.4), cut anywhere.
///
/// The line may end in a bare LF only where `lenient` says so: SMTP servers differ there (the "smuggling" class),
/// and their reply decides; a POP3 or NNTP server's own block has no other reader.
pub(super) struct DotBody {
    state: Dot,
    lenient: bool,
    /// Octets before the terminator so far.
    pub(super) len: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dot {
    /// At the beginning of a line.
    Start,
    InLine,
    /// "." at the beginning of a line.
    Point,
    /// ".\r" at the beginning of a line.
    PointCr,
}

impl DotBody {
    pub(super) fn new(lenient: bool) -> Self {
        Self { state: Dot::Start, lenient, len: 0 }
    }

    /// Reads on; `true` when the terminator's LF was taken.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> bool {
        while let Some(&octet) = input.octets.first() {
            if self.state == Dot::InLine {
                self.skip_line_part(input);
                continue;
            }
            input.take(1);
            self.len += 1;
            self.state = match (self.state, octet) {
                (Dot::Start, b'.') => Dot::Point,
                (Dot::Point, b'\r') => Dot::PointCr,
                (Dot::PointCr, b'\n') => return true,
                (Dot::Point, b'\n') if self.lenient => return true,
                (_, b'\n') => Dot::Start,
                _ => Dot::InLine,
            };
        }
        false
    }

    /// Goes to the next "\n." or, at the end of what is there, remembers whether a line just ended.
    fn skip_line_part(&mut self, input: &mut Input<'_>) {
        let len = match LF_DOT.find(input.octets) {
            Some(at) => at + 1,
            None => input.octets.len(),
        };
        let skipped = input.take(len);
        self.len += skipped.len() as u64;
        if skipped.last() == Some(&b'\n') {
            self.state = Dot::Start;
        }
    }

    /// Octets were lost inside the body; the next ones may begin anywhere.
    pub(super) fn lose(&mut self, len: u64) {
        self.len += len;
        self.state = Dot::InLine;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], cap: usize) -> Vec<(Vec<u8>, bool)> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut input = Input { octets: piece, offset: 0, mark: Mark::default() };
            while let Some(line) = framer.line(&mut input, cap) {
                found.push((line.octets.to_vec(), line.is_cut));
            }
        }
        found
    }

    #[test]
    fn lines_are_the_same_wherever_the_stream_is_cut() {
        let text = b"one\r\n\r\ntwo\nthree \r\r\nrest";
        let whole = lines(&[text], 100);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[3].0, b"three \r");
        for size in 1..text.len() {
            assert_eq!(lines(&text.chunks(size).collect::<Vec<_>>(), 100), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_line_above_the_bound_keeps_its_beginning_and_the_next_line_its_place() {
        for size in [1, 3, 64] {
            let text = b"aaaaaaaaaaaaaaaa\r\nshort\r\n";
            let found = lines(&text.chunks(size).collect::<Vec<_>>(), 8);
            assert_eq!(found, [(b"aaaaaaaa".to_vec(), true), (b"short".to_vec(), false)]);
        }
    }

    #[test]
    fn the_line_after_a_loss_is_marked() {
        let mut framer = Framer::default();
        framer.lose();
        let mut input = Input { octets: b"tail of a line\r\nnext\r\n", offset: 0, mark: Mark::default() };
        assert_eq!(framer.line(&mut input, 100).map(|line| line.follows_loss), Some(true));
        assert_eq!(framer.line(&mut input, 100).map(|line| line.follows_loss), Some(false));
    }

    #[test]
    fn a_dot_body_ends_at_its_terminator_wherever_cut() {
        let cases: [(&[u8], bool, Option<usize>); 8] = [
            (b".\r\nrest", false, Some(3)),
            (b"a\r\n.\r\nrest", false, Some(6)),
            (b"a\r\n..\r\n.\r\nx", false, Some(10)),
            (b"a\r\n.b\r\n.\r\nx", false, Some(10)),
            (b"a\n.\nb\r\n.\r\n", false, Some(10)),
            (b"a\n.\nb\r\n.\r\n", true, Some(4)),
            (b"\n\n\n.\r\r\n.\r\n", false, Some(10)),
            (b"no end .\r\n..\r\n", false, None),
        ];
        for (text, lenient, end) in cases {
            for size in 1..=text.len() {
                let mut body = DotBody::new(lenient);
                let mut taken = None;
                for (index, piece) in text.chunks(size).enumerate() {
                    let offset = (index * size) as u64;
                    let mut input = Input { octets: piece, offset, mark: Mark::default() };
                    if body.read(&mut input) {
                        taken = Some(input.offset as usize);
                        break;
                    }
                }
                assert_eq!(taken, end, "{:?} in pieces of {size}", String::from_utf8_lossy(text));
            }
        }
    }
}
