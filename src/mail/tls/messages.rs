//! Handshake messages of one direction: several in a record, one over several records, cut anywhere. Only those
//! that are asked for are kept.

/// A handshake message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its `HandshakeType`.
    pub(super) kind: u8,
    /// Its body; `None` for those that were not asked for or are too long, which are told at their beginning.
    pub(super) body: Option<Vec<u8>>,
}

/// Splits the content of handshake records into messages.
#[derive(Default)]
pub(super) struct Messages {
    /// Type and length.
    header: [u8; 4],
    have: usize,
    /// Octets of the message that are still to come.
    left: usize,
    /// What is kept of it. It grows as octets come, not as its length promises.
    body: Option<Vec<u8>>,
    is_broken: bool,
}

impl Messages {
    /// Octets of memory besides its own.
    pub(super) fn octets(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::capacity)
    }

    /// The next message in `octets`, which are taken. `wanted` is the type to be kept and the octets it may have.
    pub(super) fn next(&mut self, octets: &mut &[u8], wanted: Option<(u8, usize)>) -> Option<Message> {
        while !octets.is_empty() && !self.is_broken {
            if self.left > 0 {
                if let Some(message) = self.go_on(octets) {
                    return Some(message);
                }
                continue;
            }
            let part = take(octets, 4 - self.have);
            self.header[self.have..self.have + part.len()].copy_from_slice(part);
            self.have += part.len();
            if self.have == 4
                && let Some(message) = self.begin(wanted)
            {
                return Some(message);
            }
        }
        None
    }

    fn begin(&mut self, wanted: Option<(u8, usize)>) -> Option<Message> {
        let [kind, high, mid, low] = self.header;
        self.have = 0;
        self.left = u32::from_be_bytes([0, high, mid, low]) as usize;
        if !wanted.is_some_and(|(it, room)| it == kind && self.left <= room) {
            return Some(Message { kind, body: None });
        }
        let body = Vec::new();
        if self.left == 0 {
            return Some(Message { kind, body: Some(body) });
        }
        self.body = Some(body);
        None
    }

    fn go_on(&mut self, octets: &mut &[u8]) -> Option<Message> {
        let part = take(octets, self.left);
        self.left -= part.len();
        let body = self.body.as_mut()?;
        body.extend_from_slice(part);
        (self.left == 0).then(|| Message { kind: self.header[0], body: self.body.take() })
    }

    /// Octets were lost: where a message begins is no longer known.
    pub(super) fn lose(&mut self) {
        *self = Self { is_broken: true, ..Self::default() };
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }
}

fn take<'a>(octets: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = octets.split_at(len.min(octets.len()));
    *octets = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(octets: &[u8], size: usize, wanted: Option<(u8, usize)>) -> Vec<(u8, Option<Vec<u8>>)> {
        let mut messages = Messages::default();
        let mut found = Vec::new();
        for mut piece in octets.chunks(size) {
            while let Some(message) = messages.next(&mut piece, wanted) {
                found.push((message.kind, message.body));
            }
        }
        found
    }

    #[test]
    fn messages_are_the_same_wherever_the_records_are_cut() {
        let octets = [2, 0, 0, 2, 7, 8, 14, 0, 0, 0, 11, 0, 0, 1, 9, 11, 0, 0, 0, 4, 0, 0, 3, 1];
        let expected = [(2, None), (14, None), (11, Some(vec![9])), (11, Some(vec![])), (4, None)];
        for size in 1..=octets.len() {
            assert_eq!(split(&octets, size, Some((11, 1))), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_told_at_once_and_not_kept() {
        assert_eq!(split(&[11, 255, 255, 255, 0, 0], 6, Some((11, 1000))), [(11, None)]);
    }

    #[test]
    fn after_a_loss_there_are_no_messages() {
        let mut messages = Messages::default();
        messages.lose();
        assert_eq!(messages.next(&mut &[2, 0, 0, 0][..], None), None);
    }
}
