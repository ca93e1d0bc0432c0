//! Commands that wait for their replies, in the order sent (RFC 2920 §3.1: replies come in that order).

use super::framing::Line;
use crate::limits::PENDING_COMMANDS;
use std::collections::VecDeque;

struct Pending<T> {
    command: T,
    /// Client stream offset after the command.
    end: u64,
}

/// The queue. After a loss its order is unsure until the two ends prove to be in step again.
///
/// Mostly one command waits at most, so the oldest takes no memory of its own. Invariant: others wait behind it only.
pub(super) struct Queue<T> {
    oldest: Option<Pending<T>>,
    #[expect(clippy::box_collection, reason = "there are none, as a rule: a pointer is a quarter of an empty queue")]
    others: Option<Box<VecDeque<Pending<T>>>>,
    is_unsure: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { oldest: None, others: None, is_unsure: false }
    }
}

impl<T> Queue<T> {
    fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }

    fn iter(&self) -> impl Iterator<Item = &Pending<T>> {
        self.oldest.iter().chain(self.others.iter().flat_map(|others| others.iter()))
    }

    /// Adds a command. A client so far ahead is not reading replies: the oldest is then given up.
    pub(super) fn push(&mut self, command: T, end: u64) -> Option<T> {
        let dropped = if self.len() >= PENDING_COMMANDS { self.pop() } else { None };
        let pending = Pending { command, end };
        match self.oldest {
            None => self.oldest = Some(pending),
            Some(_) => self.others.get_or_insert_default().push_back(pending),
        }
        dropped
    }

    /// The command that a reply beginning at `line` answers: the oldest, unless the server had not received it
    /// when it sent the reply. Then the reply is an answer to something lost, or was never asked for.
    pub(super) fn front(&self, line: &Line<'_>) -> Option<&T> {
        let oldest = self.oldest.as_ref()?;
        line.last.seen.is_none_or(|seen| seen >= oldest.end).then_some(&oldest.command)
    }

    /// Takes the oldest command.
    pub(super) fn pop(&mut self) -> Option<T> {
        let oldest = self.oldest.take()?;
        if let Some(others) = &mut self.others {
            self.oldest = others.pop_front();
            if others.is_empty() {
                self.others = None;
            }
        }
        Some(oldest.command)
    }

    /// Takes the oldest command that `wanted` holds for, with all before it.
    pub(super) fn pop_through(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.iter().position(|pending| wanted(&pending.command))?;
        (0..at).for_each(|_| drop(self.pop()));
        self.pop()
    }

    /// Octets were lost: which reply belongs to which command is unsure.
    pub(super) fn lose(&mut self) {
        self.is_unsure = !self.is_empty();
    }

    pub(super) fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    /// One command is open: what answers a command answers that one.
    pub(super) fn is_single(&self) -> bool {
        self.len() == 1
    }

    pub(super) fn settle(&mut self) {
        self.is_unsure = false;
    }

    pub(super) fn any(&self, wanted: impl Fn(&T) -> bool) -> bool {
        self.iter().any(|pending| wanted(&pending.command))
    }

    /// Octets of memory it takes, with `of` each command besides its place.
    pub(super) fn octets(&self, of: impl Fn(&T) -> usize) -> usize {
        let commands: usize = self.iter().map(|pending| of(&pending.command)).sum();
        let others = self
            .others
            .as_ref()
            .map_or(0, |others| size_of::<VecDeque<Pending<T>>>() + others.capacity() * size_of::<Pending<T>>());
        others + commands
    }

    /// Takes all commands.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.is_unsure = false;
        let others = self.others.take().into_iter().flat_map(|others| *others);
        self.oldest.take().into_iter().chain(others).map(|pending| pending.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_leave_in_the_order_in_which_they_came() {
        let mut queue = Queue::default();
        for command in 0..PENDING_COMMANDS {
            assert_eq!(queue.push(command, 0), None);
        }
        assert_eq!(queue.push(PENDING_COMMANDS, 0), Some(0), "the oldest is given up");
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop_through(|command| *command == 4), Some(4));
        assert_eq!(queue.pop_through(|command| *command == 2), None);
        queue.lose();
        assert!(queue.is_unsure());
        assert!(queue.drain().eq(5..=PENDING_COMMANDS));
        assert!(queue.is_empty() && !queue.is_unsure());
        assert_eq!(queue.push(7, 0), None);
        assert!(queue.is_single());
        assert_eq!(queue.octets(|_| 0), 0, "one command takes no memory of its own");
    }
}
