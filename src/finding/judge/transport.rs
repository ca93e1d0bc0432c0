//! How the connection was protected: STARTTLS from the offer to TLS, and TLS as far as it is visible.

use super::{Case, Court, Ending, was_answered};
use crate::finding::catalogue::FindingId;
use crate::finding::record::{Finding, Offer};
use crate::mail::{
    CertificateFacts, CipherWeakness, Confidence, End, Injection, InjectionClass, Outcome, Protocol, StarttlsReply,
    Text, TlsFailure, TlsStep, cipher,
};
use crate::stream::{Direction, Mark};

/// A banner with so many asterisks is blanked out: PIX and ASA firewalls write them.
const BLANKS: usize = 20;

/// An RSA key shorter than this is weak (RFC 9325 §4.5).
const RSA_BITS: u32 = 2048;

impl Case {
    /// A credential or message passed in clear at `mark`. `outcome`: of a login.
    pub(super) fn act_in_clear(&mut self, mark: Mark, outcome: Option<Outcome>, court: &mut Court<'_>) {
        self.clear.first.get_or_insert(mark.at);
        let offer = self.offers.at(mark);
        self.clear.after_offer |= offer == Offer::Offered;
        if self.is_implicit_port && outcome.is_some() {
            self.tell(FindingId::ImplicitTlsPortCleartext, mark, court);
        }
        if self.tls.failed.is_some() {
            self.tell_with_path(FindingId::TlsFallbackToCleartext, mark, court);
        }
        let had_seen = mark.seen.is_none_or(|seen| seen >= self.upgrade.reply_end);
        let reply = self.upgrade.reply.as_ref().filter(|_| had_seen).map(|(reply, _)| *reply);
        match reply {
            // What a server answers in clear it has read in clear.
            Some(StarttlsReply::Accepted) if self.tls.begun.is_none() && outcome.is_none_or(was_answered) => {
                self.tell_with_path(FindingId::StarttlsAcceptedNoTls, mark, court);
            }
            Some(StarttlsReply::Accepted) => {}
            Some(_) => self.tell_with_path(FindingId::CleartextAfterStarttlsRefused, mark, court),
            None if self.is_masked() => self.tell_stripped(mark, court),
            None if offer == Offer::NotOffered && !self.is_implicit_port => {
                self.tell_not_offered(mark, outcome.is_some(), court);
            }
            None => {}
        }
    }

    /// Whether the offer stands blanked out, as devices on the path do it, and is nowhere else.
    pub(super) fn is_masked(&self) -> bool {
        let asterisks = |text: &Text| text.as_str().bytes().filter(|&c| c == b'*').count();
        let is_blanked = self.ends.banner.as_ref().is_some_and(|banner| asterisks(banner) >= BLANKS);
        let is_missing = self.offers.overall() == Offer::NotOffered;
        (self.offers.is_masked || is_blanked && is_missing || self.upgrade.masked_command) && !self.offers.ever
    }

    fn tell_stripped(&mut self, mark: Mark, court: &mut Court<'_>) {
        if self.has_raised(FindingId::StarttlsStripped) {
            return;
        }
        let mut finding = self.finding(FindingId::StarttlsStripped, mark.at, self.offers.at(mark));
        finding.confidence = finding.confidence.min(Confidence::Probable);
        finding.severity = 3;
        self.add_list(&mut finding);
        self.raise(finding, court);
    }

    fn tell_not_offered(&mut self, mark: Mark, is_login: bool, court: &mut Court<'_>) {
        // Who is logged in already cannot ask for TLS any more (RFC 3501 §6.2.1).
        if self.has_raised(FindingId::StarttlsNotOffered) || self.has_raised(FindingId::ImapPreauthCleartext) {
            return;
        }
        let mut finding = self.finding(FindingId::StarttlsNotOffered, mark.at, Offer::NotOffered);
        // Between servers, and from a server to its own store, TLS is opportunistic or not expected at all.
        finding.severity = match self.protocol {
            Protocol::Lmtp => 1,
            _ if is_login || !self.may_be_transfer(court) => 3,
            _ => 2,
        };
        self.add_list(&mut finding);
        self.raise(finding, court);
    }

    fn tell_with_path(&mut self, id: FindingId, mark: Mark, court: &mut Court<'_>) {
        if self.has_raised(id) {
            return;
        }
        let mut finding = self.finding(id, mark.at, self.offers.at(mark));
        finding.evidence_mut().path = Some(self.path());
        if let Some((by, cause)) = self.tls.failed {
            finding.evidence_mut().cause = Some(failure_text(by, cause));
        }
        self.raise(finding, court);
    }

    /// The states the connection went through: `offered>requested>refused>login`.
    fn path(&self) -> String {
        let mut states = vec![self.offers.overall().name()];
        if self.upgrade.is_requested {
            states.push("requested");
        }
        states.extend(self.upgrade.reply.as_ref().map(|(reply, _)| reply.name()));
        if self.tls.begun.is_some() {
            states.push("client-hello");
        }
        states.extend(self.tls.facts.version.map(|_| "server-hello"));
        states.extend(self.tls.failed.map(|_| "tls-failed"));
        states.push(if self.clear.has_credential { "login" } else { "message" });
        states.join(">")
    }

    /// Mail between servers, where TLS is opportunistic (RFC 3207): SMTP on port 25 without a login.
    pub(super) fn may_be_transfer(&self, court: &Court<'_>) -> bool {
        self.protocol == Protocol::Smtp && self.clear.attempts == 0 && self.acting(court).server.port == 25
    }

    pub(super) fn tls_step(&mut self, mark: Mark, step: TlsStep) {
        let tls = &mut self.tls;
        match step {
            TlsStep::ClientHelloBegins => drop(tls.begun.get_or_insert(mark)),
            TlsStep::ClientHello(hello) => tls.facts.hello = Some(hello),
            TlsStep::ServerHello { version, cipher } => {
                // The ClientHello may be lost.
                tls.begun.get_or_insert(mark);
                (tls.facts.version, tls.facts.cipher) = (Some(version), Some(cipher));
            }
            TlsStep::Certificate(certificate) => tls.facts.certificate = Some(certificate),
            TlsStep::Established => tls.established = true,
            TlsStep::ServerSpokeFirst => tls.server_reacted = true,
            TlsStep::Failed { by, cause } => {
                if !tls.established {
                    tls.failed = Some((by, cause));
                }
            }
        }
    }

    pub(super) fn is_tls(&self) -> Option<bool> {
        match (self.tls.established, self.tls.begun.is_some()) {
            (true, _) => Some(true),
            (false, true) if self.tls.failed.is_none() => None,
            (false, _) => Some(false),
        }
    }

    /// What is visible of TLS, once it is followed no further.
    pub(super) fn settle_tls(&mut self, court: &mut Court<'_>) {
        if std::mem::replace(&mut self.is_tls_settled, true) {
            return;
        }
        self.settle_injections(court);
        self.settle_version(court);
        self.settle_certificate(court);
    }

    fn settle_injections(&mut self, court: &mut Court<'_>) {
        for (mark, injection) in self.upgrade.injections.clone() {
            let id = match injection.direction {
                Direction::ToServer => FindingId::StarttlsCommandInjection,
                Direction::ToClient => FindingId::StarttlsResponseInjection,
            };
            // Replies that are owed to commands which were injected are the server's own.
            let is_owed = injection.direction == Direction::ToClient
                && self.upgrade.injections.iter().any(|(_, other)| other.direction == Direction::ToServer);
            let mut finding = self.finding(id, mark.at, self.offers.overall());
            self.weigh_injection(&mut finding, &injection);
            if is_owed {
                finding.confidence = finding.confidence.min(Confidence::Probable);
            }
            self.raise(finding, court);
        }
    }

    fn weigh_injection(&self, finding: &mut Finding, injection: &Injection) {
        let Injection { direction, class, timing, octets, .. } = *injection;
        let evidence = finding.evidence_mut();
        evidence.kind = Some(class.name(direction));
        evidence.octets = Some(octets);
        if direction == Direction::ToServer {
            evidence.timing = Some(timing);
            // ManageSieve speaks first under TLS by itself (RFC 5804 §2.2).
            let may_react = self.protocol != Protocol::ManageSieve;
            evidence.server_reacted = Some(self.tls.server_reacted && may_react);
            finding.severity += u8::from(self.tls.server_reacted && may_react);
        }
        if class == InjectionClass::Whitespace {
            finding.severity = 1;
        }
    }

    fn settle_version(&mut self, court: &mut Court<'_>) {
        let Some(version) = self.tls.facts.version else { return };
        let kind = match version {
            0x0002 => Some(("ssl2", 4)),
            0x0300 => Some(("ssl3", 4)),
            0x0301 => Some(("tls1.0", 3)),
            0x0302 => Some(("tls1.1", 3)),
            _ => None,
        };
        if let Some((kind, severity)) = kind {
            self.tell_tls(FindingId::TlsDeprecatedVersion, kind, severity, court);
        }
        if let Some((kind, severity)) = self.tls.facts.cipher.and_then(weakness) {
            self.tell_tls(FindingId::TlsWeakCipher, kind, severity, court);
        }
    }

    fn settle_certificate(&mut self, court: &mut Court<'_>) {
        let Some(certificate) = &self.tls.facts.certificate else { return };
        let asked = self.tls.facts.hello.as_ref().and_then(|hello| hello.server_name.as_ref());
        let seen_at = self.tls.begun.map_or(court.flow.start, |mark| mark.at).time.0 / 1_000_000_000;
        let problems = certificate_problems(certificate, asked, i64::try_from(seen_at).unwrap_or(i64::MAX));
        let [(kind, severity), also @ ..] = &problems[..] else { return };
        // Between servers TLS is opportunistic and certificates are mostly not looked at (RFC 7672 §1.3.2).
        let severity = if self.may_be_transfer(court) { 1 } else { *severity };
        let mut finding = self.tls_finding(FindingId::TlsCertificateProblem, kind, severity, court);
        finding.evidence_mut().also = also.iter().map(|(kind, _)| *kind).collect();
        self.raise(finding, court);
    }

    fn tell_tls(&mut self, id: FindingId, kind: &'static str, severity: u8, court: &mut Court<'_>) {
        let finding = self.tls_finding(id, kind, severity, court);
        self.raise(finding, court);
    }

    fn tls_finding(&self, id: FindingId, kind: &'static str, severity: u8, court: &Court<'_>) -> Finding {
        let at = self.tls.begun.map_or(court.flow.start, |mark| mark.at);
        let mut finding = self.finding(id, at, self.offers.overall());
        finding.severity = severity;
        let evidence = finding.evidence_mut();
        (evidence.kind, evidence.tls) = (Some(kind), self.tls.facts.clone());
        finding
    }

    /// Why TLS did not come about, when it began and both ends are in the capture.
    pub(super) fn tls_failure(&self, ending: &Ending) -> Option<Text> {
        if let Some((by, cause)) = self.tls.failed {
            return Some(failure_text(by, cause));
        }
        let is_whole = !ending.captured.contains(&false) && !ending.has_gap.contains(&true);
        let is_cut_short = self.tls.begun.is_some() && !self.tls.established && ending.end == End::Closed;
        let how = if ending.has_fin { &b"closed"[..] } else { b"reset" };
        (is_cut_short && is_whole).then(|| Text::new(how))
    }

    /// What needs the whole connection.
    pub(super) fn conclude_transport(&mut self, ending: &Ending, court: &mut Court<'_>) {
        if self.tls.begun.is_some() {
            self.settle_tls(court);
        }
        self.conclude_tls(ending, court);
        self.conclude_upgrade(ending, court);
        self.conclude_offer(ending, court);
    }

    fn conclude_tls(&mut self, ending: &Ending, court: &mut Court<'_>) {
        let Some(cause) = self.tls_failure(ending) else { return };
        if self.has_raised(FindingId::TlsFallbackToCleartext) {
            return;
        }
        let at = self.tls.begun.map_or(ending.at, |mark| mark.at);
        let mut finding = self.finding(FindingId::TlsHandshakeFailed, at, self.offers.overall());
        let facts = self.tls.facts.clone();
        let evidence = finding.evidence_mut();
        (evidence.cause, evidence.tls) = (Some(cause), facts);
        self.raise(finding, court);
    }

    fn conclude_upgrade(&mut self, ending: &Ending, court: &mut Court<'_>) {
        let reply = self.upgrade.reply.as_ref().map(|(reply, _)| *reply);
        let went_on = self.upgrade.went_on.filter(|_| self.tls.begun.is_none());
        match reply {
            Some(StarttlsReply::Accepted) => {
                if let Some(mark) = went_on
                    && !self.has_raised(FindingId::StarttlsAcceptedNoTls)
                {
                    let mut finding = self.finding(FindingId::StarttlsAcceptedNoTls, mark.at, self.offers.at(mark));
                    finding.severity = if self.clear.first.is_some() { 4 } else { 2 };
                    finding.evidence_mut().path = Some(self.path());
                    self.raise(finding, court);
                }
            }
            Some(reply) if !self.has_raised(FindingId::CleartextAfterStarttlsRefused) => {
                let mut finding = self.finding(FindingId::StarttlsRefused, ending.at, self.offers.overall());
                finding.evidence_mut().kind = Some(reply.name());
                self.raise(finding, court);
            }
            _ => {}
        }
    }

    fn conclude_offer(&mut self, ending: &Ending, court: &mut Court<'_>) {
        if self.is_implicit_tls || self.upgrade.is_requested || self.tls.begun.is_some() {
            return;
        }
        let is_orderly = self.goodbye || ending.has_fin;
        if self.is_implicit_port {
            return self.conclude_implicit_port(ending, court);
        }
        if self.is_masked() {
            let mark = Mark { at: ending.at, ..Mark::default() };
            return if is_orderly || self.clear.first.is_some() {
                self.tell_stripped(mark, court)
            };
        }
        // What was lost, or is compressed, may have been the request.
        let [client_gap, _] = ending.has_gap;
        let is_whole = !client_gap && !self.is_compressed;
        let ended = is_orderly || ending.end == End::Closed || ending.end == End::Idle;
        let was_unused = self.clear.after_offer || self.clear.first.is_none() && is_orderly;
        if self.offers.ever && is_whole && was_unused && ended {
            let at = self.clear.first.unwrap_or(ending.at);
            let mut finding = self.finding(FindingId::StarttlsOfferedUnused, at, Offer::Offered);
            finding.severity = if self.clear.after_offer { 3 } else { 1 };
            self.add_list(&mut finding);
            self.raise(finding, court);
        }
        let is_missing =
            self.offers.overall() == Offer::NotOffered && !self.has_raised(FindingId::ImapPreauthCleartext);
        if is_missing && self.clear.first.is_none() && is_orderly && !self.has_raised(FindingId::StarttlsNotOffered) {
            let mut finding = self.finding(FindingId::StarttlsNotOffered, ending.at, Offer::NotOffered);
            finding.severity = 1;
            self.add_list(&mut finding);
            self.raise(finding, court);
        }
    }

    /// Mail in clear where TLS should come first; a check that only connects says nothing.
    fn conclude_implicit_port(&mut self, ending: &Ending, court: &mut Court<'_>) {
        let [from_client, _] = ending.octets;
        if from_client == 0 || self.ends.style.is_none() || self.has_raised(FindingId::ImplicitTlsPortCleartext) {
            return;
        }
        let mut finding = self.finding(FindingId::ImplicitTlsPortCleartext, ending.at, self.offers.overall());
        finding.severity = 2;
        self.raise(finding, court);
    }
}

/// RFC 9325 §4.1 and §4.2.
fn weakness(suite: u16) -> Option<(&'static str, u8)> {
    Some(match cipher::weakness(suite)? {
        CipherWeakness::NullOrAnonOrExport => ("no-secrecy", 4),
        CipherWeakness::Rc4OrDes => ("rc4-or-des", 3),
        CipherWeakness::StaticRsa => ("static-rsa", 2),
    })
}

fn failure_text(by: Direction, cause: TlsFailure) -> Text {
    let side = match by {
        Direction::ToServer => "client",
        Direction::ToClient => "server",
    };
    match cause {
        TlsFailure::Alert(name) => Text::new(format!("{side}-alert {name}").as_bytes()),
        TlsFailure::NonTlsResponse => Text::new(b"non-tls-response"),
    }
}

/// The problems of a certificate for a client that asked for `asked` at `seen_at` (seconds), with their severities,
/// the gravest first.
fn certificate_problems(certificate: &CertificateFacts, asked: Option<&Text>, seen_at: i64) -> Vec<(&'static str, u8)> {
    let is_listed = !certificate.names.is_empty() && !certificate.has_more_names;
    let mismatches = |asked: &Text| is_listed && !certificate.names.iter().any(|name| fits(name, asked));
    let signature = certificate.signature.to_ascii_lowercase();
    let problems = [
        (seen_at > certificate.not_after, "expired", 3),
        (asked.is_some_and(mismatches), "name-mismatch", 3),
        (certificate.is_self_signed, "self-signed", 2),
        // A clock that is wrong somewhere, as a rule.
        (seen_at < certificate.not_before, "not-yet-valid", 2),
        (certificate.key == "rsa" && certificate.key_bits < RSA_BITS, "short-key", 2),
        (signature.contains("md5") || signature.contains("sha1"), "weak-signature", 2),
    ];
    problems.into_iter().filter(|(is_so, ..)| *is_so).map(|(_, kind, severity)| (kind, severity)).collect()
}

/// RFC 9525 §6.3: whole labels, and a wildcard for the first one only.
fn fits(name: &Text, asked: &Text) -> bool {
    let (name, asked) = (name.as_str(), asked.as_str().trim_end_matches('.'));
    if name.eq_ignore_ascii_case(asked) {
        return true;
    }
    let Some(rest) = name.strip_prefix("*.") else { return false };
    asked.split_once('.').is_some_and(|(label, domain)| !label.is_empty() && domain.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text::new(text.as_bytes())
    }

    #[test]
    fn names_fit_by_whole_labels() {
        for (name, asked, wanted) in [
            ("mail.example.org", "MAIL.example.org", true),
            ("*.example.org", "mail.example.org", true),
            ("*.example.org", "a.mail.example.org", false),
            ("*.example.org", "example.org", false),
            ("mail.example.org", "mail.example.org.", true),
            ("example.org", "mail.example.org", false),
        ] {
            assert_eq!(fits(&text(name), &text(asked)), wanted, "{name} {asked}");
        }
    }

    #[test]
    fn the_gravest_problem_of_a_certificate_is_told() {
        let sound = CertificateFacts {
            sha256: [0; 32],
            subject: text("CN=mail.example.org"),
            issuer: text("CN=ca"),
            not_before: 100,
            not_after: 200,
            is_self_signed: false,
            names: vec![text("mail.example.org")],
            has_more_names: false,
            key: "rsa",
            key_bits: 2048,
            signature: "sha256WithRSA",
            chain_len: 1,
        };
        let asked = text("mail.example.org");
        let check = |certificate: CertificateFacts, at: i64, wanted: Option<&str>| {
            let problems = certificate_problems(&certificate, Some(&asked), at);
            assert_eq!(problems.first().map(|(kind, _)| *kind), wanted);
        };
        check(sound.clone(), 150, None);
        check(sound.clone(), 201, Some("expired"));
        check(sound.clone(), 99, Some("not-yet-valid"));
        check(CertificateFacts { names: vec![text("other")], ..sound.clone() }, 150, Some("name-mismatch"));
        check(CertificateFacts { is_self_signed: true, ..sound.clone() }, 150, Some("self-signed"));
        check(CertificateFacts { key_bits: 1024, ..sound.clone() }, 150, Some("short-key"));
        check(CertificateFacts { signature: "sha1WithRSA", ..sound }, 150, Some("weak-signature"));
    }
}
