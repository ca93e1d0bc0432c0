//! Connections of a kind of traffic, many open at once, as a capture file and the truth of it.

use crate::others;
use crate::sessions::{self, Dialogue, Login};
use barewire::testing::{Captured, Link, Random, frames, pcap_header, pcap_record, shake};
use barewire::wire::{Endpoint, LinkType, Timestamp};
use std::io::{self, Write};
use std::vec::IntoIter;

/// Connections that are open at once: what is held in memory is these and no more.
const OPEN: usize = 32;

/// One octet in so many is mail in `mix`.
const MAIL_IN: u64 = 20;

/// A connection of fewer packets may be cut anew into tiny segments; of a message these would be the whole file.
const FEW: usize = 40;

/// What is in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What a span port of an office shows: TLS, web, datagrams, names, and little mail.
    Mix,
    /// Mail sessions with messages.
    Mail,
    /// Tiny mail sessions that log in and leave.
    Logins,
}

impl Kind {
    pub(crate) const ALL: [(&str, Self); 3] = [("mix", Self::Mix), ("mail", Self::Mail), ("logins", Self::Logins)];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// Writes a capture of `size` octets, or as many more as its last connection takes, and the logins that are in it.
pub(crate) fn write(kind: Kind, size: u64, capture: &mut impl Write, truth: &mut impl Write) -> io::Result<()> {
    let mut source = Source { kind, random: Random::new(23), number: 0, begun: 0, begun_mail: 0 };
    let mut open: Vec<IntoIter<Captured>> = Vec::new();
    let mut clock = Timestamp(1_700_000_000_000_000_000);
    let mut record = Vec::new();
    capture.write_all(&pcap_header(LinkType::ETHERNET))?;
    writeln!(truth, "{}", Login::COLUMNS)?;
    loop {
        while open.len() < OPEN && source.begun < size {
            let (connection, login) = source.next();
            open.push(connection.into_iter());
            if let Some(login) = login {
                writeln!(truth, "{login}")?;
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let pick = source.random.below(open.len());
        let Some(mut frame) = open[pick].next() else {
            open.swap_remove(pick);
            continue;
        };
        // As long as it takes on a link of a gigabit, and a pause.
        clock.0 += 8 * frame.octets.len() as u64 + source.random.below(4000) as u64;
        frame.time = clock;
        record.clear();
        pcap_record(&frame, frame.octets.len(), &mut record);
        capture.write_all(&record)?;
    }
}

/// Makes one connection after the other.
struct Source {
    kind: Kind,
    random: Random,
    number: u32,
    /// Octets of the capture that the connections take so far.
    begun: u64,
    /// Those of mail.
    begun_mail: u64,
}

impl Source {
    fn next(&mut self) -> (Vec<Captured>, Option<Login>) {
        self.number += 1;
        let is_mail = match self.kind {
            Kind::Mix => self.begun_mail * MAIL_IN <= self.begun,
            // Some that is no mail and looks like it.
            Kind::Mail | Kind::Logins => !self.number.is_multiple_of(32),
        };
        let (connection, login) = if is_mail { self.mail() } else { (self.other(), None) };
        let taken = connection.iter().map(|frame| 16 + frame.octets.len() as u64).sum::<u64>();
        self.begun += taken;
        self.begun_mail += if is_mail { taken } else { 0 };
        (connection, login)
    }

    fn mail(&mut self) -> (Vec<Captured>, Option<Login>) {
        let has_message = match self.kind {
            Kind::Mix => self.random.chance(50),
            Kind::Mail => true,
            Kind::Logins => false,
        };
        let (mut dialogue, mut login) = if has_message && self.random.chance(5) {
            (sessions::starttls(&mut self.random), None)
        } else {
            let (dialogue, login) = sessions::session(self.number, has_message, &mut self.random);
            (dialogue, Some(login))
        };
        if self.random.chance(8) {
            dialogue.port += 10_000;
        }
        let server = self.server(dialogue.port);
        if let Some(login) = &mut login {
            login.server = server;
        }
        (self.play(dialogue, server), login)
    }

    fn other(&mut self) -> Vec<Captured> {
        let kind = if self.kind == Kind::Mix { self.random.below(8) } else { 7 };
        let dialogue = match kind {
            0..3 => others::web_tls(&mut self.random),
            3 | 4 => others::web(self.number, &mut self.random),
            5 | 6 => {
                let [client, server] = [self.client(), self.server(443)];
                return others::datagrams(client, server, &mut self.random);
            }
            _ => others::alike(self.number, &mut self.random),
        };
        let server = self.server(dialogue.port);
        self.play(dialogue, server)
    }

    /// No two connections have the same client and port.
    fn client(&self) -> Endpoint {
        const CLIENTS: u32 = 4096;
        let port = 1024 + (self.number / CLIENTS) % 60_000;
        Endpoint { address: Endpoint::v4(0x0a00_0001 + self.number % CLIENTS), port: port as u16 }
    }

    fn server(&self, port: u16) -> Endpoint {
        Endpoint { address: Endpoint::v4(0xc633_6401 + self.number % 250), port }
    }

    /// The frames of a dialogue, some as networks and span ports leave them.
    fn play(&mut self, dialogue: Dialogue, server: Endpoint) -> Vec<Captured> {
        let isn = self.random.draw();
        let client = self.client();
        let packets = dialogue.transcript.between(client, server).isn(isn as u32, (isn >> 32) as u32).play();
        let random = &mut self.random;
        let packets = match random.below(25) {
            0 => shake::reorder(&packets, 2, random),
            1 => shake::duplicate(&packets, 10, random),
            2 if packets.len() < FEW => shake::resegment(&packets, 8, random),
            _ => packets,
        };
        frames(&packets, Link::Ethernet)
    }
}
