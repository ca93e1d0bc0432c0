//! TLS from the first octet: nothing to read but its handshake.

use super::framing::Input;
use super::observe::Out;
use super::tls::{Progress, Watch};
use super::{Detector, End, Interest, Load};
use crate::stream::{Direction, Mark};

/// A connection that began with a ClientHello.
pub(super) struct ImplicitTls {
    watch: Watch,
}

impl Default for ImplicitTls {
    fn default() -> Self {
        Self { watch: Watch::implicit() }
    }
}

impl Detector for ImplicitTls {
    fn on_data(&mut self, direction: Direction, offset: u64, octets: &[u8], mark: Mark, out: &mut Out) -> Interest {
        let mut input = Input { octets, offset, mark };
        match self.watch.read(direction, &mut input, out) {
            Progress::Open => Interest::Open,
            Progress::Closed | Progress::Failed => Interest::Closed,
        }
    }

    fn on_gap(&mut self, direction: Direction, len: u64, _: Mark, _: &mut Out) {
        self.watch.lose(direction, len);
    }

    fn load(&self) -> Load {
        Load { octets: self.watch.octets(), ..Load::default() }
    }

    fn on_reply_overdue(&mut self, _: &mut Out) {}

    fn on_end(&mut self, _: End, _: &mut Out) {}
}
