//! Where a finding can occur at all, so that a report of checks does not claim to have looked where there was nothing to
//! look at.

use super::FindingId;
use crate::mail::Protocol;

/// What a server must have been seen to do before a finding about it is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Any connection.
    Connection,
    /// A connection that began in clear.
    ClearStart,
    /// A login in clear.
    Login,
    /// A TLS handshake.
    Tls,
    /// It is about the capture, or about several servers.
    NoServer,
}

impl FindingId {
    /// What must have been seen.
    #[must_use]
    pub fn needs(self) -> Needs {
        use FindingId as Id;
        match self {
            Id::CleartextPassword
            | Id::CleartextBearerToken
            | Id::CrackableAuthExchange
            | Id::CleartextUnknownMechanism
            | Id::CleartextUsername
            | Id::AnonymousLogin
            | Id::LoginDespiteLogindisabled
            | Id::AuthMechanismDowngrade
            | Id::RepeatedAuthFailure
            | Id::WeakSecret => Needs::Login,
            Id::ServerAcceptsCleartextAuth
            | Id::PlaintextAuthAdvertised
            | Id::StarttlsNotOffered
            | Id::StarttlsOfferedUnused
            | Id::StarttlsRefused
            | Id::CleartextAfterStarttlsRefused
            | Id::StarttlsAcceptedNoTls
            | Id::StarttlsStripped
            | Id::StarttlsOfferRegressed
            | Id::StarttlsCommandInjection
            | Id::StarttlsResponseInjection
            | Id::ImapPreauthCleartext
            | Id::ServerInstructionInClear
            | Id::EsmtpDowngradeToHelo
            | Id::TlsFallbackToCleartext
            | Id::RequiretlsViolated
            | Id::MtaCleartextTransfer
            | Id::CleartextMessageContent
            | Id::ProtocolDesync => Needs::ClearStart,
            Id::TlsHandshakeFailed | Id::TlsDeprecatedVersion | Id::TlsWeakCipher | Id::TlsCertificateProblem => {
                Needs::Tls
            }
            Id::ImplicitTlsPortCleartext | Id::StreamAmbiguousOverlap => Needs::Connection,
            Id::CredentialReuse | Id::CoverageGap => Needs::NoServer,
        }
    }

    /// Whether it can be about a server of that protocol.
    #[must_use]
    pub fn concerns(self, protocol: Protocol) -> bool {
        use FindingId as Id;
        match self {
            Id::ImapPreauthCleartext => protocol == Protocol::Imap,
            Id::EsmtpDowngradeToHelo | Id::RequiretlsViolated | Id::MtaCleartextTransfer => {
                matches!(protocol, Protocol::Smtp | Protocol::Lmtp)
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::CATALOGUE;

    #[test]
    fn what_has_no_server_in_its_key_needs_none() {
        for entry in &CATALOGUE {
            assert_eq!(entry.key.holds_server(), entry.id.needs() != Needs::NoServer, "{}", entry.name);
        }
    }
}
