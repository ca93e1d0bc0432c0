//! What alerts are called (RFC 8446 §6, RFC 5246 §7.2, RFC 6066 §9, RFC 6101 §5.4).

/// The level after which the connection is over.
pub(super) const FATAL: u8 = 2;

/// An orderly end, whatever its level says.
pub(super) const CLOSE_NOTIFY: u8 = 0;

/// The name of an `AlertDescription`.
pub(super) fn name(description: u8) -> &'static str {
    match description {
        CLOSE_NOTIFY => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        117 => "general_error",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unknown",
    }
}

/// The alert of TLS 1.3 that stands where a client's Finished should, encrypted: that it is one shows in its length.
pub(super) const ENCRYPTED: &str = "encrypted";

/// The name of an SSLv2 error, as TLS would call it.
pub(super) fn sslv2_name(code: u16) -> &'static str {
    match code {
        1 => "handshake_failure",
        2 => "no_certificate",
        4 => "bad_certificate",
        6 => "unsupported_certificate",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::{name, sslv2_name};

    #[test]
    fn alerts_have_the_names_of_the_rfcs() {
        let named = [0, 40, 48, 70, 112, 120].map(name);
        let expected = [
            "close_notify",
            "handshake_failure",
            "unknown_ca",
            "protocol_version",
            "unrecognized_name",
            "no_application_protocol",
        ];
        assert_eq!(named, expected);
        assert_eq!([name(255), sslv2_name(1), sslv2_name(3)], ["unknown", "handshake_failure", "unknown"]);
    }
}
