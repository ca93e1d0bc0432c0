//! `event.id` of logins and sessions: from what was on the wire only, so that replays and resends deduplicate.
//! Findings bring their own, see [`crate::finding::Collected::uid`].

use crate::finding::Uid;
use sha2::{Digest as _, Sha256};

/// Of the record numbered `ordinal` of a connection that began at `start` nanoseconds.
pub(super) fn event_id(dataset: &str, community_id: &[u8], start: u64, ordinal: u32) -> Uid {
    let mut hash = Sha256::new();
    hash.update(dataset);
    hash.update([0]);
    hash.update(community_id);
    hash.update([0]);
    hash.update(start.to_be_bytes());
    hash.update(ordinal.to_be_bytes());
    Uid::from_digest(&hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_tells_records_apart() {
        let id = event_id("barewire.login", b"1:x", 7, 1);
        assert_eq!(id, event_id("barewire.login", b"1:x", 7, 1));
        for other in [
            ("barewire.session", "1:x", 7, 1),
            ("barewire.login", "1:y", 7, 1),
            ("barewire.login", "1:x", 8, 1),
            ("barewire.login", "1:x", 7, 2),
        ] {
            assert_ne!(id, event_id(other.0, other.1.as_bytes(), other.2, other.3));
        }
    }
}
