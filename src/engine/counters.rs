//! What became of every frame.

use crate::stream::Counts;
use crate::wire::{Fragments, Frame, Skip, Unread};

/// What an engine has seen. *Frames + datagrams = segments + skipped*, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames pushed.
    pub frames: u64,
    /// Their captured octets.
    pub octets: u64,
    /// Frames that are TCP segments.
    pub segments: u64,
    /// Frames that are not, by [`Skip`].
    pub skipped: [u64; Skip::ALL.len()],
    /// Link types that are not read.
    pub unread: Unread,
    /// IP datagrams made of fragments; one whose copies differ is read twice.
    pub datagrams: u64,
    /// What became of the fragments.
    pub fragments: Fragments,
    /// Frames cut by the snap length.
    pub cut: u64,
    /// Segments on other ports than those asked for, which were not looked at.
    pub other_ports: u64,
    /// Flows that were followed as mail.
    pub mail_flows: u64,
    /// Flows given up because the table was full.
    pub evicted: u64,
    /// Flows of only a SYN that were forgotten for others of their kind.
    pub embryos_dropped: u64,
    /// Reassembly.
    pub stream: Counts,
}

impl Counters {
    /// Adds another engine's.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.octets += other.octets;
        self.segments += other.segments;
        self.cut += other.cut;
        self.datagrams += other.datagrams;
        self.fragments.add(&other.fragments);
        self.unread.add(&other.unread);
        self.other_ports += other.other_ports;
        self.mail_flows += other.mail_flows;
        self.evicted += other.evicted;
        self.embryos_dropped += other.embryos_dropped;
        for (sum, count) in self.skipped.iter_mut().zip(other.skipped) {
            *sum += count;
        }
        self.stream.add(&other.stream);
    }

    /// Counts a frame, whatever it holds.
    #[inline]
    pub fn note(&mut self, frame: &Frame<'_>) {
        if frame.datagram.is_some() {
            self.datagrams += 1;
            return;
        }
        self.frames += 1;
        self.octets += frame.octets.len() as u64;
        self.cut += u64::from(frame.octets.len() < frame.original_len as usize);
    }

    /// Whether every frame is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.frames + self.datagrams == self.segments + self.skipped.iter().sum::<u64>()
    }

    /// Per cent of the octets of the connections followed that never came to this sensor though their receivers have them:
    /// what was lost before the interface, which no counter of its own can know, and what was dropped after it.
    #[must_use]
    pub fn loss_percent(&self) -> f64 {
        let Counts { octets, octets_lost, .. } = self.stream;
        if octets == 0 { 0.0 } else { octets_lost as f64 * 100.0 / octets as f64 }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Captured, Link, Speaker, Transcript, frames, run_frames};

    #[test]
    fn what_receivers_have_and_the_sensor_has_not_is_the_share_of_packets_left_out() {
        let text = "S: +OK ready\nC: USER bob\nS: +OK\nC: PASS made-up\nS: +OK in\nC: RETR 1";
        // Acknowledged two by two, as hosts do.
        let body = (0..250).fold(Transcript::parse(110, text).say(Speaker::Server, b"+OK\r\n"), |body, _| {
            body.say(Speaker::Server, &[b'x'; 2000])
        });
        let transcript = body.say(Speaker::Server, b"\r\n.\r\n").say(Speaker::Client, b"QUIT\r\n");
        let whole = frames(&transcript.segment(1000).play(), Link::Ethernet);
        for one_in in [5, 10, 50] {
            let is_kept = |(at, frame): (usize, Captured)| (at < 30 || !at.is_multiple_of(one_in)).then_some(frame);
            let kept: Vec<Captured> = whole.iter().cloned().enumerate().filter_map(is_kept).collect();
            let estimate = run_frames(&kept).1.loss_percent();
            let lost = 100.0 / one_in as f64;
            assert!((estimate - lost).abs() < lost / 5.0, "{estimate} of {lost}");
        }
        assert!(run_frames(&whole).1.loss_percent() == 0.0);
    }
}
