//! What the server takes and what it does.

use callbox::core::*;
use callbox::signaling::*;

use super::World;
use super::agenda::Happening;
use crate::plan::between;
use crate::server::{Doing, Timer};

impl World {
    pub(super) fn at_server(&mut self, number: u32, message: ClientMessage) {
        if self.held != Some(number) || self.now < self.troubles.server_away {
            return;
        }
        match message {
            ClientMessage::Keepalive { transaction } => {
                self.say_after(0, ServerMessage::Keepalive { transaction: Some(transaction) });
            }
            ClientMessage::Request(request) => {
                let mut random = Random::new(self.random.next_u64());
                self.server.request(self.now, request, &mut random);
            }
        }
    }

    /// Carries out what the server has decided.
    pub(super) fn serve(&mut self) {
        while let Some(act) = self.server.acts.pop_front() {
            if act.after_ms == 0 {
                self.server_does(act.what);
            } else {
                self.after(act.after_ms, Happening::Server(act.what));
            }
        }
    }

    pub(super) fn server_does(&mut self, doing: Doing) {
        match doing {
            Doing::Say(message) => self.say_after(0, message),
            Doing::Close(code) => {
                if code == 4610 {
                    self.fault_now(0);
                }
                self.close_wire(5, code);
            }
            Doing::Timer(serial, timer) => {
                if self.now < self.troubles.server_away && !matches!(timer, Timer::Cleaned(_)) {
                    self.after(2_000, Happening::Server(Doing::Timer(serial, timer)));
                    return;
                }
                let mut random = Random::new(self.random.next_u64());
                self.server.timer(self.now, serial, timer, &mut random);
            }
            Doing::Media(serial) => {
                let described = self.server.leg(serial).and_then(|leg| leg.description.clone());
                if let Some(media) = described.and_then(|description| self.peer_of(&description)) {
                    let life = self.life;
                    let ms = between(&mut self.random, 20, 200);
                    self.after(ms, Happening::TryMedia(life, media, 0));
                }
            }
            Doing::MediaEnds(description) => {
                if let Some(media) = self.peer_of(&description) {
                    self.lose_media(media);
                }
            }
            Doing::Keys(serial, keys) => {
                let described = self.server.leg(serial).and_then(|leg| leg.description.clone());
                let Some(media) = described.and_then(|description| self.peer_of(&description)) else { return };
                if self.peers.get(&media).is_some_and(|peer| peer.connected) && self.media_path_is_good() {
                    for (index, key) in keys.chars().enumerate() {
                        self.media_after(
                            150 * (index as u64 + 1),
                            media,
                            MediaEvent::Digit(callbox::secret::DtmfDigit(key)),
                        );
                    }
                }
            }
        }
    }
}
