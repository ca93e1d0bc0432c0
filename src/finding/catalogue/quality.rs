//! How good the evidence is.

use super::{Category, Entry, FindingId, Key};

pub(super) const STREAM_AMBIGUOUS_OVERLAP: Entry = Entry {
    id: FindingId::StreamAmbiguousOverlap,
    name: "stream-ambiguous-overlap",
    title: "Copies of the same octets differ",
    description: "Two packets claim the same place in the stream and say different things. Receivers disagree on which \
                  they take, so somebody may hide from a sensor what the server reads, or a device on the path \
                  rewrites the dialogue. Both copies were read; what depends on the choice is told as unknown.",
    proof: "Octets of a mail connection before TLS that were captured twice and differ, other than the one octet of a \
            keep-alive; or an octet marked urgent, which some receivers leave out.",
    remediation: "Compare time to live, checksums and place of the two packets in the capture: a copy that was sent \
                  from elsewhere is an injection. Look for a device that rewrites mail, and use TLS from the first \
                  octet.",
    modifiers: &[],
    severity: 3,
    category: Category::Quality,
    key: Key::ServerClient,
    rfcs: &[],
    cwes: &[],
    cves: &[],
    papers: &[
        "Ptacek, Newsham: Insertion, Evasion, and Denial of Service: Eluding Network Intrusion Detection, 1998",
        "Aubard et al.: Overlapping data in network protocols: bridging OS and NIDS reassembly gap, 2025",
    ],
    techniques: &[],
};

pub(super) const PROTOCOL_DESYNC: Entry = Entry {
    id: FindingId::ProtocolDesync,
    name: "protocol-desync",
    title: "The dialogue could not be followed",
    description: "The dialogue of a connection stopped to make sense and was given up, or taken up again later. What \
                  was said in between is not judged.",
    proof: "Lines that no rule of the protocol allows, in both directions or after a gap.",
    remediation: "Look at the capture for gaps, and for a device that rewrites mail; report the dialogue where it is \
                  valid.",
    modifiers: &[],
    severity: 1,
    category: Category::Quality,
    key: Key::ServerClient,
    rfcs: &[],
    cwes: &[],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const COVERAGE_GAP: Entry = Entry {
    id: FindingId::CoverageGap,
    name: "coverage-gap",
    title: "The capture does not hold all of the mail traffic",
    description: "Packets of mail connections are missing from the input, so something may have been said that \
                  nobody judged. Findings that need proof of absence are left out for those connections.",
    proof: "A gap in a mail connection, one direction missing, frames cut by the snap length, or packets dropped.",
    remediation: "Check the span port for both directions and for drops, raise the ring size, capture whole frames.",
    modifiers: &[],
    severity: 1,
    category: Category::Quality,
    key: Key::Input,
    rfcs: &[],
    cwes: &[],
    cves: &[],
    papers: &[],
    techniques: &[],
};
