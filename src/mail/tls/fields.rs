//! Numbers and vectors as RFC 8446 §3 lays them out.

/// Reads fields from the front; `None` when they are not there.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of 1 to 4 octets.
    pub(super) fn number(&mut self, octets: usize) -> Option<usize> {
        Some(self.take(octets)?.iter().fold(0, |number, &octet| number << 8 | usize::from(octet)))
    }

    pub(super) fn uint16(&mut self) -> Option<u16> {
        self.take(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    /// A vector with a length of `octets` octets before it.
    pub(super) fn vector(&mut self, octets: usize) -> Option<Fields<'a>> {
        let len = self.number(octets)?;
        self.take(len).map(Fields)
    }

    /// All that is there as numbers of two octets.
    pub(super) fn uint16s(self) -> impl Iterator<Item = u16> + use<'a> {
        self.0.chunks_exact(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    /// All that is there as extensions (RFC 8446 §4.2), as far as they are whole.
    pub(super) fn extensions(mut self) -> impl Iterator<Item = (u16, Fields<'a>)> + use<'a> {
        std::iter::from_fn(move || Some((self.uint16()?, self.vector(2)?)))
    }

    /// The content of the first extension of this type.
    pub(super) fn extension(self, wanted: u16) -> Option<Fields<'a>> {
        self.extensions().find(|(kind, _)| *kind == wanted).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn what_is_not_whole_is_not_there() {
        let mut fields = Fields(&[0, 2, 7, 8, 9]);
        assert_eq!(fields.vector(2).map(|vector| vector.0), Some(&[7, 8][..]));
        assert_eq!(fields.uint16(), None);
        assert_eq!(fields.number(1), Some(9));
        assert_eq!(fields.vector(1).map(|vector| vector.0), None);
    }

    #[test]
    fn extensions_are_read_up_to_the_first_that_is_cut() {
        let fields = Fields(&[0, 10, 0, 1, 5, 0, 13, 0, 0, 0, 16, 0, 9, 1]);
        assert_eq!(fields.extensions().map(|(kind, _)| kind).collect::<Vec<_>>(), [10, 13]);
        assert_eq!(fields.extension(10).map(|content| content.0), Some(&[5][..]));
        assert!(fields.extension(16).is_none());
    }
}
