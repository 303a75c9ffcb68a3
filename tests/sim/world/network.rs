//! The network between the station and its server.

use std::time::Duration;

use callbox::core::*;
use callbox::signaling::*;

use super::World;
use super::agenda::Happening;
use super::faults::{SLACK_MS, TCP_PATIENCE_MS};
use crate::plan::between;
use crate::server::KEEPALIVE_MS;

/// The longest wait of the slow retry.
const SLOW_RETRY_MS: u64 = 360_000;
/// The longest wait while another client holds the session; `AFTER_TAKEOVER_MS` is the wait after one took it over.
const LET_BE_MS: u64 = 36_000;
const AFTER_TAKEOVER_MS: u64 = 60_000;
/// What a station adds to a `Retry-After`, so that not all of them come back in the same second: at most this, or a
/// quarter of the wait if that is longer.
const RETRY_AFTER_SPREAD_MS: u64 = 5_000;

/// The station's socket as the network sees it.
#[derive(Debug)]
pub struct Wire {
    pub number: u32,
    /// Nothing gets through, and neither side notices.
    pub dead: bool,
    pub down_at: u64,
    pub up_at: u64,
}

impl World {
    /// The server is asked for its STUN and TURN servers.
    pub(super) fn obtain_ice_servers(&mut self) {
        let obtained = |lifetime_s: u64| IceServersAnswer::Obtained {
            counts: IceServerCounts { stun: 1, turn_tls: 1, ..IceServerCounts::default() },
            changed: true,
            lifetime: (lifetime_s > 0).then(|| Duration::from_secs(lifetime_s)),
            until: None,
        };
        let answer = if self.now < self.troubles.server_away || self.now < self.troubles.no_network {
            IceServersAnswer::Failed("unreachable".into())
        } else {
            match between(&mut self.random, 0, 40) {
                0 => obtained(0),
                1 => obtained(600),
                2..20 => obtained(43_200),
                _ => IceServersAnswer::NotOffered,
            }
        };
        let latency = between(&mut self.random, 10, 120);
        self.input_after(latency, Input::IceServers(answer));
    }

    pub(super) fn connect(&mut self, force: bool) {
        self.hang_up_socket();
        self.sockets += 1;
        let number = self.sockets;
        self.wire = Some(Wire { number, dead: false, down_at: self.now, up_at: self.now });
        let life = self.life;
        let latency = between(&mut self.random, 10, 120);
        let no_network = self.now < self.troubles.no_network;
        let fail = |kind, after: u64, retry_after: Option<u64>| {
            let message = "no".to_owned();
            let retry_after = retry_after.map(Duration::from_secs);
            (after, SocketEvent::Failed(ConnectFailure { kind, message, retry_after }))
        };
        let failure = if no_network {
            let after = if self.address.is_unspecified() { 1 } else { 8_000 };
            Some(fail(ConnectFailureKind::Network, after, None))
        } else if self.now < self.troubles.server_away {
            Some(match self.troubles.retry_after {
                Some(seconds) => {
                    self.asked_to_wait(self.now + latency, seconds * 1000 + (seconds * 250).max(RETRY_AFTER_SPREAD_MS));
                    fail(ConnectFailureKind::Unavailable, latency, Some(seconds))
                }
                None => fail(ConnectFailureKind::Network, latency, None),
            })
        } else if self.now < self.troubles.clock_lost && self.troubles.certificate_of_the_future {
            Some(fail(ConnectFailureKind::NotYetValid, latency, None))
        } else if self.now < self.troubles.no_token {
            if !self.renewable {
                self.asked_to_wait(self.now + latency, SLOW_RETRY_MS);
            }
            Some(fail(ConnectFailureKind::Unauthorized, latency, None))
        } else {
            None
        };
        if let Some((after, event)) = failure {
            self.after(after, Happening::Socket(life, number, event));
            return;
        }
        let opened = SocketEvent::Opened { local: Some(self.address) };
        self.after(latency, Happening::Socket(life, number, opened));
        if self.now < self.troubles.other_client && !force {
            self.close_wire(latency + 5, 4431);
            return;
        }
        if self.now < self.troubles.other_client && self.troubles.fights {
            // The other client takes the session back.
            self.close_wire(latency + 3_000, 4441);
        } else {
            self.troubles.other_client = self.troubles.other_client.min(self.now);
        }
        self.held = Some(number);
        let state = self.server.state();
        self.say_after(latency + 5, state);
    }

    /// The station closes its socket. The server notices if the network works.
    pub(super) fn hang_up_socket(&mut self) {
        if let Some(wire) = self.wire.take()
            && self.held == Some(wire.number)
            && !wire.dead
            && self.now >= self.troubles.no_network
        {
            self.held = None;
        }
    }

    pub(super) fn send(&mut self, message: ClientMessage) {
        let latency = between(&mut self.random, 5, 60) + self.delay();
        let back = self.troubles.no_network;
        let Some(wire) = &mut self.wire else { return };
        if wire.dead {
            return;
        }
        wire.up_at = wire.up_at.max(self.now.max(back) + latency);
        let (at, number) = (wire.up_at, wire.number);
        self.at(at, Happening::ToServer(number, message));
    }

    pub(super) fn delay(&mut self) -> u64 {
        let (until, by) = self.troubles.late_by;
        if self.now < until { between(&mut self.random, 0, by) } else { 0 }
    }

    /// Sends a message to the station, in order, as far as the network delivers it.
    pub(super) fn say_after(&mut self, ms: u64, message: ServerMessage) {
        let Some(number) = self.held else { return };
        let registration =
            matches!(&message, ServerMessage::Event(event) if event.call_id.is_none() && event.line.is_none());
        let response = matches!(message, ServerMessage::Response(_));
        let ack = matches!(&message, ServerMessage::Response(Response { body: ResponseBody::Ack, .. }));
        if self.now < self.troubles.drops && !registration && self.chance(4) {
            return self.tell(|| format!("    lost: {message:?}"));
        }
        if self.now < self.troubles.lost_acks && ack && self.chance(2) {
            return self.tell(|| format!("    lost: {message:?}"));
        }
        let mut latency = between(&mut self.random, 5, 60) + self.delay();
        let late = self.now < self.troubles.late_responses && response && self.chance(2);
        let back = self.troubles.no_network;
        let twice = self.now < self.troubles.duplicates && self.chance(2);
        let garbage = self.now < self.troubles.garbage && self.chance(2);
        let life = self.life;
        let Some(wire) = self.wire.as_mut().filter(|wire| wire.number == number && !wire.dead) else { return };
        if late {
            latency += 11_000;
        }
        let at = wire.down_at.max(self.now.max(back) + ms + latency);
        // A late response is overtaken; everything else keeps its order.
        if !late {
            wire.down_at = at;
        }
        if garbage {
            let error = if twice { FrameError::NotAnObject } else { FrameError::NoDiscriminator };
            self.at(at, Happening::Socket(life, number, SocketEvent::BadFrame(error)));
        }
        if twice {
            let copy = SocketEvent::Message(Box::new(message.clone()));
            self.at(at, Happening::Socket(life, number, copy));
        }
        self.at(at, Happening::Socket(life, number, SocketEvent::Message(Box::new(message))));
    }

    /// The server or the network closes the connection.
    pub(super) fn close_wire(&mut self, ms: u64, code: u16) {
        let life = self.life;
        let Some(wire) = &self.wire else { return };
        let number = wire.number;
        if self.held == Some(number) {
            self.held = None;
        }
        if wire.dead {
            return;
        }
        let back = self.troubles.no_network;
        if back > self.now + TCP_PATIENCE_MS {
            // The station is not told; a keepalive reveals it later.
            self.fault_now(back - self.now + KEEPALIVE_MS + 10_000);
            if let Some(wire) = &mut self.wire {
                wire.dead = true;
            }
            return;
        }
        let closed = SocketEvent::Closed(CloseCause::from_code(code));
        let at = wire.down_at.max(self.now.max(back) + ms);
        match code {
            4201 | 4300..=4302 | 4410..=4412 => self.asked_to_wait(at, SLOW_RETRY_MS),
            4431 | 4432 => self.asked_to_wait(at, LET_BE_MS),
            4441 => self.asked_to_wait(at, AFTER_TAKEOVER_MS),
            _ => {}
        }
        self.at(at, Happening::Socket(life, number, closed));
    }

    /// A message of the server, which arrives at `at`, asks the station to wait.
    pub(super) fn asked_to_wait(&mut self, at: u64, ms: u64) {
        self.wait_ends = self.wait_ends.max(at + ms + SLACK_MS);
    }

    pub(super) fn socket_event(&mut self, life: u32, number: u32, event: SocketEvent) {
        let current = life == self.life && self.wire.as_ref().is_some_and(|wire| wire.number == number);
        if !current || self.wire.as_ref().is_some_and(|wire| wire.dead) {
            return;
        }
        if matches!(event, SocketEvent::Closed(_) | SocketEvent::Failed(_)) {
            self.wire = None;
        }
        self.feed(Input::Socket(event));
    }
}
