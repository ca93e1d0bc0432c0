//! Every form in which a secret could stand somewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Forms shorter than this occur by chance in addresses and times.
pub(crate) const SHORTEST: usize = 5;

/// Every form in which a secret could be written.
pub(crate) fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| {
        secret
            .iter()
            .map(|octet| if upper { format!("{octet:02X}") } else { format!("{octet:02x}") })
            .collect::<String>()
    };
    let url: String = secret
        .iter()
        .map(
            |&octet| {
                if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("%{octet:02X}") }
            },
        )
        .collect();
    let mut forms = vec![secret.to_vec(), hex(false).into_bytes(), hex(true).into_bytes(), url.into_bytes()];
    for shift in 0..3 {
        let shifted = [&vec![0; shift][..], secret].concat();
        let encoded = STANDARD_NO_PAD.encode(&shifted);
        // Characters that depend on neighbours of the secret are left out at both ends.
        let from = [0, 2, 3][shift];
        let to = encoded.len() - usize::from(shifted.len() % 3 != 0);
        forms.push(encoded.as_bytes()[from..to].to_vec());
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

pub(crate) fn contains(text: &[u8], form: &[u8]) -> bool {
    memchr::memmem::find(text, form).is_some()
}
