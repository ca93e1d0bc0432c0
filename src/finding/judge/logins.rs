//! What was disclosed: passwords, tokens, exchanges to guess from, names; and what the server made of it.

use super::{Case, Court, was_answered};
use crate::finding::catalogue::FindingId;
use crate::finding::record::{Finding, Login, Record};
use crate::mail::{
    Attempt, Confidence, LoginOffer, Outcome, Reason, SecretClass, UNKNOWN_MECHANISM, Username, Variant,
};
use crate::stream::{Direction, Mark};

/// Replies that say: not without TLS (RFC 4954 §6, RFC 3207 §4, RFC 5530 §3, RFC 4643 §2, RFC 5804 §1.3).
const NOT_IN_CLEAR: [&str; 6] = ["538", "530", "523", "PRIVACYREQUIRED", "483", "ENCRYPT-NEEDED"];

/// Where an exposure stands between STARTTLS and TLS: in the published attack it is the attacker's own account.
const INJECTED: &str = "pre-tls-injected";

impl Case {
    pub(super) fn login(&mut self, mut attempt: Attempt, court: &mut Court<'_>) {
        self.clear.attempts = self.clear.attempts.saturating_add(1);
        self.is_asymmetric |= attempt.outcome == Outcome::Unknown(Reason::Asymmetric);
        self.clear.was_let_in |= attempt.outcome == Outcome::Accepted;
        self.clear.may_be_in |= matches!(attempt.outcome, Outcome::Unknown(_));
        self.clear.is_logged_in |= self.clear.was_let_in;
        let weakness = court.policy.weak_secrets.as_ref().and_then(|weak| {
            let user = attempt.user.as_ref().map_or("", |user| user.as_str());
            attempt.secret.as_ref().and_then(|secret| secret.weakness(user, &weak.digests))
        });
        let knew = self.offers.logins_at(attempt.mark);
        let fingerprint = attempt.fingerprint(court.key);
        if attempt.is_ambiguous {
            self.ambiguity.get_or_insert_default().holds = Some("credential");
        }
        let login = Login {
            flow: self.acting(court),
            ordinal: self.clear.attempts,
            at: attempt.mark.at,
            validity: attempt.validity(),
            is_empty: attempt.secret.take().is_some_and(|secret| secret.is_empty()),
            strength: attempt.strength,
            is_injected: self.is_injected(attempt.mark),
            mechanism: attempt.mechanism,
            variant: attempt.variant,
            class: attempt.class,
            user: attempt.user,
            domain: attempt.domain,
            authzid: attempt.authzid,
            fingerprint,
            is_ambiguous: attempt.is_ambiguous,
            other_fingerprint: attempt.other_fingerprint,
            outcome: attempt.outcome,
            is_inferred: attempt.is_inferred,
            code: attempt.code,
            confidence: match attempt.is_ambiguous {
                true => attempt.confidence.min(self.confidence).min(Confidence::Probable),
                false => attempt.confidence.min(self.confidence),
            },
            starttls: self.starttls(self.offers.at(attempt.mark)),
        };
        // What the connection went through first: it weighs on the exposure.
        if !login.is_injected && login.class != SecretClass::None {
            self.clear.has_credential = true;
            self.act_in_clear(attempt.mark, Some(login.outcome), court);
        }
        self.expose(&login, court);
        if matches!(login.class, SecretClass::Password | SecretClass::Bearer) && !login.is_injected {
            self.judge_disclosure(&login, knew, court);
        }
        if let Some(kind) = weakness {
            let mut finding = self.login_finding(FindingId::WeakSecret, &login);
            finding.evidence_mut().kind = Some(kind);
            self.raise(finding, court);
        }
        court.records.push(Record::Login(Box::new(login)));
    }

    /// The exposure itself.
    fn expose(&mut self, login: &Login, court: &mut Court<'_>) {
        let is_anonymous = login.mechanism.as_bytes() == b"ANONYMOUS"
            || login.user.as_ref().is_some_and(|user| user.as_bytes().eq_ignore_ascii_case(b"anonymous"));
        let id = match login.class {
            SecretClass::Password => FindingId::CleartextPassword,
            SecretClass::Bearer => FindingId::CleartextBearerToken,
            SecretClass::Crackable => FindingId::CrackableAuthExchange,
            SecretClass::None if login.mechanism.as_str() == UNKNOWN_MECHANISM => FindingId::CleartextUnknownMechanism,
            SecretClass::None if is_anonymous => FindingId::AnonymousLogin,
            SecretClass::None if login.user.is_some() => FindingId::CleartextUsername,
            SecretClass::None => return,
        };
        let mut finding = self.login_finding(id, login);
        if id == FindingId::CrackableAuthExchange {
            // Rounds make guessing slow (RFC 5802 §9).
            finding.severity -= u8::from(login.mechanism.as_str().starts_with("SCRAM-"));
            finding.evidence_mut().strength = login.strength;
        }
        self.raise(finding, court);
    }

    /// What a disclosed secret says of server and client.
    fn judge_disclosure(&mut self, login: &Login, knew: Option<LoginOffer>, court: &mut Court<'_>) {
        if login.outcome == Outcome::Accepted && !login.is_inferred {
            let finding = self.login_finding(FindingId::ServerAcceptsCleartextAuth, login);
            self.raise(finding, court);
        }
        if let Some(kind) = forbidden(login, knew) {
            let mut finding = self.login_finding(FindingId::LoginDespiteLogindisabled, login);
            finding.evidence_mut().kind = Some(kind);
            self.raise(finding, court);
        }
        let kind = match knew {
            Some(LoginOffer { challenge: true, .. }) => "stronger-offered",
            _ if self.clear.challenge_refused => "stronger-refused",
            _ => return,
        };
        if login.class == SecretClass::Password {
            let mut finding = self.login_finding(FindingId::AuthMechanismDowngrade, login);
            finding.evidence_mut().kind = Some(kind);
            self.raise(finding, court);
        }
    }

    fn login_finding(&self, id: FindingId, login: &Login) -> Finding {
        let mut finding = Finding {
            confidence: login.confidence,
            starttls: Some(login.starttls.clone()),
            user: login.user.clone(),
            authzid: login.authzid.clone(),
            mechanism: Some(login.mechanism.clone()),
            outcome: Some(login.outcome),
            validity: login.validity,
            fingerprint: login.fingerprint,
            ..Finding::new(id, None, login.at, login.confidence)
        };
        if login.is_injected {
            finding.evidence_mut().context = Some(INJECTED);
        }
        finding
    }

    /// Whether what ends at `mark` stands between STARTTLS and the ClientHello.
    fn is_injected(&self, mark: Mark) -> bool {
        let commands = self.upgrade.injections.iter().map(|(_, injection)| injection);
        commands
            .filter(|injection| injection.direction == Direction::ToServer)
            .any(|injection| mark.end > injection.begin && mark.end <= injection.begin + injection.octets)
    }

    /// Names that were sent without any secret, and what the lists advertised.
    pub(super) fn conclude_logins(&mut self, court: &mut Court<'_>) {
        for Username { user, mechanism, mark } in std::mem::take(&mut self.clear.usernames).into_value() {
            let mut finding = self.finding(FindingId::CleartextUsername, mark.at, self.offers.at(mark));
            if self.is_injected(mark) {
                finding.evidence_mut().context = Some(INJECTED);
            }
            (finding.user, finding.mechanism) = (Some(user), Some(mechanism));
            self.raise(finding, court);
        }
        let is_accepted = self.has_raised(FindingId::ServerAcceptsCleartextAuth);
        if self.offers.advertises_password && !is_accepted && !self.is_implicit_tls {
            let at = court.flow.start;
            let mut finding = self.finding(FindingId::PlaintextAuthAdvertised, at, self.offers.overall());
            self.add_list(&mut finding);
            self.raise(finding, court);
        }
    }

    /// The last capability list as evidence.
    pub(super) fn add_list(&self, finding: &mut Finding) {
        if let Some(list) = self.offers.list() {
            let evidence = finding.evidence_mut();
            (evidence.offer_source, evidence.capabilities) = (Some(list.source), Some(list.words.clone()));
            evidence.kind = evidence.kind.or(list.is_in_first_line.then_some("starttls-in-first-line"));
        }
    }
}

/// How the server forbade this login, if it did: by what the client knew before, or by its answer.
fn forbidden(login: &Login, knew: Option<LoginOffer>) -> Option<&'static str> {
    let is_sasl = matches!(login.variant, Variant::InitialResponse | Variant::Continuation);
    let announced = knew.is_some_and(|offer| if is_sasl { !offer.any } else { offer.forbids_command });
    let said_afterwards = login.code.as_ref().is_some_and(|code| NOT_IN_CLEAR.contains(&code.as_str()));
    match (announced, said_afterwards && was_answered(login.outcome)) {
        (true, _) => Some("announced"),
        (false, true) => Some("afterwards"),
        (false, false) => None,
    }
}
