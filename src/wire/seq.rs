//! TCP sequence numbers: 32 bits that wrap, so there is no order and no subtraction, only offsets.

/// A TCP sequence or acknowledgement number (RFC 9293 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Signed distance from `earlier` to `self`, right whenever the two are less than 2^31 apart.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "the wrap is the meaning: serial number arithmetic")]
    pub fn offset_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// The number `len` octets later.
    #[must_use]
    pub fn advance(self, len: u32) -> Self {
        Self(self.0.wrapping_add(len))
    }
}

#[cfg(test)]
mod tests {
    use super::SeqNumber;

    #[test]
    fn offsets_cross_the_wrap() {
        let before = SeqNumber(u32::MAX - 1);
        assert_eq!(before.advance(4), SeqNumber(2));
        assert_eq!(SeqNumber(2).offset_from(before), 4);
        assert_eq!(before.offset_from(SeqNumber(2)), -4);
    }
}
