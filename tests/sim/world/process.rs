//! The process of the station: it starts, dies, takes inputs, and its effects are carried out.

use std::net::IpAddr;
use std::sync::Arc;

use callbox::config::OutputIndex;
use callbox::core::*;
use callbox::signaling::{ServerMessage, SocketEvent};

use super::World;
use crate::checks::STRIKE;
use crate::house::{PORCH, SIREN};
use crate::plan::between;

/// A handshake with two lines causes about half as many.
const EFFECTS_OF_ONE_INPUT: usize = 64;

impl World {
    pub(super) fn start(&mut self) {
        self.life += 1;
        let now = Now { at: Time(self.now), local: self.local_time() };
        let seed = self.random.next_u64();
        let transactions = self.now * 1000 + 1;
        let mut station = Station::new(Arc::clone(&self.config), seed, transactions, now);
        station.recall(self.memory.clone());
        self.station = Some(station);
        self.server_time = None;
        self.checks.started(self.now, now.local);
        self.peers.clear();
        self.state = SessionState::Offline;
        self.feed(Input::Tick);
        self.feed(Input::Audio(AudioEvent::Ready));
        self.read_contact();
        self.tell_addresses();
    }

    pub(super) fn die(&mut self, power: bool) {
        self.station = None;
        self.peers.clear();
        self.checks.died();
        if power {
            // What is on the card survives it.
            let Memory { wrong_codes, modes, schedules, alarms, .. } = std::mem::take(&mut self.memory);
            self.memory = Memory { wrong_codes, modes, schedules, alarms, ..Memory::default() };
        }
        // If the power fails, the network card is off too: nobody tells the server.
        if !power && self.wire.take().is_some_and(|wire| Some(wire.number) == self.held) {
            self.held = None;
        }
        self.wire = None;
    }

    pub(super) fn tell_addresses(&mut self) {
        let network = self.now >= self.troubles.no_network || !self.address.is_loopback();
        let mut addresses = vec![IpAddr::from([127, 0, 0, 1])];
        if network && self.address != IpAddr::from([0, 0, 0, 0]) {
            addresses.push(self.address);
        }
        self.feed(Input::Addresses(addresses));
    }

    pub(super) fn feed(&mut self, input: Input) {
        if self.station.is_none() {
            return;
        }
        self.tell_server_time(&input);
        self.feed_one(input);
    }

    /// The daemon knows the server's clock from the handshake, and tells the core before the next input when ours differs.
    fn tell_server_time(&mut self, input: &Input) {
        let handshake = matches!(input, Input::Socket(SocketEvent::Message(message)) if matches!(**message, ServerMessage::State(_)));
        if !handshake && self.server_time.is_none() {
            return;
        }
        let minutes = if self.troubles.clock_jumped.agreed { 0 } else { self.clock_is_ahead_min() };
        let ahead_ms = -i64::try_from(minutes * 60_000).unwrap();
        if handshake || self.server_time != Some(ahead_ms) {
            self.server_time = Some(ahead_ms);
            self.feed_one(Input::ServerTime { ahead_ms });
        }
    }

    fn feed_one(&mut self, input: Input) {
        self.tell(|| format!("-> {input:?}"));
        let local = self.local_time();
        self.checks.input(self.now, local, &input);
        self.figures.inputs += 1;
        let now = Now { at: Time(self.now), local };
        if let Some(station) = &mut self.station {
            station.handle(now, input);
        }
        let mut effects = 0;
        while let Some(effect) = self.station.as_mut().and_then(Station::poll_effect) {
            effects += 1;
            self.tell(|| format!("        {effect:?}"));
            self.checks.effect(self.now, &effect);
            self.carry_out(effect);
        }
        if let Some(station) = &self.station {
            let [transactions, delayed, hunts, _] = station.backlog();
            if transactions > 96 || delayed > 64 || hunts > 17 || effects > EFFECTS_OF_ONE_INPUT {
                let what = format!("{transactions} transactions, {delayed} delayed, {hunts} hunts, {effects} effects");
                self.checks.fail("bounds", what);
            }
            // Rule 6: the session always has something due, and does it in time.
            if station.session_due().is_none_or(|due| due.0 + 1_000 < self.now) {
                self.checks.fail("watchdog", format!("the session stands still: due {:?}", station.session_due()));
            }
        }
        let registered = self.state == SessionState::Registered;
        let cannot_try_until = if registered { self.well_by() } else { self.now };
        self.checks.after_step(self.now, cannot_try_until);
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { force, .. } => self.connect(force),
            Effect::Disconnect { .. } => self.hang_up_socket(),
            Effect::Send(message) => self.send(message),
            Effect::ObtainToken => {
                let away = self.now < self.troubles.server_away || self.now < self.troubles.no_network;
                let result = if away { Err(TokenError::Failed("unreachable".into())) } else { Ok(()) };
                if !away {
                    self.troubles.no_token = 0;
                }
                self.input_after(120, Input::Token(result));
            }
            Effect::ObtainIceServers => self.obtain_ice_servers(),
            Effect::Media(MediaId(media), command) => self.media(media, command),
            Effect::CheckCode { check, typed, .. } => self.check_code(check, &typed),
            Effect::Remember(memory) => self.memory = memory,
            Effect::Fact(Fact::Session { state, .. }) => self.state = state,
            Effect::Drive(OutputIndex(STRIKE), Drive::On) => self.strike_buzzes(),
            Effect::Drive(PORCH | SIREN, Drive::On) => self.figures.lit += 1,
            Effect::Fact(Fact::Schedule { .. }) => self.figures.runs += 1,
            Effect::Fact(Fact::Door { state: DoorState::Forced, .. }) => self.figures.forced += 1,
            Effect::Fact(Fact::Door { state: DoorState::Held, .. }) => self.figures.held += 1,
            Effect::Fact(Fact::Alarm { state: AlarmState::Raised, .. }) => self.figures.alarms += 1,
            Effect::Fact(Fact::Alarm { state: AlarmState::Answered, .. }) => self.figures.confirmed += 1,
            Effect::Fact(Fact::Code { accepted: true, .. }) => self.figures.codes += 1,
            Effect::Fact(Fact::Press { button, .. }) if button == "bell" => self.figures.presses += 1,
            Effect::Fact(Fact::Call { state: CallState::Established, .. }) => self.figures.calls_up += 1,
            Effect::Fact(Fact::Repair { outcome: RepairOutcome::Started, .. }) => self.figures.repairs += 1,
            Effect::Probe(_)
            | Effect::TokenRefused
            | Effect::Scene(_)
            | Effect::Play { .. }
            | Effect::Announce(_)
            | Effect::Drive(..)
            | Effect::Reply(..)
            | Effect::Fact(_) => {}
        }
    }

    pub(super) fn restart(&mut self, power: bool) {
        self.tell(|| "the process starts".into());
        if power {
            self.troubles.clock_lost = self.now + between(&mut self.random, 0, 60_000);
            self.troubles.certificate_of_the_future = true;
        }
        self.start();
    }
}
