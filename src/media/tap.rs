//! An interceptor of the WebRTC library through which packets pass one by one, to be inspected or rewritten.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// What a [`Tap`] does with the packets that pass through it.
pub(super) trait Pass: Send + Sync {
    /// Called for each packet that comes from the far end.
    fn incoming(&mut self, _packet: &mut Packet) {}
    /// Called for each packet that goes to the far end.
    fn outgoing(&mut self, _packet: &mut Packet) {}
}

/// Passes every packet on, in order and without delay.
pub(super) struct Tap<P> {
    pass: P,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl<P> Tap<P> {
    pub(super) fn new(pass: P) -> Self {
        Self { pass, read: VecDeque::new(), write: VecDeque::new() }
    }
}

impl<P: Pass> Protocol<TaggedPacket, TaggedPacket, ()> for Tap<P> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut message: TaggedPacket) -> Result<(), Self::Error> {
        self.pass.incoming(&mut message.message.packet);
        self.read.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, mut message: TaggedPacket) -> Result<(), Self::Error> {
        self.pass.outgoing(&mut message.message.packet);
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

impl<P: Pass> Interceptor for Tap<P> {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
