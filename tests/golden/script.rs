//! The form of `dialogue.txt`; `testdata/cases/README.md` tells it to people.

use barewire::testing::{PUSH, Packet, Speaker, Stray, Transcript, URGENT};
use barewire::wire::{Endpoint, Flags, Timestamp};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A case as it is written down.
pub(crate) struct Script {
    /// Options of the program.
    pub(crate) options: Vec<String>,
    /// `id{word,word}` of every finding that must be told.
    pub(crate) findings: Vec<String>,
    /// `user mechanism outcome validity` of every login, in their order.
    pub(crate) logins: Vec<String>,
    /// Octets that the capture kept of each frame.
    pub(crate) snap: usize,
    connections: Vec<Transcript>,
}

impl Script {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut script = Self {
            options: Vec::new(),
            findings: Vec::new(),
            logins: Vec::new(),
            snap: usize::MAX,
            connections: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            script.line(line);
        }
        script
    }

    /// All packets in segments of at most `segment` octets; of several connections in the order of time.
    pub(crate) fn packets(&self, segment: usize) -> Vec<Packet> {
        let play = |connection: &Transcript| connection.clone().segment(segment).play();
        let mut packets: Vec<Packet> = self.connections.iter().flat_map(play).collect();
        // The clock of one alone may go backwards.
        if self.connections.len() > 1 {
            packets.sort_by_key(|packet| packet.time);
        }
        packets
    }

    fn line(&mut self, line: &str) {
        let (kind, rest) = line.split_at(2.min(line.len()));
        match kind {
            "# " | "#" => {}
            "$ " => self.options.extend(rest.split(' ').map(str::to_owned)),
            "! " => match rest.strip_prefix("login ") {
                Some(login) => self.logins.push(login.to_owned()),
                None => self.findings.push(rest.to_owned()),
            },
            // No two connections begin with the same numbers.
            "@ " => self.connections.push(connection(rest, self.connections.len() as u32)),
            "> " => self.change(|transcript| transcript.stray(stray(rest))),
            "~ " => self.change(|transcript| transcript.set_clock(rest.parse().expect("seconds"))),
            "% " => self.snap = rest.parse().expect("octets"),
            "T:" => tls(rest.trim()).into_iter().for_each(|(speaker, octets)| {
                self.change(|transcript| transcript.say(speaker, &octets));
            }),
            _ => self.turn(kind, rest),
        }
    }

    fn turn(&mut self, kind: &str, rest: &str) {
        let speaker = match kind.as_bytes() {
            [b'C', _] => Speaker::Client,
            [b'S', _] => Speaker::Server,
            _ => panic!("no line of a dialogue: {kind}{rest}"),
        };
        let said = rest.strip_prefix(' ').unwrap_or(rest);
        let line = [said.as_bytes(), b"\r\n"].concat();
        self.change(|transcript| match &kind[1..] {
            ":" => transcript.say(speaker, &line),
            "+" => transcript.say_more(&line),
            "-" => transcript.say(speaker, &unescaped(said)),
            "&" => transcript.say_more(&unescaped(said)),
            "?" => transcript.say(speaker, &line).lose_last(),
            other => panic!("no way to say: {other}"),
        });
    }

    fn change(&mut self, how: impl FnOnce(Transcript) -> Transcript) {
        let last = self.connections.pop().expect("a connection begins with a line @");
        self.connections.push(how(last));
    }
}

/// `port=25 client=... server=... at=1.5 isn=7,9 midstream unfinished reset only=client`.
fn connection(settings: &str, number: u32) -> Transcript {
    let value = |name: &str| settings.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let has = |name: &str| settings.split(' ').any(|word| word == name);
    let port = value("port").map_or(110, |port| port.parse().expect("a port"));
    let client = endpoint(value("client").unwrap_or("192.0.2.10:40000"), 0);
    let server = endpoint(value("server").unwrap_or("198.51.100.25"), port);
    let at: f64 = value("at").map_or(0.0, |seconds| seconds.parse().expect("seconds"));
    let start = Timestamp(1_700_000_000_000_000_000 + (at * 1e9) as u64);
    let isn = (1000 + 7919 * number, 5000 + 104_729 * number);
    let mut transcript = Transcript::new(port).between(client, server).isn(isn.0, isn.1).at(start);
    if let Some((client, server)) = value("isn").and_then(|isn| isn.split_once(',')) {
        transcript = transcript.isn(client.parse().expect("a number"), server.parse().expect("a number"));
    }
    if has("midstream") {
        transcript = transcript.midstream();
    }
    if has("unfinished") {
        transcript = transcript.unfinished();
    }
    match value("reset").or(value("only")) {
        None => transcript,
        Some(end) => {
            let speaker = if end == "client" { Speaker::Client } else { Speaker::Server };
            if value("only").is_some() { transcript.only(speaker) } else { transcript.reset_by(speaker) }
        }
    }
}

/// `C FA seq=-1 ack=2 urgent=3 : octets`.
fn stray(text: &str) -> Stray {
    let (head, said) = text.split_once(" : ").unwrap_or((text, ""));
    let mut words = head.split(' ');
    let speaker = if words.next() == Some("C") { Speaker::Client } else { Speaker::Server };
    let flag = |letter| match letter {
        'S' => Flags::SYN,
        'A' => Flags::ACK,
        'F' => Flags::FIN,
        'R' => Flags::RST,
        'P' => PUSH,
        'U' => URGENT,
        other => panic!("no flag: {other}"),
    };
    let flags = words.next().expect("flags").chars().map(flag).fold(0, |flags, flag| flags | flag);
    let mut stray = Stray { speaker, flags, seq: 0, ack: 0, urgent: 0, payload: unescaped(said) };
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        match name {
            "seq" => stray.seq = value.parse().expect("a number"),
            "ack" => stray.ack = value.parse().expect("a number"),
            "urgent" => stray.urgent = value.parse().expect("a number"),
            other => panic!("no setting of a packet: {other}"),
        }
    }
    stray
}

fn endpoint(text: &str, port: u16) -> Endpoint {
    let (ip, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip(), address.port()),
        Err(_) => (text.parse().unwrap_or_else(|_| panic!("no address: {text}")), port),
    };
    let address = match ip {
        IpAddr::V4(v4) => Endpoint::v4(v4.into()),
        IpAddr::V6(v6) => v6.into(),
    };
    Endpoint { address, port }
}

/// `\r`, `\n`, `\0`, `\\` and `\xHH`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let (octet, len) = match &rest.as_bytes()[at + 1..] {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b'0', ..] => (0, 1),
            [b'\\', ..] => (b'\\', 1),
            [b'x', ..] => (u8::from_str_radix(&rest[at + 2..at + 4], 16).expect("two hexadecimal digits"), 3),
            _ => panic!("no escape: {rest}"),
        };
        octets.push(octet);
        rest = &rest[at + 1 + len..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

/// The flights of a recorded handshake, `name` or `name N`: only the first N of them.
fn tls(what: &str) -> Vec<(Speaker, Vec<u8>)> {
    let (name, flights) = what.split_once(' ').unwrap_or((what, ""));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/tls/{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<(Speaker, String)> = Vec::new();
    for line in text.lines() {
        match line.split_at_checked(2) {
            Some(("C ", digits)) => found.push((Speaker::Client, digits.to_owned())),
            Some(("S ", digits)) => found.push((Speaker::Server, digits.to_owned())),
            Some(("  ", digits)) => found.last_mut().expect("a flight goes on").1.push_str(digits),
            _ => {}
        }
    }
    let octets = |digits: &str| -> Vec<u8> {
        (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits")).collect()
    };
    let wanted = flights.parse().unwrap_or(usize::MAX);
    found.into_iter().take(wanted).map(|(speaker, digits)| (speaker, octets(&digits))).collect()
}
