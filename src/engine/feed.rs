//! From the pieces of a connection to its probe or detector, and from what comes of it to its case. Where copies of
//! octets differ, to a second reading as well.

use super::doubt::{Copies, Doubt, Told, Trust, facts, prints, retain_news};
use super::tail::Origin;
use super::{App, Settings, Talk};
use crate::finding::software::Recogniser;
use crate::finding::{Case, Court, Record};
use crate::limits::{CONFLICTS, DOUBTS};
use crate::mail::{
    Confidence, End, Interest, Known, Observation, Out, Outcome, Probe, Protocol, Released, Start, Verdict,
};
use crate::stream::{Direction, FlowKey, Mark, Overlap, Receiver, Side};
use crate::wire::PacketRef;

/// Takes the pieces of one connection.
pub(super) struct Feed<'a> {
    pub(super) talk: &'a mut Talk,
    pub(super) key: &'a FlowKey,
    pub(super) settings: &'a Settings,
    pub(super) out: &'a mut Out,
    pub(super) recogniser: &'a mut Recogniser,
    pub(super) records: &'a mut Vec<Record>,
    /// Second readings under way in this engine.
    pub(super) doubts: &'a mut usize,
    /// Where the segment at hand was caught.
    pub(super) at: PacketRef,
    pub(super) origin: Option<Origin>,
}

/// Another copy of octets.
struct Copy<'a> {
    offset: u64,
    octets: &'a [u8],
    /// Those that differ are among these.
    differing: std::ops::Range<usize>,
    /// The segment that it came in ends a line.
    ends_line: bool,
}

/// When another copy comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the first was handed on.
    Early,
    /// After.
    Late,
    /// After the other end had acknowledged the first.
    Settled,
}

/// Packets of a connection before which no mail is not believed, where the port says mail.
const HASTE: u64 = 8;

impl Receiver for Feed<'_> {
    #[inline]
    fn data(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark) {
        let direction = self.talk.direction(side);
        self.talk.server_captured |= direction == Direction::ToClient;
        if self.talk.is_over() {
            return;
        }
        // What waited for its turn was caught elsewhere.
        let origin = self.origin.filter(|_| mark.at == self.at);
        self.talk.tail.push(side, offset, octets, mark, origin);
        match &mut self.talk.app {
            App::Probing(probe) => {
                if probe.push(direction, offset, octets, mark) {
                    self.probe(false);
                }
                return;
            }
            App::Mail(detector, _) => {
                let interest = detector.on_data(direction, offset, octets, mark, self.out);
                if self.talk.doubt.is_none() {
                    if !self.out.is_empty() {
                        self.judge();
                    }
                    return self.heed(interest);
                }
                self.heed(interest);
            }
            App::Done(_) | App::NotMail => {}
        }
        self.read_twice(side, offset, octets, mark);
    }

    fn gap(&mut self, side: Side, offset: u64, len: u64, at: PacketRef) {
        if self.talk.is_over() {
            return;
        }
        let direction = self.talk.direction(side);
        let mark = Mark { at, seen: None, end: 0 };
        match &mut self.talk.app {
            App::Probing(probe) => probe.push_gap(direction, len, mark),
            App::Mail(detector, _) => detector.on_gap(direction, len, mark, self.out),
            App::Done(_) | App::NotMail => {}
        }
        self.talk.has_gap[direction.index()] = true;
        self.talk.tail.push_gap(side, offset, len, mark);
        self.tell_both(|doubt, out| doubt.on_gap(direction, len, mark, out));
    }

    fn again(&mut self, side: Side, offset: u64, octets: &[u8], acked: u64, mark: Mark) -> bool {
        let (from, kept) = self.talk.tail.part(side, offset, octets.len());
        let copy = &octets[octets.len().min((from - offset) as usize)..];
        let differing = |(at, (first, later)): (usize, (&u8, &u8))| (first != later).then_some(at);
        let mut places = kept.iter().zip(copy).enumerate().filter_map(differing);
        let Some(begin) = places.next() else { return false };
        let end = places.next_back().unwrap_or(begin) + 1;
        // What is acknowledged no receiver replaces; one octet alone behind it is a keep-alive's, and garbage.
        let settled = usize::try_from(acked.saturating_sub(from)).unwrap_or(usize::MAX).min(copy.len());
        let ends_line = octets.ends_with(b"\n");
        if begin < settled && octets.len() > 1 {
            let copy = Copy { offset: from, octets: &copy[..settled], differing: begin..end.min(settled), ends_line };
            self.conflict(side, &copy, mark, When::Settled);
        }
        if end > settled {
            let differing = begin.saturating_sub(settled)..end - settled;
            let copy = Copy { offset: from + settled as u64, octets: &copy[settled..], differing, ends_line };
            self.conflict(side, &copy, mark, When::Late);
        }
        true
    }

    fn differs(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark) {
        let copy = Copy { offset, octets, differing: 0..octets.len(), ends_line: octets.ends_with(b"\n") };
        self.conflict(side, &copy, mark, When::Early);
    }

    fn urgent(&mut self, side: Side, offset: u64, mark: Mark) {
        if matches!(self.talk.app, App::NotMail | App::Done(_)) {
            return;
        }
        let direction = self.talk.direction(side);
        let overlap = Overlap {
            direction,
            begin: offset,
            octets: 1,
            ttl: [None; 2],
            is_sound: [None; 2],
            is_older: None,
            is_late: false,
            is_elsewhere: false,
            is_urgent: true,
        };
        if let Some(doubt) = self.doubt(overlap, mark) {
            doubt.leave_out(side, offset);
        }
    }
}

impl Feed<'_> {
    /// Another copy of octets says something else.
    fn conflict(&mut self, side: Side, copy: &Copy<'_>, mark: Mark, when: When) {
        if self.talk.is_over() {
            return;
        }
        let begin = copy.offset + copy.differing.start as u64;
        let first = self.talk.tail.origin(side, begin);
        let [before, later] = [first.and_then(|piece| piece.origin), self.origin];
        let elsewhere = |a: Origin, b: Origin| a.vlan() != b.vlan() || a.ttl != b.ttl;
        let is_elsewhere = before.zip(later).is_some_and(|(a, b)| elsewhere(a, b))
            || first.is_some_and(|piece| piece.mark.at.input != mark.at.input);
        let older = |a: Origin, b: Origin| Some(b.stamp()?.wrapping_sub(a.stamp()?).cast_signed() < 0);
        let overlap = Overlap {
            direction: self.talk.direction(side),
            begin,
            octets: copy.differing.len() as u64,
            ttl: [before, later].map(|origin| origin.map(|origin| origin.ttl)),
            is_sound: [before, later].map(|origin| origin.and_then(Origin::is_sound)),
            is_older: before.zip(later).and_then(|(a, b)| older(a, b)),
            is_late: when != When::Early,
            is_elsewhere,
            is_urgent: false,
        };
        let is_aside = when == When::Settled;
        let kind = (is_aside, copy.ends_line);
        let added = self.doubt(overlap, mark).is_some_and(|doubt| doubt.add(side, copy.offset, copy.octets, kind));
        if added && when == When::Late {
            self.read_anew();
        }
        if added && when == When::Settled {
            self.read_aside();
        }
        if self.talk.doubt.as_ref().is_some_and(|doubt| doubt.is_idle()) {
            self.end_doubt();
        }
    }

    /// Notes the overlap. `None`: too many connections are in doubt for this one to be read twice.
    fn doubt(&mut self, overlap: Overlap, mark: Mark) -> Option<&mut Doubt> {
        debug_assert!(self.out.is_empty(), "what was noted before was told");
        let observed = Observation::Ambiguous(overlap);
        let has_case = matches!(self.talk.app, App::Mail(..) | App::Done(_));
        if has_case {
            self.out.push(mark, observed);
            self.judge();
        }
        let Talk { doubt, soundness, client, syn_refused, .. } = &mut *self.talk;
        if doubt.is_none() && *self.doubts < DOUBTS {
            *self.doubts += 1;
            *doubt = Some(Box::default());
        }
        let doubt = doubt.as_deref_mut()?;
        let side = if overlap.direction == Direction::ToServer { *client } else { client.other() };
        doubt.is_elsewhere |= overlap.is_elsewhere;
        doubt.trust = match overlap.is_sound {
            // A receiver drops what is stamped earlier than what it has (RFC 7323 §5.3).
            _ if overlap.is_older == Some(true) => Trust::First,
            // The server did not take the data of the SYN, and has them sent again.
            _ if overlap.begin < u64::from(*syn_refused) && side == *client => Trust::Last,
            // Where checksums are left to the network card, those of what it sends are never right.
            _ if soundness[side.index()].is_offloaded() => Trust::Neither,
            [Some(true) | None, Some(false)] => Trust::First,
            [Some(false), Some(true)] => Trust::Last,
            _ => Trust::Neither,
        };
        if !has_case && doubt.noted.len() < CONFLICTS {
            doubt.noted.push((mark, Observation::Ambiguous(overlap)));
        }
        Some(doubt)
    }

    /// The next octets, when the connection is in doubt.
    fn read_twice(&mut self, side: Side, offset: u64, octets: &[u8], mark: Mark) {
        let direction = self.talk.direction(side);
        let Some(doubt) = &mut self.talk.doubt else { return };
        if doubt.is_read() {
            self.tell_both(|doubt, out| doubt.on_data(side, direction, offset, octets, mark, out));
            // What goes on from the copies may be what they were about.
            return self.read_aside();
        }
        if doubt.concerns(side, offset, octets.len()) {
            return self.read_anew();
        }
        self.judge();
    }

    /// Lets the second reading take a step and tells what both have noted as one.
    fn tell_both(&mut self, step: impl FnOnce(&mut Doubt, &mut Out)) {
        let Some(doubt) = &mut self.talk.doubt else { return self.judge() };
        let mut last = Out::default();
        step(doubt, &mut last);
        let first = self.out.drain().collect();
        let is_settled = doubt.reconcile(first, last.drain().collect(), &self.settings.key, self.out);
        let is_over = is_settled || !doubt.is_read() && matches!(self.talk.app, App::Done(_));
        self.judge();
        if is_over {
            self.end_doubt();
        }
    }

    pub(super) fn end_doubt(&mut self) {
        if self.talk.doubt.take().is_some() {
            *self.doubts -= 1;
        }
    }

    /// Tells the story from the beginning of what is kept, in both readings; what the second has that the first had not
    /// is news.
    fn read_anew(&mut self) {
        let Some(protocol) = self.talk.protocol() else { return };
        if !self.talk.may_reread(2) {
            return self.judge();
        }
        let current: Vec<(Mark, Observation)> = self.out.drain().collect();
        let (_, mut first) = self.retold(protocol, None);
        let Some(mut doubt) = self.talk.doubt.take() else { return };
        let (released, mut last) = self.retold(protocol, Some((&doubt, Copies::All)));
        let key = &self.settings.key;
        // What the first reading told before now has been judged.
        retain_news(&mut first, facts(&current, key), key);
        retain_news(&mut last, facts(&first, key), key);
        doubt.begin(released.detector, released.interest == Interest::Closed);
        doubt.reconcile(current, last, key, self.out);
        self.talk.doubt = Some(doubt);
        self.judge();
        self.read_aside();
    }

    /// What copies disclose that are neither all first nor all last, also those that the other end cannot have taken.
    fn read_aside(&mut self) {
        let Some(protocol) = self.talk.protocol() else { return };
        let Some(mut doubt) = self.talk.doubt.take() else { return };
        let others = doubt.others();
        if !others.is_empty() && self.talk.may_reread(2 + others.len() as u64) {
            let key = &self.settings.key;
            let [first, last] =
                [None, Some((&*doubt, Copies::All))].map(|doubt| self.retold_to_the_end(protocol, doubt));
            let known = prints(first.iter().chain(&last), key);
            for copies in others {
                let told = self.retold_to_the_end(protocol, Some((&*doubt, copies)));
                doubt.compare_offers(&told, &first, self.out);
                doubt.tell_covered(told, &known, key, self.out);
            }
        }
        self.talk.doubt = Some(doubt);
        self.judge();
    }

    /// What would be noted if the connection ended here.
    fn retold_to_the_end(&self, protocol: Protocol, doubt: Option<(&Doubt, Copies)>) -> Vec<(Mark, Observation)> {
        let (released, mut told) = self.retold(protocol, doubt);
        let mut out = Out::default();
        let mut detector = released.detector;
        detector.on_end(End::CaptureEnded, &mut out);
        told.extend(out.drain());
        told
    }

    /// A detector that has read what is kept of the stream, and what it noted.
    fn retold(&self, protocol: Protocol, doubt: Option<(&Doubt, Copies)>) -> (Released, Vec<(Mark, Observation)>) {
        let Talk { tail, is_midstream, server_captured, .. } = &*self.talk;
        let probe = self.probe_of(doubt);
        let mut out = Out::default();
        let start = Start { is_midstream: *is_midstream || tail.is_cut, server_captured: *server_captured };
        let released = probe.release(protocol, start, false, &mut out);
        let told = out.drain().collect();
        (released, told)
    }

    /// A probe that holds what is kept of the stream.
    fn probe_of(&self, doubt: Option<(&Doubt, Copies)>) -> Probe {
        let mut probe = Probe::default();
        Doubt::replay(doubt, &self.talk.tail, |side, offset, told, mark| {
            let direction = self.talk.direction(side);
            match told {
                Told::Octets(octets) => drop(probe.push(direction, offset, octets, mark)),
                Told::Gap(len) => probe.push_gap(direction, len, mark),
            }
        });
        probe
    }

    /// Asks the probe what it has found.
    pub(super) fn probe(&mut self, is_final: bool) {
        let App::Probing(probe) = &self.talk.app else { return };
        match self.ask(probe, is_final) {
            Verdict::Undecided => {}
            // On a port of mail one forged packet must not end it: the true one comes soon, and is read as well.
            Verdict::NotMail if !is_final && self.is_hinted() && self.talk.packets < HASTE => {}
            Verdict::NotMail => self.probe_again(is_final),
            verdict => self.found(verdict),
        }
    }

    fn port(&self, side: Side) -> u16 {
        self.key.endpoint(side).port
    }

    fn is_hinted(&self) -> bool {
        let port = self.port(self.talk.client.other());
        self.settings.ports.hint(port).is_some()
    }

    fn ask(&self, probe: &Probe, is_final: bool) -> Verdict {
        let ports = [self.talk.client, self.talk.client.other()].map(|side| self.port(side));
        let hint = self.settings.ports.hint(ports[1]);
        let Talk { is_midstream, is_sure_of_ends, .. } = *self.talk;
        probe.judge(&Known { hint, ports, is_midstream, is_sure_of_ends }, is_final)
    }

    /// No mail by the first copies of the octets; perhaps by the last.
    fn probe_again(&mut self, is_final: bool) {
        let other = self.talk.doubt.as_deref().map(|doubt| self.probe_of(Some((doubt, Copies::All))));
        self.talk.app = App::NotMail;
        let Some(other) = other else { return };
        let verdict = self.ask(&other, is_final);
        if !matches!(verdict, Verdict::NotMail) {
            let noted = self.talk.doubt.take().map(|doubt| doubt.noted).unwrap_or_default();
            *self.doubts -= 1;
            self.talk.app = App::Probing(Box::new(other));
            self.found(verdict);
            if let App::Mail(..) | App::Done(_) = self.talk.app {
                noted.into_iter().for_each(|(mark, seen)| self.out.push(mark, seen));
                self.judge();
            }
        } else {
            self.end_doubt();
        }
    }

    fn found(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Undecided | Verdict::NotMail => {}
            Verdict::Mail { protocol, confidence, is_swapped } => self.follow(protocol, confidence, is_swapped),
            Verdict::Tls => {
                let port = self.port(self.talk.client.other());
                let (Some(hint), Some(probe)) = (self.settings.ports.hint(port), self.take_probe()) else { return };
                let released = probe.release_tls(self.out);
                let case = Case::new(hint.protocol, Confidence::Probable, true, true);
                self.talk.app = App::Mail(released.detector, Box::new(case));
                self.end_doubt();
                self.judge();
                self.heed(released.interest);
            }
        }
    }

    fn follow(&mut self, protocol: Protocol, confidence: Confidence, is_swapped: bool) {
        let Some(probe) = self.take_probe() else { return };
        if is_swapped {
            self.talk.client = self.talk.client.other();
            self.talk.isns = self.talk.isns.map(|[client, server]| [server, client]);
            self.talk.octets.reverse();
        }
        let start = Start { is_midstream: self.talk.is_midstream, server_captured: self.talk.server_captured };
        let released = probe.release(protocol, start, is_swapped, self.out);
        let port = self.port(self.talk.client.other());
        let is_implicit_port = self.settings.ports.hint(port).is_some_and(|hint| hint.is_implicit_tls);
        let case = Case::new(protocol, confidence, false, is_implicit_port);
        self.talk.app = App::Mail(released.detector, Box::new(case));
        if let Some(doubt) = &mut self.talk.doubt {
            let noted = std::mem::take(&mut doubt.noted);
            let told: Vec<_> = self.out.drain().collect();
            noted.into_iter().for_each(|(mark, seen)| self.out.push(mark, seen));
            self.judge();
            told.into_iter().for_each(|(mark, seen)| self.out.push(mark, seen));
            self.heed(released.interest);
            return self.read_anew();
        }
        self.judge();
        self.heed(released.interest);
    }

    fn take_probe(&mut self) -> Option<Box<Probe>> {
        match std::mem::replace(&mut self.talk.app, App::NotMail) {
            App::Probing(probe) => Some(probe),
            other => {
                self.talk.app = other;
                None
            }
        }
    }

    /// Lets the case judge what was noted.
    pub(super) fn judge(&mut self) {
        let Some(protocol) = self.talk.protocol() else { return };
        let flow = self.talk.flow(self.key, protocol);
        if let App::Mail(_, case) | App::Done(case) = &mut self.talk.app {
            let mut court = Court {
                flow,
                key: &self.settings.key,
                policy: &self.settings.policy,
                recogniser: self.recogniser,
                records: self.records,
            };
            for (mark, observation) in self.out.drain() {
                let is_in = matches!(&observation, Observation::Login(attempt) if attempt.outcome == Outcome::Accepted);
                case.observe(mark, observation, &mut court);
                if is_in {
                    self.talk.tail.shorten();
                }
            }
            self.talk.case_octets = u32::try_from(case.octets()).unwrap_or(u32::MAX);
        }
    }

    fn heed(&mut self, interest: Interest) {
        if interest == Interest::Closed
            && let App::Mail(_, case) = std::mem::replace(&mut self.talk.app, App::NotMail)
        {
            self.talk.app = App::Done(case);
            if self.talk.doubt.is_none() {
                self.talk.tail = Default::default();
            }
        }
    }

    /// Client octets that have waited too long for the reply that explains them are read without it.
    pub(super) fn give_up_waiting(&mut self) {
        if let App::Mail(detector, _) = &mut self.talk.app {
            detector.on_reply_overdue(self.out);
        }
        self.tell_both(Doubt::on_reply_overdue);
    }

    pub(super) fn end(&mut self, end: End) {
        if let App::Mail(detector, _) = &mut self.talk.app {
            detector.on_end(end, self.out);
        }
        self.tell_both(|doubt, out| doubt.on_end(end, out));
        self.end_doubt();
    }
}
