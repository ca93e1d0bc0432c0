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
pub(super) struct Queue<T> {
    items: VecDeque<Pending<T>>,
    is_unsure: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), is_unsure: false }
    }
}

impl<T> Queue<T> {
    /// Adds a command. A client so far ahead is not reading replies: the oldest is then given up.
    pub(super) fn push(&mut self, command: T, end: u64) -> Option<T> {
        let dropped = if self.items.len() >= PENDING_COMMANDS { self.items.pop_front() } else { None };
        self.items.push_back(Pending { command, end });
        dropped.map(|pending| pending.command)
    }

    /// The command that a reply beginning at `line` answers: the oldest, unless the server had not received it
    /// when it sent the reply. Then the reply is an answer to something lost, or was never asked for.
    pub(super) fn front(&self, line: &Line<'_>) -> Option<&T> {
        let front = self.items.front()?;
        line.last.seen.is_none_or(|seen| seen >= front.end).then_some(&front.command)
    }

    /// Takes the oldest command.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.items.pop_front().map(|pending| pending.command)
    }

    /// Takes the oldest command that `wanted` holds for, with all before it.
    pub(super) fn pop_through(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.items.iter().position(|pending| wanted(&pending.command))?;
        self.items.drain(..at);
        self.pop()
    }

    /// Octets were lost: which reply belongs to which command is unsure.
    pub(super) fn lose(&mut self) {
        self.is_unsure = !self.items.is_empty();
    }

    pub(super) fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// One command is open: what answers a command answers that one.
    pub(super) fn is_single(&self) -> bool {
        self.items.len() == 1
    }

    pub(super) fn settle(&mut self) {
        self.is_unsure = false;
    }

    pub(super) fn any(&self, wanted: impl Fn(&T) -> bool) -> bool {
        self.items.iter().any(|pending| wanted(&pending.command))
    }

    /// Octets of memory it takes, with `of` each command besides its place.
    pub(super) fn octets(&self, of: impl Fn(&T) -> usize) -> usize {
        let commands: usize = self.items.iter().map(|pending| of(&pending.command)).sum();
        self.items.capacity() * size_of::<Pending<T>>() + commands
    }

    /// Takes all commands.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.is_unsure = false;
        self.items.drain(..).map(|pending| pending.command)
    }
}
