//! The words that servers and reasons have on the page.

use super::model::Service;

/// `10.0.0.1:143`.
pub(super) fn server(service: &Service) -> String {
    service.address.to_string()
}

/// `IMAP`.
pub(super) fn protocol(service: &Service) -> &'static str {
    service.protocol.map_or("not known", |protocol| protocol.info().title)
}

/// `10.0.0.1:143 IMAP`, in one piece.
pub(super) fn named(service: &Service) -> String {
    format!("{}\u{a0}{}", server(service), protocol(service).replace(' ', "\u{a0}"))
}

/// Why something is not known, from the word of records.
pub(super) fn reason(word: &str) -> &str {
    match word {
        "complete" => "complete",
        "no-reply" => "the other end said nothing more",
        "gap" => "packets were not captured",
        "asymmetric" => "one direction was not captured",
        "midstream" => "the connection began before the capture",
        "desync" => "the dialogue could not be followed",
        "evicted" => "given up for want of memory",
        "capture-ended" => "the capture stops first",
        "compressed" => "the dialogue went on compressed",
        "not-asked" => "it was never asked for",
        "temporary" => "the server had a temporary trouble",
        "ambiguous" => "two copies of the octets differ",
        "" => "no reason given",
        other => other,
    }
}
