//! Findings that somebody knows of and lets stand for a while. They are found and told as before, with the reason; what
//! depends on findings (the exit status, annotations) leaves them out until they expire.

use super::uid::Uid;
use crate::wire::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a finding may stand, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// In the words of whoever accepted it.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// From this time on it is a finding like others; `None`: never.
    pub expires: Option<Timestamp>,
    /// Of a graver one, 1 to 5, nothing was said; `None`: of any.
    pub severity: Option<u8>,
}

impl Acceptance {
    /// Whether it holds at a time.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.expires.is_none_or(|expires| at < expires)
    }
}

/// What was accepted, by the identity of findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline(BTreeMap<Uid, Arc<Acceptance>>);

impl Baseline {
    /// What holds at `now`: what has expired by then is as if it did not stand there.
    #[must_use]
    pub fn new(accepted: impl IntoIterator<Item = (Uid, Acceptance)>, now: Timestamp) -> Self {
        let accepted = accepted.into_iter().filter(|(_, acceptance)| acceptance.holds(now));
        Self(accepted.map(|(uid, acceptance)| (uid, Arc::new(acceptance))).collect())
    }

    /// What was said of a finding of that severity, if it holds at the time of its last packet: a live run may outlast it.
    #[must_use]
    pub fn acceptance(&self, uid: Uid, last: Timestamp, severity: u8) -> Option<Arc<Acceptance>> {
        let is_meant = |acceptance: &&Arc<Acceptance>| acceptance.severity.is_none_or(|most| severity <= most);
        self.0.get(&uid).filter(|acceptance| acceptance.holds(last)).filter(is_meant).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_expired_is_not_accepted() {
        let uid = Uid::from_digest(&[7; 32]);
        let until = |expires: Option<u64>| Acceptance {
            reason: "an old printer".to_owned(),
            owner: "ops".to_owned(),
            expires: expires.map(Timestamp),
            severity: Some(3),
        };
        for (expires, now, last, is_accepted) in [
            (None, 9, 9, true),
            (Some(10), 9, 9, true),
            // By the clock,
            (Some(10), 10, 5, false),
            // and while it runs.
            (Some(10), 9, 10, false),
        ] {
            let baseline = Baseline::new([(uid, until(expires))], Timestamp(now));
            assert_eq!(baseline.acceptance(uid, Timestamp(last), 3).is_some(), is_accepted, "{expires:?} {now} {last}");
        }
        let baseline = Baseline::new([(uid, until(None))], Timestamp(0));
        assert_eq!(baseline.acceptance(Uid::from_digest(&[8; 32]), Timestamp(0), 1), None);
        assert_eq!(baseline.acceptance(uid, Timestamp(0), 4), None, "graver than what was accepted");
    }
}
