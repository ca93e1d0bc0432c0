//! Who may see the page. A browser asks whatever a page of any stranger makes it ask, and a name of any stranger may lead
//! to this machine; so a request must name us as we are known, must come from nowhere or from our own page, and must bring
//! the token where there is one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;

/// What of a request decides.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Where the connection ends here.
    pub local: IpAddr,
    /// `Host` (RFC 9110, section 7.2); `None` where there is none or several.
    pub host: Option<&'a str>,
    /// `Origin` (RFC 6454, section 7).
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`, `-Mode` and `-Dest` (W3C Fetch Metadata).
    pub fetch: [Option<&'a str>; 3],
    /// `Authorization` (RFC 9110, section 11.6.2).
    pub authorization: Option<&'a str>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It names another host than this one, or none.
    Misdirected,
    /// A page of another origin asks.
    CrossOrigin,
    /// It does not bring the token.
    Unauthorized,
}

/// Who may see the page.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Names that lead here besides the address, in lower case.
    names: Vec<String>,
    /// Digest of the token: of two digests that differ early or late nobody learns anything.
    token: Option<[u8; 32]>,
}

impl Door {
    /// With the names that lead here, and the token that visitors must bring if there is one.
    #[must_use]
    pub fn new(names: &[String], token: Option<&[u8]>) -> Self {
        let names = names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        Self { names, token: token.map(digest) }
    }

    /// Whether a request is to be answered.
    ///
    /// # Errors
    ///
    /// It is not, and why.
    pub fn judge(&self, visit: &Visit<'_>) -> Result<(), Refusal> {
        let host = visit.host.ok_or(Refusal::Misdirected)?;
        if !self.is_ours(host, visit.local) {
            return Err(Refusal::Misdirected);
        }
        if let Some(origin) = visit.origin {
            // The scheme is not looked at: TLS may end before us.
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            if !authority.eq_ignore_ascii_case(host) {
                return Err(Refusal::CrossOrigin);
            }
        }
        let [site, mode, destination] = visit.fetch;
        // A link from elsewhere may lead here; what it leads to cannot be read by whoever wrote it, and not be framed.
        let is_followed = mode == Some("navigate") && destination == Some("document");
        if !matches!(site, None | Some("none" | "same-origin")) && !is_followed {
            return Err(Refusal::CrossOrigin);
        }
        match &self.token {
            Some(token) if brought(visit.authorization) != Some(*token) => Err(Refusal::Unauthorized),
            _ => Ok(()),
        }
    }

    /// Ports are not looked at: whoever comes through a tunnel names that of its other end.
    fn is_ours(&self, host: &str, local: IpAddr) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) && !is_bare(host) => name,
            _ => host,
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let local = local.to_canonical();
        if let Ok(address) = name.parse::<IpAddr>() {
            let address = address.to_canonical();
            return address == local || address.is_loopback() && local.is_loopback();
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" && local.is_loopback() || self.names.contains(&name)
    }
}

/// An IPv6 address without its brackets has colons that begin no port.
fn is_bare(host: &str) -> bool {
    !host.starts_with('[') && host.matches(':').count() > 1
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The digest of the token that is the password of whatever user, as browsers ask for it (RFC 7617), or stands by itself
/// (RFC 6750).
fn brought(authorization: Option<&str>) -> Option<[u8; 32]> {
    let (scheme, rest) = authorization?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(digest(rest.trim().as_bytes()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = zeroize::Zeroizing::new(STANDARD.decode(rest.trim()).ok()?);
    let colon = pair.iter().position(|octet| *octet == b':')?;
    Some(digest(&pair[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn visit(host: &str) -> Visit<'_> {
        Visit { local: HERE, host: Some(host), origin: None, fetch: [None; 3], authorization: None }
    }

    #[test]
    fn a_request_names_us_as_we_are_known() {
        let door = Door::new(&["Mail-Sensor.example.".to_owned()], None);
        for host in [
            "127.0.0.1:9470",
            "127.0.0.1",
            "localhost:22",
            "LOCALHOST",
            "localhost.",
            "[::1]:9470",
            "mail-sensor.example:9470",
            "mail-sensor.EXAMPLE",
        ] {
            assert_eq!(door.judge(&visit(host)), Ok(()), "{host}");
        }
        for host in [
            "",
            "attacker.example",
            "attacker.example:9470",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "192.0.2.1:9470",
            "[2001:db8::1]:9470",
            "localhost:80@attacker.example",
            "mail-sensor.example, attacker.example",
            "127.0.0.1:9470:1",
        ] {
            assert_eq!(door.judge(&visit(host)), Err(Refusal::Misdirected), "{host}");
        }
        assert_eq!(door.judge(&Visit { host: None, ..visit("") }), Err(Refusal::Misdirected));
        let elsewhere = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        for (host, is_ours) in
            [("[2001:db8::1]:1", true), ("2001:db8::1", true), ("localhost", false), ("127.0.0.1", false)]
        {
            assert_eq!(door.judge(&Visit { local: elsewhere, ..visit(host) }).is_ok(), is_ours, "{host}");
        }
    }

    #[test]
    fn pages_of_others_get_nothing() {
        let door = Door::default();
        let from = |origin| Visit { origin: Some(origin), ..visit("localhost:9470") };
        assert_eq!(door.judge(&from("http://localhost:9470")), Ok(()));
        for origin in
            ["http://localhost:80", "http://attacker.example", "null", "", "http://localhost:9470.attacker.example"]
        {
            assert_eq!(door.judge(&from(origin)), Err(Refusal::CrossOrigin), "{origin}");
        }
        let fetched = |site, mode, destination| Visit {
            fetch: [Some(site), Some(mode), Some(destination)],
            ..visit("localhost:9470")
        };
        for (site, mode, destination, is_ok) in [
            ("same-origin", "cors", "empty", true),
            ("none", "navigate", "document", true),
            ("cross-site", "navigate", "document", true),
            ("cross-site", "navigate", "iframe", false),
            ("cross-site", "no-cors", "script", false),
            ("cross-site", "cors", "empty", false),
            ("same-site", "no-cors", "image", false),
        ] {
            assert_eq!(door.judge(&fetched(site, mode, destination)).is_ok(), is_ok, "{site} {mode} {destination}");
        }
    }

    #[test]
    fn a_token_is_brought_as_a_password_or_by_itself() {
        let door = Door::new(&[], Some(b"made:up token"));
        let with = |authorization: Option<&str>| door.judge(&Visit { authorization, ..visit("localhost") });
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert!(with(Some("Bearer made:up token")).is_ok());
        assert!(with(Some(&basic("anybody:made:up token"))).is_ok() && with(Some(&basic(":made:up token"))).is_ok());
        let wrong =
            [basic("made:up token"), basic("x:"), "Basic !".to_owned(), "Bearer".to_owned(), "Bearer x".to_owned()];
        for text in wrong.iter().map(|text| Some(text.as_str())).chain([None, Some("Digest made:up token")]) {
            assert_eq!(with(text), Err(Refusal::Unauthorized), "{text:?}");
        }
    }
}
