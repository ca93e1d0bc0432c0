//! A stream of which two copies were captured that differ: which one the receiver took, nobody can tell who only
//! listens. So both are read. The first copy of every octet is the one story, the last copy the other; where they come
//! to the same again the second ends. A credential in either crossed the wire; what depends on the choice is unknown.

use super::tail::Tail;
use crate::limits::{BLOCK_OCTETS, CONFLICT_OCTETS, CONFLICTS};
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
    /// The other end had acknowledged what it is a copy of: it is read for what it discloses only.
    is_aside: bool,
    ends_line: bool,
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

/// Which copies a reading takes in place of the first.
#[derive(Clone, Copy)]
pub(super) enum Copies {
    /// All that the other end may have taken.
    All,
    /// So many of them.
    Until(usize),
    /// Those of this set, whether it may have taken them or not.
    Only(u32),
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
    /// Other readings so far.
    readings: usize,
    /// Secrets that were told of them.
    told: Vec<Fingerprint>,
    /// The copies were caught at two places on the path.
    pub(super) is_elsewhere: bool,
    /// Told once there is a case to tell them to.
    pub(super) noted: Vec<(Mark, Observation)>,
}

/// A set of copies is a number.
const _: () = assert!(CONFLICTS <= 32);

/// Readings besides the first and the last that a connection is worth.
const READINGS: usize = 64;

/// Facts in a row that both readings tell before they are taken for one again.
const AGREED: u32 = 6;

impl Doubt {
    /// Another copy of octets. `false`: there were so many that this one is not read.
    pub(super) fn add(&mut self, side: Side, offset: u64, octets: &[u8], (is_aside, ends_line): (bool, bool)) -> bool {
        self.agreed = 0;
        let is_room = self.patches.len() < CONFLICTS && self.held + octets.len() <= CONFLICT_OCTETS;
        if is_room {
            self.held += octets.len();
            let octets = Zeroizing::new(octets.to_vec());
            self.patches.push(Patch { side, offset, len: octets.len() as u64, octets, is_aside, ends_line });
        }
        is_room
    }

    /// One octet that receivers may leave out (RFC 6093 §3).
    pub(super) fn leave_out(&mut self, side: Side, offset: u64) {
        if self.patches.len() < CONFLICTS {
            self.agreed = 0;
            self.patches.push(Patch {
                side,
                offset,
                len: 1,
                octets: Zeroizing::default(),
                is_aside: false,
                ends_line: false,
            });
        }
    }

    /// Octets of memory it takes.
    pub(super) fn octets(&self) -> usize {
        let last = self.last.as_ref().map_or(0, |last| last.load().octets);
        size_of::<Self>() + self.patches.capacity() * (size_of::<Patch>() + BLOCK_OCTETS) + self.held + last
    }

    pub(super) fn is_read(&self) -> bool {
        self.last.is_some()
    }

    /// Whether the second reading has other octets there.
    pub(super) fn concerns(&self, side: Side, offset: u64, len: usize) -> bool {
        self.patches.iter().any(|patch| !patch.is_aside && patch.overlaps(side, offset, len as u64))
    }

    /// Further readings: of each copy that a later one covers, and of each run. As many as are left to this connection.
    pub(super) fn others(&mut self) -> Vec<Copies> {
        let is_covered = |at: usize| {
            let Patch { side, offset, len, .. } = self.patches[at];
            let covers = |later: &Patch| !later.is_aside && later.overlaps(side, offset, len);
            !self.patches[at].is_aside && self.patches[at + 1..].iter().any(covers)
        };
        let covered = (0..self.patches.len()).filter(|&at| is_covered(at)).map(|at| Copies::Until(at + 1));
        let mut others: Vec<Copies> = covered.chain(self.runs()).collect();
        others.truncate(READINGS.saturating_sub(self.readings));
        self.readings += others.len();
        others
    }

    pub(super) fn is_idle(&self) -> bool {
        self.last.is_none() && self.patches.is_empty()
    }

    /// Copies that go on from each other up to the end of a line, apart from the others: one packet may mend what another
    /// forged. In the middle of a line the octets of two copies would be mixed. None where they are all there is.
    fn runs(&self) -> Vec<Copies> {
        let mut order: Vec<usize> = (0..self.patches.len()).collect();
        order.sort_by_key(|&at| (self.patches[at].side.index(), self.patches[at].offset));
        let all: u32 =
            self.patches.iter().enumerate().filter(|(_, patch)| !patch.is_aside).map(|(at, _)| 1 << at).sum();
        let mut runs = Vec::new();
        let mut run = (0_u32, None);
        for at in order {
            let patch = &self.patches[at];
            if run.1 != Some((patch.side, patch.offset)) {
                run.0 = 0;
            }
            run = (run.0 | 1 << at, Some((patch.side, patch.offset + patch.len)));
            if patch.ends_line && run.0 != all {
                runs.push(Copies::Only(run.0));
            }
        }
        runs
    }

    /// The octets as those copies have them, in pieces where one is left out.
    fn patched(&self, copies: Copies, side: Side, offset: u64, octets: &[u8], mut tell: impl FnMut(u64, &[u8])) {
        let mut copy = Zeroizing::new(octets.to_vec());
        let mut left_out = Vec::new();
        let is_taken = |(at, patch): &(usize, &Patch)| match copies {
            Copies::All => !patch.is_aside,
            Copies::Until(end) => *at < end && !patch.is_aside,
            Copies::Only(set) => set >> at & 1 == 1,
        };
        let patches = self.patches.iter().enumerate().filter(is_taken).map(|(_, patch)| patch);
        for patch in patches.filter(|patch| patch.overlaps(side, offset, octets.len() as u64)) {
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

    /// Reads what is kept of the stream from its beginning, as it is told first (`None`) or by those copies.
    pub(super) fn replay(doubt: Option<(&Self, Copies)>, tail: &Tail, mut tell: impl FnMut(Side, u64, Told<'_>, Mark)) {
        for (piece, offset, octets) in tail.pieces() {
            match &doubt {
                _ if piece.is_gap => tell(piece.side, piece.offset, Told::Gap(piece.len), piece.mark),
                None => tell(piece.side, offset, Told::Octets(octets), piece.mark),
                Some((doubt, copies)) => doubt.patched(*copies, piece.side, offset, octets, |at, octets| {
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
        self.patched(Copies::All, side, offset, octets, |at, octets| {
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

    /// Copies that were caught elsewhere may differ in what the server offers.
    pub(super) fn compare_offers(&self, some: &[(Mark, Observation)], others: &[(Mark, Observation)], out: &mut Out) {
        let offers = |told: &[(Mark, Observation)]| -> Vec<bool> {
            let offer = |(_, seen): &(Mark, Observation)| match seen {
                Observation::Capabilities(list) => Some(list.has_starttls),
                _ => None,
            };
            told.iter().filter_map(offer).collect()
        };
        if self.is_elsewhere
            && offers(some) != offers(others)
            && let Some((mark, _)) = some.iter().chain(others).next()
        {
            out.push(*mark, Observation::Rewritten);
        }
    }

    /// The logins of a reading that is neither the first nor the last, but those whose secret is `known` or was told.
    pub(super) fn tell_covered(
        &mut self,
        told: Vec<(Mark, Observation)>,
        known: &[Fingerprint],
        key: &FingerprintKey,
        out: &mut Out,
    ) {
        for (mark, seen) in told {
            if let Observation::Login(mut attempt) = seen
                && let Some(print) = attempt.fingerprint(key)
                && !known.contains(&print)
                && !self.told.contains(&print)
            {
                self.told.push(print);
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
        let (of_first, of_last) = (facts(&first, key), facts(&last, key));
        if of_first == of_last {
            first.into_iter().for_each(|(mark, seen)| out.push(mark, seen));
            self.agreed += of_first.len() as u32;
            return self.agreed >= AGREED;
        }
        self.agreed = 0;
        self.compare_offers(&first, &last, out);
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

/// What is told, as facts.
pub(super) fn facts(told: &[(Mark, Observation)], key: &FingerprintKey) -> Vec<Fact> {
    told.iter().map(|(_, seen)| fact(seen, key)).collect()
}

/// Takes out of what is told what is known already, each fact as often as it is known.
pub(super) fn retain_news(told: &mut Vec<(Mark, Observation)>, mut known: Vec<Fact>, key: &FingerprintKey) {
    told.retain(|(_, seen)| {
        let fact = fact(seen, key);
        let at = known.iter().position(|known| *known == fact);
        at.map(|at| known.swap_remove(at)).is_none()
    });
}

/// Fingerprints of all secrets that are told.
pub(super) fn prints<'t>(
    told: impl IntoIterator<Item = &'t (Mark, Observation)>,
    key: &FingerprintKey,
) -> Vec<Fingerprint> {
    let print = |(_, seen): &(Mark, Observation)| match seen {
        Observation::Login(attempt) => attempt.fingerprint(key),
        _ => None,
    };
    told.into_iter().filter_map(print).collect()
}

fn fact(seen: &Observation, key: &FingerprintKey) -> Fact {
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
