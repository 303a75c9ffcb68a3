//! Payload types of sent packets: the library writes those that it learned first, the wire carries the current ones.
//!
//! The library fixes its payload types at the first description of the far end, and drops a packet of another one
//! without an error (docs/workarounds.md, "webrtc: packets with an unknown payload type vanish"). But a far end may
//! change them in the middle of a call. So packets are written with a payload type that the library knows, and get that
//! of the far end as the last step before encryption.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rtc::interceptor::Packet;

use super::tap::Pass;

/// Payload types have seven bits (RFC 3550, section 5.1).
const NUMBERS: usize = 128;

/// The payload type on the wire for each payload type of the library.
#[derive(Debug)]
pub(super) struct WireTypes([AtomicU8; NUMBERS]);

impl Default for WireTypes {
    fn default() -> Self {
        Self(std::array::from_fn(|number| AtomicU8::new(u8::try_from(number).unwrap_or(0))))
    }
}

impl WireTypes {
    /// From now on, packets that are written with the type `of_library` go out with the type `on_wire`.
    pub(super) fn set(&self, of_library: u8, on_wire: u8) {
        if let Some(number) = self.0.get(usize::from(of_library)) {
            number.store(on_wire, Ordering::Release);
        }
    }

    fn on_wire(&self, of_library: u8) -> u8 {
        self.0.get(usize::from(of_library)).map_or(of_library, |number| number.load(Ordering::Acquire))
    }
}

/// Replaces the payload types of outgoing packets.
pub(super) struct WireTypeWriter(pub(super) Arc<WireTypes>);

impl Pass for WireTypeWriter {
    fn outgoing(&mut self, packet: &mut Packet) {
        if let Packet::Rtp(packet) = packet {
            packet.header.payload_type = self.0.on_wire(packet.header.payload_type);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_keeps_its_number_until_the_far_end_assigns_another() {
        let types = WireTypes::default();
        assert_eq!((types.on_wire(111), types.on_wire(255)), (111, 255));
        types.set(111, 35);
        types.set(101, 111);
        assert_eq!((types.on_wire(111), types.on_wire(101), types.on_wire(0)), (35, 111, 0));
    }
}
