//! The record layer of one direction: records by their length, of TLS and of SSLv2, cut anywhere.

use super::MAX_RECORD;
use crate::mail::framing::Input;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
    /// RFC 6520.
    Heartbeat,
    /// A message of SSLv2, which knows no other content.
    Sslv2,
}

impl Content {
    fn of(octet: u8) -> Option<Self> {
        Some(match octet {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            24 => Self::Heartbeat,
            _ => return None,
        })
    }
}

/// What the next octets are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'i> {
    /// A record's header is whole.
    Begins(Content, usize),
    /// Octets of that record.
    Part(Content, &'i [u8]),
    /// No record. There is no way to go on.
    Alien,
}

/// Splits one direction into records.
#[derive(Default)]
pub(super) struct Records {
    header: [u8; 5],
    /// Octets of the header that came.
    have: usize,
    content: Option<Content>,
    len: usize,
    /// Octets of the record that are still to come.
    left: usize,
    /// Both ends speak SSLv2 from here on.
    is_sslv2: bool,
    /// A record began: a hello of SSLv2 can be the first only.
    began: bool,
}

impl Records {
    /// Reads on; takes at least one octet of what is there.
    pub(super) fn next<'i>(&mut self, input: &mut Input<'i>) -> Option<Piece<'i>> {
        if let Some(content) = self.content
            && self.left > 0
        {
            let octets = input.take(self.left);
            self.left -= octets.len();
            return Some(Piece::Part(content, octets));
        }
        while self.have < self.header_len() {
            let part = input.take(self.header_len() - self.have);
            if part.is_empty() {
                return None;
            }
            self.header[self.have..self.have + part.len()].copy_from_slice(part);
            self.have += part.len();
        }
        Some(self.begin().unwrap_or(Piece::Alien))
    }

    /// As far as the octets that came tell. TLS is told apart by its first two, so that a few octets of something
    /// else need not wait for more.
    fn header_len(&self) -> usize {
        match (self.have, self.header[0]) {
            (0, _) => 1,
            (_, first) if self.speaks_sslv2(first) => 2 + usize::from(first & 0x80 == 0),
            (1, first) if Content::of(first).is_some() => 2,
            (2.., _) if self.header[1] == 3 => 5,
            (have, _) => have,
        }
    }

    /// The most significant bit tells SSLv2's header of two octets from TLS's content types.
    fn speaks_sslv2(&self, first: u8) -> bool {
        self.is_sslv2 || !self.began && first & 0x80 != 0
    }

    fn begin(&mut self) -> Option<Piece<'static>> {
        let [first, second, _, high, low] = self.header;
        let (content, len) = if self.speaks_sslv2(first) {
            // With padding the header is of three octets and a bit shorter.
            let bits = if first & 0x80 == 0 { 0x3f } else { 0x7f };
            (Content::Sslv2, usize::from(first & bits) << 8 | usize::from(second))
        } else {
            (Content::of(first).filter(|_| second == 3)?, usize::from(u16::from_be_bytes([high, low])))
        };
        if content != Content::Sslv2 && len > MAX_RECORD {
            return None;
        }
        self.have = 0;
        self.began = true;
        self.content = Some(content);
        self.len = len;
        self.left = len;
        Some(Piece::Begins(content, len))
    }

    /// Octets were lost; `false` when they were not all of the record in progress: nobody knows where the next begins.
    pub(super) fn lose(&mut self, len: u64) -> bool {
        let covered = usize::try_from(len).ok().filter(|len| *len <= self.left);
        self.left -= covered.unwrap_or(self.left);
        covered.is_some()
    }

    pub(super) fn is_at_boundary(&self) -> bool {
        self.left == 0 && self.have == 0
    }

    /// The record in progress came to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// Octets of the record in progress, those to come included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A record began.
    pub(super) fn began(&self) -> bool {
        self.began
    }

    /// Goes on in SSLv2.
    pub(super) fn speak_sslv2(&mut self) {
        self.is_sslv2 = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Mark;

    /// What began, and the octets of all records together.
    fn split(octets: &[u8], size: usize) -> (Vec<(Content, usize)>, Vec<u8>, bool) {
        let mut records = Records::default();
        let (mut began, mut content) = (Vec::new(), Vec::new());
        for piece in octets.chunks(size) {
            let mut input = Input { octets: piece, offset: 0, mark: Mark::default() };
            while !input.octets.is_empty() {
                match records.next(&mut input) {
                    Some(Piece::Begins(content, len)) => began.push((content, len)),
                    Some(Piece::Part(_, part)) => content.extend_from_slice(part),
                    Some(Piece::Alien) => return (began, content, true),
                    None => {}
                }
            }
        }
        (began, content, false)
    }

    #[test]
    fn records_are_the_same_wherever_the_stream_is_cut() {
        let octets = [22, 3, 1, 0, 3, 1, 2, 3, 20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 0, 24, 3, 3, 0, 1, 9];
        let expected = [
            (Content::Handshake, 3),
            (Content::ChangeCipherSpec, 1),
            (Content::ApplicationData, 0),
            (Content::Heartbeat, 1),
        ];
        for size in 1..=octets.len() {
            assert_eq!(split(&octets, size), (expected.to_vec(), vec![1, 2, 3, 1, 9], false), "pieces of {size}");
        }
    }

    #[test]
    fn sslv2_can_be_the_first_record_only() {
        let hello = [0x80, 3, 1, 0, 2, 22, 3, 1, 0, 1, 7];
        for size in 1..=hello.len() {
            let expected = vec![(Content::Sslv2, 3), (Content::Handshake, 1)];
            assert_eq!(split(&hello, size), (expected, vec![1, 0, 2, 7], false));
            assert!(split(&[22, 3, 1, 0, 1, 7, 0x80, 3, 1], size).2);
        }
    }

    #[test]
    fn what_is_no_record_is_told_by_its_first_octets() {
        for alien in [&b"5"[..], b"* OK", b"\x16\x02", b"\x16\x03\x01\x60\x00", b"\x19\x03\x03\x00\x01"] {
            assert!(split(alien, 1).2, "{alien:?}");
        }
    }

    #[test]
    fn a_loss_inside_a_record_does_no_harm() {
        let mut records = Records::default();
        let mut input = Input { octets: &[23, 3, 3, 0, 9, 1, 2], offset: 0, mark: Mark::default() };
        while !input.octets.is_empty() {
            records.next(&mut input);
        }
        assert!(records.lose(7));
        assert!(records.is_at_boundary());
        assert!(!records.lose(1));
    }
}
