//! Numbers of seven bits an octet, the least first: of what is held by the million, and of what other runs read.

/// Appends a number.
pub fn append(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`append`] wrote; `None` of octets that are no number of 64 bits.
///
/// # Errors
///
/// Those of `next`, which gives the octets.
pub fn read<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let octet = next()?;
        let bits = u64::from(octet & 0x7f);
        // The last octet has room for one bit.
        if shift == 63 && bits > 1 {
            return Ok(None);
        }
        number |= bits << shift;
        if octet < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}
