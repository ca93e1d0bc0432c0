//! Files of evidence: which findings have one, and the second pass over the captures that fills them.
//!
//! Only the connections of those findings are kept, each as a [`Trail`]; no file stays open, so that a thousand of them
//! need no more than one descriptor. A file is written beside its place and moved there when it is whole.

use super::{Failure, can_be_read_again, identity};
use crate::capture::{Access, FileSet};
use crate::engine::of_datagram;
use crate::evidence::{self, Trail};
use crate::finding::{Collected, FindingId, Flow, Session, Uid};
use crate::ops::{console, counted, folder_of, one_line};
use crate::stream::FlowKey;
use crate::wire::{Defragmenter, Frame, PacketRef, Refusal, Segment, open};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Findings that have a file: more than anybody looks at, and each takes memory in the second pass.
const FILES: usize = 1000;

/// Packets of one connection in a file: a login stands at its beginning, and what follows are messages, overwritten.
const PACKETS: u64 = 10_000;

/// Connections of which it is remembered where they end; of others the file ends with the finding's own packet.
const ENDS: usize = 1_000_000;

/// Octets that wait to be written, of one connection.
const WAITING: usize = 64 * 1024;

/// A finding that gets a file; the least is the gravest, of equal ones the earliest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    severity: Reverse<u8>,
    first: PacketRef,
    uid: Uid,
    id: FindingId,
    flow: Flow,
    at: PacketRef,
}

/// What the second pass looks for.
#[derive(Default)]
pub(super) struct Wanted {
    /// The last of them on top.
    choices: BinaryHeap<Choice>,
    /// Last packets of connections, by their first.
    ends: HashMap<PacketRef, PacketRef, RandomState>,
    /// Findings about a connection for which there was no room.
    others: u64,
}

impl Wanted {
    pub(super) fn session(&mut self, session: &Session) {
        if self.ends.len() < ENDS {
            self.ends.insert(session.flow.start, session.end);
        }
    }

    pub(super) fn finding(&mut self, collected: &Collected) {
        let finding = &collected.finding;
        let Some(flow) = finding.flow else { return };
        let severity = Reverse(finding.severity);
        let (first, uid, id) = (collected.first, collected.uid, finding.id);
        self.choices.push(Choice { severity, first, uid, id, flow, at: finding.at });
        if self.choices.len() > FILES {
            self.choices.pop();
            self.others += 1;
        }
    }
}

/// A connection of the second pass.
struct Open {
    trail: Trail,
    start: PacketRef,
    end: PacketRef,
    /// Octets that wait to be written to all its files.
    out: Vec<u8>,
    packets: u64,
    files: Vec<Place>,
}

/// Where a file will stand, and what stands at its beginning.
struct Place {
    path: PathBuf,
    comment: String,
}

impl Place {
    fn beside(&self) -> PathBuf {
        self.path.with_extension("pcapng.part")
    }

    /// # Errors
    ///
    /// The file cannot be written.
    fn append(&self, octets: &[u8], is_first: bool) -> Result<(), Failure> {
        let path = self.beside();
        let mut options = OpenOptions::new();
        if is_first {
            // What a run before left, or somebody put there: it is not followed and not written to.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, &error)),
                _ => options.write(true).create_new(true).mode(0o600),
            };
        } else {
            options.append(true);
        }
        let file = options.open(&path);
        file.and_then(|mut file| file.write_all(octets)).map_err(|error| failed(&path, &error))
    }
}

/// A run that fails leaves no half file behind; what was moved to its place is not there any more.
impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.beside());
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::output(format!("writing {}: {error}", path.display()))
}

/// Makes the folder, for its owner alone, where it is not there, and refuses captures that cannot be read a second time or
/// that would be overwritten.
///
/// # Errors
///
/// One of these.
pub(super) fn prepare(folder: &Path, files: &[PathBuf]) -> Result<(), Failure> {
    if let Some(file) = files.iter().find(|file| !can_be_read_again(file)) {
        let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
        return Err(Failure::usage(format!(
            "--evidence reads the captures a second time, which {name} does not allow; save it to a file first"
        )));
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Failure::usage(format!("--evidence {}: {error}; name a folder", folder.display())))?;
    let identity = |path: &Path| fs::metadata(path).ok().as_ref().map(identity);
    let own = identity(folder);
    match files.iter().find(|file| own.is_some() && identity(folder_of(file)) == own) {
        Some(file) => Err(Failure::usage(format!(
            "--evidence: {} is in that folder, whose files are replaced; name another folder",
            file.display()
        ))),
        None => Ok(()),
    }
}

impl Wanted {
    /// Reads the captures again and writes a file for each finding that was chosen.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub(super) fn write(self, folder: &Path, files: &[PathBuf]) -> Result<(), Failure> {
        let mut captures = FileSet::open(files, Access::Read);
        let others = self.others;
        let mut pass = Pass::new(self, folder, captures.names());
        let mut fragments = Defragmenter::default();
        while let Some(frame) = captures.next_frame() {
            pass.take(&frame, &mut fragments)?;
        }
        let (written, cut, missing) = pass.finish()?;
        console::info(&format!("evidence: {} in {}", counted(written, "file"), folder.display()));
        for (count, what) in [
            (others, "have no file: there is one for each of the first 1,000 by severity"),
            (cut, "are about connections of more than 10,000 packets: their files hold the first of them"),
            (missing, "have no file: their packets were not found again"),
        ] {
            if count > 0 {
                console::warning(&format!("evidence: {} {what}", counted(count, "finding")));
            }
        }
        Ok(())
    }
}

/// The captures read a second time.
struct Pass {
    connections: Vec<Open>,
    by_key: HashMap<FlowKey, Vec<usize>, RandomState>,
}

impl Pass {
    fn new(wanted: Wanted, folder: &Path, names: &[String]) -> Self {
        let names: Arc<[String]> = names.iter().map(|name| one_line(name)).collect();
        let mut pass = Self { connections: Vec::new(), by_key: HashMap::default() };
        let mut uids: HashSet<Uid, RandomState> = HashSet::default();
        for choice in wanted.choices.into_sorted_vec() {
            // One that was written out twice for want of room is one.
            if !uids.insert(choice.uid) {
                continue;
            }
            let flow = choice.flow;
            let (key, _) = FlowKey::between(flow.client, flow.server);
            let own = pass.by_key.entry(key).or_default();
            let known = own.iter().copied().find(|&at| pass.connections[at].start == flow.start);
            let at = known.unwrap_or_else(|| {
                own.push(pass.connections.len());
                pass.connections.push(Open {
                    trail: Trail::new(flow, Arc::clone(&names)),
                    start: flow.start,
                    end: wanted.ends.get(&flow.start).copied().unwrap_or(choice.at),
                    out: Vec::new(),
                    packets: 0,
                    files: Vec::new(),
                });
                pass.connections.len() - 1
            });
            let path = folder.join(format!("{}.pcapng", choice.uid));
            pass.connections[at].files.push(Place { path, comment: comment(&choice, &names) });
        }
        pass
    }

    fn take(&mut self, frame: &Frame<'_>, fragments: &mut Defragmenter) -> Result<(), Failure> {
        match open(frame) {
            Ok(segment) => self.segment(&segment, frame.at),
            Err(Refusal::Skip(_)) => Ok(()),
            Err(Refusal::Fragment(fragment)) => {
                // Each layer has its number, so this ends.
                let whole = fragments.push(&fragment, frame.clock);
                whole.iter().try_for_each(|datagram| self.take(&of_datagram(frame, datagram), fragments))
            }
        }
    }

    fn segment(&mut self, segment: &Segment<'_>, at: PacketRef) -> Result<(), Failure> {
        let (key, _) = FlowKey::between(segment.source, segment.destination);
        let Some(own) = self.by_key.get(&key) else { return Ok(()) };
        for &index in own {
            let open = &mut self.connections[index];
            let is_within = open.start.order(&at) != Ordering::Greater && at.order(&open.end) != Ordering::Greater;
            if !is_within {
                continue;
            }
            open.packets += 1;
            if open.packets > PACKETS {
                continue;
            }
            if open.packets == 1 {
                open.begin()?;
            }
            open.trail.push(segment, at, &mut open.out);
            if open.out.len() > WAITING {
                open.flush()?;
            }
        }
        Ok(())
    }

    /// How many files there are, how many of them do not hold all packets, and of how many findings no packet was found.
    fn finish(self) -> Result<(u64, u64, u64), Failure> {
        let (mut written, mut cut, mut missing) = (0, 0, 0);
        for mut open in self.connections {
            let files = open.files.len() as u64;
            if open.packets == 0 {
                missing += files;
                continue;
            }
            open.trail.finish(&mut open.out);
            open.flush()?;
            for file in &open.files {
                fs::rename(file.beside(), &file.path).map_err(|error| failed(&file.path, &error))?;
            }
            written += files;
            cut += if open.packets > PACKETS { files } else { 0 };
        }
        Ok((written, cut, missing))
    }
}

impl Open {
    fn begin(&self) -> Result<(), Failure> {
        self.files.iter().try_for_each(|file| file.append(&evidence::begin(&file.comment), true))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.files.iter().try_for_each(|file| file.append(&self.out, false))?;
        self.out.clear();
        Ok(())
    }
}

/// What stands at the beginning of a file.
fn comment(choice: &Choice, names: &[String]) -> String {
    let Choice { severity: Reverse(severity), id, flow, at, .. } = choice;
    let name = names.get(at.input as usize).map_or("", String::as_str);
    let [client, server] = [flow.client, flow.server].map(|end| SocketAddr::new(end.ip(), end.port));
    format!(
        "barewire {}: finding {} (severity {severity}), shown by packet {} of {name}. All packets of its connection, {} from \
         {client} to {server}, out of tunnels and fragments, with headers made anew. Every secret, and everything that \
         was not understood, is overwritten with X (0x58) at its length. The comment of a packet says which one of the \
         capture it was.",
        env!("CARGO_PKG_VERSION"),
        id.name(),
        at.number,
        flow.protocol.info().title,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{collect, replay};

    #[test]
    fn of_too_many_findings_the_gravest_and_then_the_earliest_are_chosen() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/office.pcap");
        let one = collect(&replay(&[sample]).0).into_iter().find(|one| one.finding.flow.is_some()).expect("a finding");
        let mut wanted = Wanted::default();
        for number in 0..1500 {
            let mut next = one.clone();
            next.finding.severity = 1 + (number % 5) as u8;
            next.first = PacketRef { number: 1500 - number, ..next.first };
            wanted.finding(&next);
        }
        let mut of_the_input = one;
        of_the_input.finding.flow = None;
        wanted.finding(&of_the_input);
        assert_eq!((wanted.choices.len(), wanted.others), (FILES, 500));
        let chosen: Vec<(u8, u64)> =
            wanted.choices.into_sorted_vec().iter().map(|choice| (choice.severity.0, choice.first.number)).collect();
        assert_eq!(chosen.iter().filter(|(severity, _)| *severity >= 3).count(), 900);
        assert_eq!((chosen[0], chosen[900], chosen[999]), ((5, 1), (2, 4), (2, 499)));
    }
}
