//! `event.id` of logins and sessions: from what was on the wire only, so that replays and resends deduplicate, and two
//! sensors on the path of one connection give one identity. Findings bring their own, see
//! [`crate::finding::Collected::uid`].

use crate::finding::{Flow, Offer, Session, Uid};
use sha2::{Digest as _, Sha256};

/// Of the record numbered `ordinal` of a connection.
///
/// What tells it from others between the same ends are the sequence numbers that both began with, which all sensors on its
/// path see alike, whatever their clocks say. Of one that was not seen to begin it is the time of its first captured packet.
pub(super) fn event_id(dataset: &str, community_id: &[u8], flow: &Flow, ordinal: u32) -> Uid {
    let mut hash = Sha256::new();
    hash.update(dataset);
    hash.update([0]);
    hash.update(community_id);
    hash.update([0]);
    match flow.isns {
        Some([client, server]) => {
            hash.update(b"isns");
            hash.update(client.to_be_bytes());
            hash.update(server.to_be_bytes());
        }
        None => hash.update(flow.start.time.0.to_be_bytes()),
    }
    hash.update(ordinal.to_be_bytes());
    Uid::from_digest(&hash.finalize().into())
}

/// The number of a session's record. Two views of one connection of which one has an offer that the other lacks are two
/// records: that they contradict each other is what matters.
pub(super) fn view(session: &Session) -> u32 {
    match session.starttls.offer {
        Offer::Unknown(_) => 0,
        Offer::Offered => 1,
        Offer::NotOffered => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Protocol;
    use crate::output::tests::endpoint;
    use crate::wire::{PacketRef, Timestamp};

    fn flow(start: u64, isns: Option<[u32; 2]>) -> Flow {
        Flow {
            client: endpoint("10.0.0.1", 40000),
            server: endpoint("10.0.0.2", 143),
            start: PacketRef { time: Timestamp(start), ..PacketRef::default() },
            protocol: Protocol::Imap,
            vlan: None,
            tunnel: None,
            isns,
        }
    }

    #[test]
    fn every_part_tells_records_apart() {
        let id = event_id("barewire.login", b"1:x", &flow(7, None), 1);
        assert_eq!(id, event_id("barewire.login", b"1:x", &flow(7, None), 1));
        for other in [
            ("barewire.session", "1:x", flow(7, None), 1),
            ("barewire.login", "1:y", flow(7, None), 1),
            ("barewire.login", "1:x", flow(8, None), 1),
            ("barewire.login", "1:x", flow(7, Some([0, 7])), 1),
            ("barewire.login", "1:x", flow(7, None), 2),
        ] {
            assert_ne!(id, event_id(other.0, other.1.as_bytes(), &other.2, other.3));
        }
    }

    #[test]
    fn clocks_do_not_matter_where_the_beginning_was_seen() {
        let id = |start, isns| event_id("barewire.login", b"1:x", &flow(start, Some(isns)), 1);
        assert_eq!(id(7, [1, 2]), id(8, [1, 2]));
        assert_ne!(id(7, [1, 2]), id(7, [2, 1]));
        assert_ne!(id(7, [1, 2]), id(7, [1, 3]));
    }
}
