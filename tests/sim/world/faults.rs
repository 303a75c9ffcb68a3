//! Faults: how they begin, how they end, and that the station recovers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use callbox::core::*;
use callbox::signaling::CallId;

use super::World;
use super::agenda::Happening;
use crate::plan::Fault;
use crate::server::KEEPALIVE_MS;

/// The station must have recovered this long after the last fault.
const WELL_AGAIN_MS: u64 = 90_000;
/// TCP survives an outage of this length.
pub const TCP_PATIENCE_MS: u64 = 15_000;
/// The time that connecting and the handshake take.
pub const SLACK_MS: u64 = 2_000;
/// The watchdog must not be fed if something stands still for longer.
const WATCHDOG_PATIENCE_MS: u64 = 10_000;

/// Troubles, each with the time at which it ends.
#[derive(Debug, Default)]
pub struct Troubles {
    pub no_network: u64,
    pub server_away: u64,
    pub retry_after: Option<u64>,
    pub late_by: (u64, u64),
    pub duplicates: u64,
    pub drops: u64,
    pub lost_acks: u64,
    pub late_responses: u64,
    pub garbage: u64,
    pub other_client: u64,
    pub fights: bool,
    pub no_token: u64,
    pub no_media: u64,
    pub media_late: u64,
    pub clock_lost: u64,
    pub clock_jumped: Jump,
    pub certificate_of_the_future: bool,
}

/// A clock that is wrong.
#[derive(Debug, Default)]
pub struct Jump {
    pub until: u64,
    /// By so much it is ahead.
    pub minutes: u64,
    /// The server's clock is wrong in the same way.
    pub agreed: bool,
}

impl World {
    /// A fault begins that lasts this long.
    pub(super) fn fault_now(&mut self, ms: u64) {
        self.faults += 1;
        self.figures.faults += 1;
        self.fault_ends = self.fault_ends.max(self.now + ms);
        let fault = self.faults;
        let at = self.fault_ends;
        self.at(at, Happening::FaultEnds(fault));
    }

    /// When the station must have recovered.
    pub(super) fn well_by(&self) -> u64 {
        self.wait_ends.max(self.fault_ends + WELL_AGAIN_MS)
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Reset => self.closes(1, 1006),
            Fault::SilentLoss => self.silent_loss(),
            Fault::Outage { ms, address_goes } => self.outage(ms, address_goes),
            Fault::Delay { ms, by_ms } => {
                self.troubles.late_by = (self.now + ms, by_ms);
                self.fault_now(ms + by_ms * 2 + 20_000);
            }
            Fault::Duplicates { ms } => self.troubles.duplicates = self.fault_until(ms),
            Fault::Drops { ms } => self.troubles.drops = self.fault_until(ms),
            Fault::LostAcks { ms } => self.troubles.lost_acks = self.fault_until(ms),
            Fault::LateResponses { ms } => {
                self.troubles.late_responses = self.now + ms;
                self.fault_now(ms + 30_000);
            }
            Fault::Garbage { ms } => self.troubles.garbage = self.fault_until(ms),
            Fault::Close(code) => self.closes(5, code),
            Fault::ServerRestart { ms, forgets, retry_after_s, code } => {
                self.server_restart(ms, forgets, retry_after_s, code);
            }
            Fault::Takeover { ms, fights } => self.takeover(ms, fights),
            Fault::TokenExpires { ms } => {
                self.troubles.no_token = self.now + ms;
                self.fault_now(if self.renewable { 0 } else { ms });
                self.close_wire(5, 4201);
            }
            Fault::Unregistered { ms } => {
                self.fault_now(ms);
                self.server.register(false);
            }
            Fault::MediaDead { ms } => {
                self.troubles.no_media = self.fault_until(ms);
                self.lose_all_media();
            }
            Fault::MediaLate { ms } => self.troubles.media_late = self.fault_until(ms),
            Fault::NullCallIds => {
                self.server.null_call_ids = true;
                self.closes(5, 1011);
            }
            Fault::NoCard { ms } => {
                self.fault_now(ms);
                self.feed(Input::Audio(AudioEvent::Fault("gone".into())));
                self.input_after(ms, Input::Audio(AudioEvent::Ready));
            }
            Fault::CardStalls { ms } => self.card_stalls(ms),
            Fault::ClockLost { ms, certificates } => {
                self.troubles.clock_lost = self.fault_until(ms);
                self.troubles.certificate_of_the_future = certificates;
            }
            Fault::ClockJumps { ms, minutes, agreed } => {
                self.troubles.clock_jumped = Jump { until: self.now + ms, minutes, agreed };
                self.fault_now(0);
            }
            Fault::StuckButton { ms } => self.stuck_button(ms),
            Fault::Crash { ms, power } => self.crash(ms, power),
        }
    }

    /// A fault begins. Returns its end.
    fn fault_until(&mut self, ms: u64) -> u64 {
        self.fault_now(ms);
        self.now + ms
    }

    /// The connection is closed, once.
    fn closes(&mut self, after_ms: u64, code: u16) {
        self.fault_now(0);
        self.close_wire(after_ms, code);
    }

    /// Nothing gets through, and neither side notices. It ends at the latest when a keepalive has revealed it.
    fn silent_loss(&mut self) {
        self.fault_now(KEEPALIVE_MS + 10_000);
        self.cut_wire();
    }

    fn cut_wire(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.dead = true;
        }
    }

    fn outage(&mut self, ms: u64, address_goes: bool) {
        self.troubles.no_network = self.troubles.no_network.max(self.now + ms);
        let noticed = if address_goes || ms < TCP_PATIENCE_MS { 0 } else { KEEPALIVE_MS + 10_000 };
        self.fault_now(ms + noticed);
        if address_goes {
            self.address = IpAddr::from([0, 0, 0, 0]);
            self.addresses += 1;
            let end = self.faults;
            self.after(ms, Happening::FaultEnds(end));
        }
        if address_goes || ms >= TCP_PATIENCE_MS {
            self.cut_wire();
        }
        if address_goes {
            self.tell_addresses();
        }
        self.lose_all_media();
    }

    fn server_restart(&mut self, ms: u64, forgets: bool, retry_after_s: Option<u64>, code: u16) {
        self.troubles.server_away = self.fault_until(ms);
        self.troubles.retry_after = retry_after_s;
        self.close_wire(5, code);
        if forgets {
            self.server.forget();
        }
    }

    fn takeover(&mut self, ms: u64, fights: bool) {
        self.troubles.other_client = self.fault_until(ms);
        self.troubles.fights = fights;
        self.close_wire(5, 4441);
    }

    fn lose_all_media(&mut self) {
        let open: Vec<u32> = self.peers.keys().copied().collect();
        for media in open {
            self.lose_media(media);
        }
    }

    fn stuck_button(&mut self, ms: u64) {
        self.fault_now(0);
        self.hands += 1;
        self.button_down_until = self.button_down_until.max(self.now + ms + 100);
        let pin = Pin::Button(ButtonIndex(0));
        self.input_after(0, Input::Edge { pin, active: true });
        self.input_after(ms, Input::Edge { pin, active: false });
    }

    fn crash(&mut self, ms: u64, power: bool) {
        if self.station.is_some() {
            self.fault_now(ms + if power { 62_000 } else { 0 });
            self.die(power);
            self.after(ms, Happening::Restart(power));
        }
    }

    /// Rule 6: the watchdog is fed only while everything makes progress. The loop checks every 2 s, and the
    /// card counts a frame every 20 ms, except while it stands still.
    pub(super) fn card_stalls(&mut self, ms: u64) {
        self.fault_now(ms);
        let (start, end) = (self.now, self.now + ms);
        let mut watchdog = Watchdog::new(Time(start.saturating_sub(4_000)));
        let frames_at = |at: u64| (at.min(start) + at.max(end) - end) / 20;
        let progress = |at: u64| AudioProgress { beats: frames_at(at), opening: false };
        let soon = |at: u64| Some(Time(at + 30_000));
        let looks = (start.saturating_sub(4_000)..end + 4_000).step_by(2_000).chain([end + 4_000]);
        for at in looks {
            let fed = watchdog.look(progress(at), soon(at), Time(at));
            let stalled_for = if frames_at(at) == frames_at(start) { at.saturating_sub(start) } else { 0 };
            // Up to 2 s pass between the last frame and the first check that misses one.
            if fed && stalled_for > WATCHDOG_PATIENCE_MS + 2_000 {
                self.checks.fail("watchdog", format!("fed, but the card has stood still for {stalled_for} ms"));
            }
            if !fed && stalled_for < WATCHDOG_PATIENCE_MS {
                self.checks.fail("watchdog", format!("not fed after {stalled_for} ms without a frame"));
            }
        }
        // A loop that stood still for a minute has not fed it either. When the loop checks again, frames decide.
        if watchdog.look(progress(end + 4_000), soon(end + 60_000), Time(end + 60_000)) {
            self.checks.fail("watchdog", "fed, but no frame came for a minute");
        }
        if !watchdog.look(progress(end + 60_000), soon(end + 60_000), Time(end + 60_000)) {
            self.checks.fail("watchdog", "not fed, but everything runs");
        }
    }

    pub(super) fn fault_ends(&mut self, fault: u64) {
        if self.address.is_unspecified() && self.now >= self.troubles.no_network {
            // The network is back, with another address.
            let last = u8::try_from(10 + self.addresses % 200).unwrap_or(10);
            self.address = IpAddr::from([192, 0, 2, last]);
            self.addresses += 1;
            self.tell_addresses();
        }
        if fault != self.faults || self.now < self.fault_ends {
            return;
        }
        if !self.server.registered {
            self.server.register(true);
            self.serve();
        }
        let open: Vec<u32> = self.peers.keys().copied().collect();
        for media in open {
            let life = self.life;
            self.after(100, Happening::TryMedia(life, media, 10));
        }
        self.after(1_000, Happening::WellAgain(fault));
    }

    /// Rule 5: the station recovers. It is checked each second until it holds or the time is over.
    pub(super) fn well_again(&mut self, fault: u64) {
        if fault != self.faults {
            return;
        }
        let theirs: BTreeSet<CallId> =
            self.server.lines.iter().filter_map(|line| line.leg.as_ref()).map(|leg| leg.call_id.clone()).collect();
        let agree = theirs == self.checks.call_ids();
        let wired = self.wire.as_ref().is_some_and(|wire| !wire.dead && Some(wire.number) == self.held);
        let registered = self.state == SessionState::Registered && wired;
        if registered && agree {
            return;
        }
        if self.now < self.well_by() {
            self.after(1_000, Happening::WellAgain(fault));
            return;
        }
        let ours = self.checks.call_ids();
        let what = format!("session {}, our calls {ours:?}, the server's {theirs:?}", self.state);
        self.checks.fail("well again within 90 s", what);
    }
}
