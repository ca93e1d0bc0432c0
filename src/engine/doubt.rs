//! A stream of which two copies were captured that differ: which one the receiver took, nobody can tell who only
//! listens. So both are read. The first copy of every octet is the one story, the last copy the other; where they come
//! to the same again the second ends. A credential in either crossed the wire; what depends on the choice is unknown.

use super::tail::Tail;
use crate::limits::{CONFLICT_OCTETS, CONFLICTS};
use crate::mail::{Attempt, Detector, End, Interest, Observation, Out, Outcome, Reason, StarttlsReply};
use crate::secret::{Fingerprint, FingerprintKey};
use crate::stream::{Direction, Mark, Side};
use std::mem::Discriminant;
use zeroize::Zeroizing;

/// Octets that stand in place of others in the second reading.
struct Patch {
    side: Side,
    offset: u64,
    /// How many they replace: as many as they are, or one that is left out.
    len: u64,
    octets: Zeroizing<Vec<u8>>,
    /// It was read though a later one covers it.
    is_told: bool,
}

impl Patch {
    fn overlaps(&self, side: Side, offset: u64, len: u64) -> bool {
        self.side == side && self.offset < offset + len && offset < self.offset + self.len
    }
}

/// Which copy the receiver cannot have taken.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Trust {
    #[default]
    Neither,
    First,
    Last,
}

/// The second reading of a connection.
#[derive(Default)]
pub(super) struct Doubt {
    patches: Vec<Patch>,
    held: usize,
    last: Option<Box<dyn Detector>>,
    /// Facts in a row that both readings told.
    agreed: u32,
    pub(super) trust: Trust,
    /// The copies were caught at two places on the path.
    pub(super) is_elsewhere: bool,
    /// Told once there is a case to tell them to.
    pub(super) noted: Vec<(Mark, Observation)>,
}

/// Facts in a row that both readings tell before they are taken for one again.
const AGREED: u32 = 6;

impl Doubt {
    /// Another copy of octets. `false`: there were so many that this one is not read.
    pub(super) fn add(&mut self, side: Side, offset: u64, octets: &[u8]) -> bool {
        self.agreed = 0;
        let is_room = self.patches.len() < CONFLICTS && self.held + octets.len() <= CONFLICT_OCTETS;
        if is_room {
            self.held += octets.len();
            let octets = Zeroizing::new(octets.to_vec());
            self.patches.push(Patch { side, offset, len: octets.len() as u64, octets, is_told: false });
        }
        is_room
    }

    /// One octet that receivers may leave out (RFC 6093 §3).
    pub(super) fn leave_out(&mut self, side: Side, offset: u64) {
        if self.patches.len() < CONFLICTS {
            self.agreed = 0;
            self.patches.push(Patch { side, offset, len: 1, octets: Zeroizing::default(), is_told: false });
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.last.is_some()
    }

    /// Whether the second reading has other octets there.
    pub(super) fn concerns(&self, side: Side, offset: u64, len: usize) -> bool {
        self.patches.iter().any(|patch| patch.overlaps(side, offset, len as u64))
    }

    /// How many copies to take for a reading of the next one that a later copy covers: neither first nor last.
    pub(super) fn next_covered(&mut self) -> Option<usize> {
        for at in 0..self.patches.len() {
            let Patch { side, offset, len, is_told, .. } = self.patches[at];
            if !is_told && self.patches[at + 1..].iter().any(|later| later.overlaps(side, offset, len)) {
                self.patches[at].is_told = true;
                return Some(at + 1);
            }
        }
        None
    }

    pub(super) fn copies(&self) -> usize {
        self.patches.len()
    }

    /// The octets as the first so many copies have them, in pieces where one is left out.
    fn patched(&self, copies: usize, side: Side, offset: u64, octets: &[u8], mut tell: impl FnMut(u64, &[u8])) {
        if !self.concerns(side, offset, octets.len()) {
            return tell(offset, octets);
        }
        let mut copy = Zeroizing::new(octets.to_vec());
        let mut left_out = Vec::new();
        let patches = &self.patches[..copies];
        for patch in patches.iter().filter(|patch| patch.overlaps(side, offset, octets.len() as u64)) {
            let from = patch.offset.max(offset);
            let to = (patch.offset + patch.len).min(offset + octets.len() as u64);
            let (at, len) = ((from - offset) as usize, (to - from) as usize);
            if patch.octets.is_empty() {
                left_out.push(at);
            } else {
                let skip = (from - patch.offset) as usize;
                copy[at..at + len].copy_from_slice(&patch.octets[skip..skip + len]);
            }
        }
        left_out.sort_unstable();
        let mut from = 0;
        for at in left_out {
            if at > from {
                tell(offset + from as u64, &copy[from..at]);
            }
            from = at + 1;
        }
        if from < copy.len() {
            tell(offset + from as u64, &copy[from..]);
        }
    }

    /// Reads what is kept of the stream from its beginning, as it is told first (`None`) or by so many copies.
    pub(super) fn replay(doubt: Option<(&Self, usize)>, tail: &Tail, mut tell: impl FnMut(Side, u64, Told<'_>, Mark)) {
        for (piece, offset, octets) in tail.pieces() {
            match doubt {
                _ if piece.is_gap => tell(piece.side, piece.offset, Told::Gap(piece.len), piece.mark),
                None => tell(piece.side, offset, Told::Octets(octets), piece.mark),
                Some((doubt, copies)) => doubt.patched(copies, piece.side, offset, octets, |at, octets| {
                    tell(piece.side, at, Told::Octets(octets), piece.mark);
                }),
            }
        }
    }

    pub(super) fn begin(&mut self, detector: Box<dyn Detector>, is_closed: bool) {
        self.last = Some(detector).filter(|_| !is_closed);
    }

    /// The next octets, for the second reading.
    pub(super) fn on_data(
        &mut self,
        side: Side,
        direction: Direction,
        offset: u64,
        octets: &[u8],
        mark: Mark,
        out: &mut Out,
    ) {
        let Some(mut detector) = self.last.take() else { return };
        let mut interest = Interest::Open;
        self.patched(self.copies(), side, offset, octets, |at, octets| {
            if interest == Interest::Open {
                interest = detector.on_data(direction, at, octets, mark, out);
            }
        });
        self.last = Some(detector).filter(|_| interest == Interest::Open);
    }

    pub(super) fn on_gap(&mut self, direction: Direction, len: u64, mark: Mark, out: &mut Out) {
        if let Some(detector) = &mut self.last {
            detector.on_gap(direction, len, mark, out);
        }
    }

    pub(super) fn on_reply_overdue(&mut self, out: &mut Out) {
        if let Some(detector) = &mut self.last {
            detector.on_reply_overdue(out);
        }
    }

    pub(super) fn on_end(&mut self, end: End, out: &mut Out) {
        if let Some(mut detector) = self.last.take() {
            detector.on_end(end, out);
        }
    }

    /// The logins of a copy that is neither the first nor the last, unless one of these has the same secret.
    pub(super) fn tell_covered(
        &self,
        told: Vec<(Mark, Observation)>,
        known: [&[(Mark, Observation)]; 2],
        key: &FingerprintKey,
        out: &mut Out,
    ) {
        let prints = |seen: &Observation| match seen {
            Observation::Login(attempt) => attempt.fingerprint(key),
            _ => None,
        };
        let known: Vec<Fingerprint> = known.into_iter().flatten().filter_map(|(_, seen)| prints(seen)).collect();
        for (mark, seen) in told {
            if let Observation::Login(mut attempt) = seen
                && attempt.fingerprint(key).is_none_or(|print| !known.contains(&print))
            {
                (attempt.outcome, attempt.is_ambiguous) = (Outcome::Unknown(Reason::Ambiguous), true);
                out.push(mark, Observation::Login(attempt));
            }
        }
    }

    /// Makes one account of what both readings tell next. Says whether they have come to be the same.
    pub(super) fn reconcile(
        &mut self,
        first: Vec<(Mark, Observation)>,
        last: Vec<(Mark, Observation)>,
        key: &FingerprintKey,
        out: &mut Out,
    ) -> bool {
        if first.is_empty() && last.is_empty() {
            return false;
        }
        let facts =
            |told: &[(Mark, Observation)]| -> Vec<Fact> { told.iter().map(|(_, seen)| fact(seen, key)).collect() };
        let (of_first, of_last) = (facts(&first), facts(&last));
        if of_first == of_last {
            first.into_iter().for_each(|(mark, seen)| out.push(mark, seen));
            self.agreed += of_first.len() as u32;
            return self.agreed >= AGREED;
        }
        self.agreed = 0;
        let offers = |facts: &[Fact]| -> Vec<bool> {
            facts.iter().filter_map(|fact| if let Fact::Offer(has) = fact { Some(*has) } else { None }).collect()
        };
        let is_rewritten = self.is_elsewhere && offers(&of_first) != offers(&of_last);
        if let Some((mark, _)) = first.iter().chain(&last).next().filter(|_| is_rewritten) {
            out.push(*mark, Observation::Rewritten);
        }
        let trust = self.trust;
        let mut rest: Vec<Option<(Mark, Observation)>> = last.into_iter().map(Some).collect();
        for ((mark, seen), fact) in first.into_iter().zip(&of_first) {
            let same = (0..rest.len()).find(|&at| rest[at].is_some() && of_last[at] == *fact);
            if let Some(at) = same {
                rest[at] = None;
                out.push(mark, seen);
                continue;
            }
            match seen {
                // The same secret, in the copy that was taken.
                Observation::Login(attempt)
                    if trust == Trust::Last
                        && rest.iter().flatten().any(|(_, other)| has_secret_of(&attempt, other, key)) => {}
                Observation::Login(mut attempt) => {
                    let twin = rest.iter_mut().find_map(|other| other.take_if(|(_, other)| is_twin(&attempt, other)));
                    match twin {
                        Some((_, Observation::Login(other))) => {
                            attempt.other_fingerprint = other.fingerprint(key);
                            if other.outcome != attempt.outcome {
                                attempt.outcome = Outcome::Unknown(Reason::Ambiguous);
                            }
                        }
                        _ if trust == Trust::First => {}
                        _ => attempt.outcome = Outcome::Unknown(Reason::Ambiguous),
                    }
                    attempt.is_ambiguous |= trust != Trust::First;
                    out.push(mark, Observation::Login(attempt));
                }
                Observation::Capabilities(_) | Observation::StarttlsReplied { .. } if trust != Trust::First => {
                    out.push(mark, Observation::NoCapabilities(Reason::Ambiguous));
                }
                seen => out.push(mark, seen),
            }
        }
        for (mark, seen) in rest.into_iter().flatten() {
            match seen {
                Observation::Login(mut attempt) => {
                    if trust != Trust::Last {
                        attempt.outcome = Outcome::Unknown(Reason::Ambiguous);
                        attempt.is_ambiguous = true;
                    }
                    out.push(mark, Observation::Login(attempt));
                }
                Observation::Capabilities(_) | Observation::StarttlsReplied { .. } if trust != Trust::First => {
                    out.push(mark, Observation::NoCapabilities(Reason::Ambiguous));
                }
                _ => {}
            }
        }
        false
    }
}

/// What a reading is told.
pub(super) enum Told<'a> {
    Octets(&'a [u8]),
    Gap(u64),
}

/// What makes two observations the same.
#[derive(PartialEq)]
pub(super) enum Fact {
    Login(Option<Box<str>>, Box<str>, Option<Fingerprint>, Outcome),
    Offer(bool),
    Reply(StarttlsReply),
    Other(Discriminant<Observation>),
}

pub(super) fn fact(seen: &Observation, key: &FingerprintKey) -> Fact {
    match seen {
        Observation::Login(attempt) => Fact::Login(
            attempt.user.as_ref().map(|user| user.as_str().into()),
            attempt.mechanism.as_str().into(),
            attempt.fingerprint(key),
            attempt.outcome,
        ),
        Observation::Capabilities(list) => Fact::Offer(list.has_starttls),
        Observation::StarttlsReplied { reply, .. } => Fact::Reply(*reply),
        other => Fact::Other(std::mem::discriminant(other)),
    }
}

fn has_secret_of(attempt: &Attempt, other: &Observation, key: &FingerprintKey) -> bool {
    let print = attempt.fingerprint(key);
    print.is_some() && matches!(other, Observation::Login(other) if other.fingerprint(key) == print)
}

/// The same attempt with another secret.
fn is_twin(attempt: &Attempt, other: &Observation) -> bool {
    let Observation::Login(other) = other else { return false };
    (&other.user, other.mechanism.as_str()) == (&attempt.user, attempt.mechanism.as_str())
}
