//! Payload types of what is sent: the library writes those that it learned first, the wire carries those of today.
//!
//! The library freezes its payload types at the first description of the far end and drops a packet of another one
//! without a word. A far end may change them in the middle of a call. So packets are written with a number that the
//! library knows, and are given the far end's as the last thing before they are encrypted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Payload types have seven bits (RFC 3550, section 5.1).
const NUMBERS: usize = 128;

/// The number on the wire for each number of the library.
#[derive(Debug)]
pub(super) struct WireTypes([AtomicU8; NUMBERS]);

impl Default for WireTypes {
    fn default() -> Self {
        Self(std::array::from_fn(|number| AtomicU8::new(u8::try_from(number).unwrap_or(0))))
    }
}

impl WireTypes {
    /// Packets that are written with one number go out with another one from now on.
    pub(super) fn set(&self, of_library: u8, on_wire: u8) {
        if let Some(number) = self.0.get(usize::from(of_library)) {
            number.store(on_wire, Ordering::Release);
        }
    }

    fn on_wire(&self, of_library: u8) -> u8 {
        self.0.get(usize::from(of_library)).map_or(of_library, |number| number.load(Ordering::Acquire))
    }
}

/// Gives packets their numbers on their way out.
pub(super) struct WireTypeWriter {
    types: Arc<WireTypes>,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl WireTypeWriter {
    pub(super) fn new(types: Arc<WireTypes>) -> Self {
        Self { types, read: VecDeque::new(), write: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for WireTypeWriter {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.read.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, mut message: TaggedPacket) -> Result<(), Self::Error> {
        if let Packet::Rtp(packet) = &mut message.message.packet {
            packet.header.payload_type = self.types.on_wire(packet.header.payload_type);
        }
        self.write.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.write.pop_front()
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), Self::Error> {
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Self::Time> {
        None
    }
}

impl Interceptor for WireTypeWriter {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_itself_until_the_far_end_gives_it_another() {
        let types = WireTypes::default();
        assert_eq!((types.on_wire(111), types.on_wire(255)), (111, 255));
        types.set(111, 35);
        types.set(101, 111);
        assert_eq!((types.on_wire(111), types.on_wire(101), types.on_wire(0)), (35, 111, 0));
    }
}
