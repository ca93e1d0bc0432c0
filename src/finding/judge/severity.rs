//! How grave a finding is on this connection: what the catalogue says, and what raises or lowers it here.

use super::Case;
use crate::finding::catalogue::{Category, FindingId};
use crate::finding::policy::{Policy, is_public};
use crate::finding::record::{Finding, Flow};
use crate::mail::{Confidence, Validity};

/// An exposure counts more next to one of these: somebody may be at work on the path.
const ATTACKS: [FindingId; 6] = [
    FindingId::CleartextAfterStarttlsRefused,
    FindingId::StarttlsStripped,
    FindingId::StarttlsCommandInjection,
    FindingId::StarttlsResponseInjection,
    FindingId::ImapPreauthCleartext,
    FindingId::TlsFallbackToCleartext,
];

/// Findings of which a secret is the subject.
pub(super) fn is_exposure(id: FindingId) -> bool {
    use FindingId::{CleartextBearerToken, CleartextPassword, CrackableAuthExchange};
    matches!(id, CleartextPassword | CleartextBearerToken | CrackableAuthExchange)
}

/// Findings that weigh by what the login was and where it passed.
fn weighs_as_login(id: FindingId) -> bool {
    is_exposure(id) || matches!(id, FindingId::CleartextUnknownMechanism | FindingId::CleartextUsername)
}

impl Case {
    /// The severity of a finding here; what it holds already is its base.
    pub(super) fn weigh(&self, finding: &Finding, policy: &Policy) -> u8 {
        let Some(flow) = &finding.flow else { return finding.severity };
        let mut severity = finding.severity;
        if weighs_as_login(finding.id) {
            severity = self.weigh_exposure(finding, flow, policy);
        }
        let is_guess = finding.confidence == Confidence::Possible;
        if is_guess && finding.id.entry().category != Category::Exposure {
            severity = severity.min(2);
        }
        policy.weigh_place(severity.clamp(1, 5), flow)
    }

    /// A secret that works weighs more on a public path, for a powerful account, and where somebody tampers with the
    /// connection. Without proof that it works nothing is critical.
    fn weigh_exposure(&self, finding: &Finding, flow: &Flow, policy: &Policy) -> u8 {
        if finding.evidence.as_ref().is_some_and(|evidence| evidence.context.is_some()) {
            return finding.severity.min(2);
        }
        let works = finding.validity == Validity::Valid;
        let is_public = is_public(flow.client) || is_public(flow.server);
        let user = finding.user.as_ref().map_or("", |user| user.as_str());
        let is_powerful = finding.authzid.is_some() || policy.is_privileged(user);
        let is_attacked = ATTACKS.into_iter().any(|id| self.has_raised(id));
        let raised = finding.severity + u8::from(works && is_public) + u8::from(is_powerful) + u8::from(is_attacked);
        raised.min(if works { 5 } else { finding.severity.max(4) })
    }
}
