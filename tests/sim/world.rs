//! The world around one station: network, media, people, clock, pins and sound card, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use callbox::config::Config;
use callbox::core::*;
use callbox::signaling::*;

use crate::checks::{Checks, Violation};
use crate::plan::{Fault, Planned, Stimulus, between};
use crate::server::{Doing, KEEPALIVE_MS, LegState, Server, Timer};

/// The station must have recovered this long after the last fault.
const WELL_AGAIN_MS: u64 = 90_000;
/// An outage that TCP survives.
const TCP_PATIENCE_MS: u64 = 15_000;
/// The longest wait of the slow retry.
const SLOW_RETRY_MS: u64 = 360_000;
/// The longest wait while another client holds the session; `AFTER_TAKEOVER_MS` is the wait after one took it over.
const LET_BE_MS: u64 = 36_000;
const AFTER_TAKEOVER_MS: u64 = 60_000;
/// What a station adds to a `Retry-After`, so that not all of them come back in the same second: at most this, or a
/// quarter of the wait if that is longer.
const RETRY_AFTER_SPREAD_MS: u64 = 5_000;
/// The time that connecting and the handshake take.
const SLACK_MS: u64 = 2_000;
/// The watchdog must not be fed if something stands still for longer.
const WATCHDOG_PATIENCE_MS: u64 = 10_000;
/// More ticks than this at one moment mean a core that never comes to rest.
const TICKS_AT_ONCE: u32 = 10;
/// A handshake with two lines causes about half as many.
const EFFECTS_OF_ONE_INPUT: usize = 64;
/// At least this number of lines of the story is kept.
const STORY_LINES: usize = 400;

/// What happens next. The station's life is the number of its process, counted from 1.
#[derive(Debug)]
enum Happening {
    Stimulus(usize),
    /// An event for the station: its life, its socket.
    Socket(u32, u32, SocketEvent),
    ToServer(u32, ClientMessage),
    Server(Doing),
    /// An input for the station of this life.
    Input(u32, Input),
    /// A peer connection tries to reach the far end: the station's life, the peer connection, earlier tries.
    TryMedia(u32, u32, u32),
    /// Nothing has arrived for 2 s: the station's life, the peer connection, its `lost` at that time.
    MediaLost(u32, u32, u64),
    Sound(u32, u32),
    FaultEnds(u64),
    WellAgain(u64),
    MustAnswer(u64, u64),
    /// A press on a button that was at rest must have counted as one press, however much it bounced.
    PressCounted {
        life: u32,
        before: u64,
        hands: u64,
    },
    Restart(bool),
    Sweep,
}

struct Queued {
    at: u64,
    order: u64,
    what: Happening,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A peer connection of the station.
#[derive(Debug, Default)]
struct Peer {
    /// The number of offers and answers that it made; the newest is valid.
    descriptions: u32,
    ours: String,
    theirs: bool,
    /// `World::addresses` at the newest description.
    addresses: u64,
    connected: bool,
    lost: u64,
    sounds: bool,
    told_at: u64,
}

/// The station's socket as the network sees it.
#[derive(Debug)]
struct Wire {
    number: u32,
    /// Nothing gets through, and neither side is told.
    dead: bool,
    down_at: u64,
    up_at: u64,
}

/// Troubles, each with the time at which it ends.
#[derive(Debug, Default)]
struct Troubles {
    no_network: u64,
    server_away: u64,
    retry_after: Option<u64>,
    late_by: (u64, u64),
    duplicates: u64,
    drops: u64,
    lost_acks: u64,
    late_responses: u64,
    garbage: u64,
    other_client: u64,
    fights: bool,
    no_token: u64,
    no_media: u64,
    media_late: u64,
    clock_lost: u64,
    /// The end, and by how many minutes the clock is wrong.
    clock_jumped: (u64, u64),
    certificate_of_the_future: bool,
}

/// Figures of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub inputs: u64,
    pub presses: u64,
    pub calls_up: u64,
    pub faults: u64,
    pub repairs: u64,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.presses += other.presses;
        self.calls_up += other.calls_up;
        self.faults += other.faults;
        self.repairs += other.repairs;
    }
}

pub struct World {
    now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    plan: Vec<Planned>,
    random: Random,
    config: Arc<Config>,
    renewable: bool,
    station: Option<Station>,
    life: u32,
    memory: Memory,
    server: Server,
    /// The socket that the server holds.
    held: Option<u32>,
    wire: Option<Wire>,
    sockets: u32,
    peers: BTreeMap<u32, Peer>,
    address: IpAddr,
    addresses: u64,
    troubles: Troubles,
    faults: u64,
    fault_ends: u64,
    /// Until then the server has asked the station to wait.
    wait_ends: u64,
    state: SessionState,
    pub checks: Checks,
    pub figures: Figures,
    /// How often somebody or something has pressed the button so far.
    hands: u64,
    button_down_until: u64,
    story: Option<Vec<String>>,
    hash: DefaultHasher,
}

impl World {
    pub fn new(config: Arc<Config>, width: usize, seed: u64, plan: Vec<Planned>, tell: bool) -> Self {
        let hours = config.buttons.iter().any(|button| button.press.rules.len() > 1);
        let renewable = matches!(config.core.credentials, callbox::config::Credentials::Login { .. });
        let mut world = Self {
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            plan,
            random: Random::new(seed),
            renewable,
            config,
            station: None,
            life: 0,
            memory: Memory::default(),
            server: Server::new(),
            held: None,
            wire: None,
            sockets: 0,
            peers: BTreeMap::new(),
            address: IpAddr::from([192, 0, 2, 10]),
            addresses: 0,
            troubles: Troubles::default(),
            faults: 0,
            fault_ends: 0,
            wait_ends: 0,
            state: SessionState::Offline,
            checks: Checks::new(width, hours),
            figures: Figures::default(),
            hands: 0,
            button_down_until: 0,
            story: tell.then(Vec::new),
            hash: DefaultHasher::new(),
        };
        for index in 0..world.plan.len() {
            let at = world.plan[index].at_ms;
            world.at(at, Happening::Stimulus(index));
        }
        world.start();
        world.after(60_000, Happening::Sweep);
        world
    }

    /// Runs to the end of the plan and until everything is at rest.
    pub fn run(&mut self, until: u64) -> Option<Violation> {
        let (mut ticks, mut ticked_at) = (0, 0);
        while self.checks.violation.is_none() {
            let next = self.queue.peek().map_or(u64::MAX, |Reverse(queued)| queued.at);
            let deadline =
                self.station.as_ref().and_then(Station::next_deadline).map_or(u64::MAX, |deadline| deadline.at.0);
            if next.min(deadline) > until {
                break;
            }
            if deadline <= next {
                // A deadline in the past must not turn the time back.
                self.now = self.now.max(deadline);
                self.feed(Input::Tick);
                ticks = if deadline <= ticked_at { ticks + 1 } else { 0 };
                ticked_at = deadline;
                if ticks > TICKS_AT_ONCE {
                    self.checks.fail("deadlines", format!("the core asks for {deadline} again and again"));
                }
            } else if let Some(Reverse(queued)) = self.queue.pop() {
                self.now = self.now.max(queued.at);
                self.happen(queued.what);
            }
            self.serve();
            if let Some(complaint) = self.server.complaint.take() {
                self.checks.fail("protocol", complaint);
            }
        }
        self.checks.violation.clone()
    }

    /// The newest lines of the story.
    pub fn story(&self) -> &[String] {
        self.story.as_deref().unwrap_or_default()
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let at = self.now;
        if let Some(story) = &mut self.story {
            let line = line();
            // The hash covers every line, also those that are not kept.
            (at, &line).hash(&mut self.hash);
            if story.len() >= STORY_LINES * 2 {
                story.drain(..STORY_LINES);
            }
            let (days, rest) = (at / 86_400_000, at % 86_400_000);
            let (hours, minutes, ms) = (rest / 3_600_000, rest / 60_000 % 60, rest % 60_000);
            story.push(format!("{days:2} {hours:02}:{minutes:02}:{:06.3}  {line}", ms as f64 / 1000.0));
        }
    }

    /// The hash of the whole story, also of lines that are not kept.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    fn at(&mut self, at: u64, what: Happening) {
        self.order += 1;
        self.queue.push(Reverse(Queued { at, order: self.order, what }));
    }

    fn after(&mut self, ms: u64, what: Happening) {
        self.at(self.now + ms, what);
    }

    fn input_after(&mut self, ms: u64, input: Input) {
        let life = self.life;
        self.after(ms, Happening::Input(life, input));
    }

    fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    fn local_time(&self) -> Option<LocalTime> {
        let (until, by) = self.troubles.clock_jumped;
        let minute = self.now / 60_000 + if self.now < until { by } else { 0 };
        let weekday = Weekday::ALL[usize::try_from(minute / 1440 % 7).unwrap_or(0)];
        let minute_of_day = u16::try_from(minute % 1440).unwrap_or(0);
        (self.now >= self.troubles.clock_lost).then_some(LocalTime { weekday, minute_of_day })
    }

    // ---- the process ----

    fn start(&mut self) {
        self.life += 1;
        let now = Now { at: Time(self.now), local: self.local_time() };
        let seed = self.random.next_u64();
        let transactions = self.now * 1000 + 1;
        let mut station = Station::new(Arc::clone(&self.config), seed, transactions, now);
        station.recall(self.memory.clone());
        self.station = Some(station);
        self.peers.clear();
        self.state = SessionState::Offline;
        self.feed(Input::Tick);
        self.feed(Input::Audio(AudioEvent::Ready));
        self.tell_addresses();
    }

    fn die(&mut self, power: bool) {
        self.station = None;
        self.peers.clear();
        self.checks.died();
        if power {
            self.memory = Memory::default();
        }
        // If the power fails, the network card is off too: nobody tells the server.
        if !power && self.wire.take().is_some_and(|wire| Some(wire.number) == self.held) {
            self.held = None;
        }
        self.wire = None;
    }

    fn tell_addresses(&mut self) {
        let network = self.now >= self.troubles.no_network || !self.address.is_loopback();
        let mut addresses = vec![IpAddr::from([127, 0, 0, 1])];
        if network && self.address != IpAddr::from([0, 0, 0, 0]) {
            addresses.push(self.address);
        }
        self.feed(Input::Addresses(addresses));
    }

    fn feed(&mut self, input: Input) {
        if self.station.is_none() {
            return;
        }
        self.tell(|| format!("-> {input:?}"));
        let local = self.local_time();
        self.checks.input(self.now, local, &input);
        self.figures.inputs += 1;
        let now = Now { at: Time(self.now), local: self.local_time() };
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
            if !station.session_due().is_some_and(|due| due.0 + 1_000 >= self.now) {
                self.checks.fail("watchdog", format!("the session stands still: due {:?}", station.session_due()));
            }
        }
        self.checks.after_step(self.now);
    }

    fn carry_out(&mut self, effect: Effect) {
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
            Effect::Media(MediaId(media), command) => self.media(media, command),
            Effect::Remember(memory) => self.memory = memory,
            Effect::Fact(Fact::Session { state, .. }) => self.state = state,
            Effect::Fact(Fact::Press { .. }) => self.figures.presses += 1,
            Effect::Fact(Fact::Call { state: CallState::Established, .. }) => self.figures.calls_up += 1,
            Effect::Fact(Fact::Repair { outcome: RepairOutcome::Started, .. }) => self.figures.repairs += 1,
            Effect::Probe(_)
            | Effect::TokenRefused
            | Effect::Scene(_)
            | Effect::Play { .. }
            | Effect::Drive(..)
            | Effect::Reply(..)
            | Effect::Fact(_) => {}
        }
    }

    // ---- the network ----

    fn connect(&mut self, force: bool) {
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
            // It takes the session back.
            self.close_wire(latency + 3_000, 4441);
        } else {
            self.troubles.other_client = self.troubles.other_client.min(self.now);
        }
        self.held = Some(number);
        let state = self.server.state();
        self.say_after(latency + 5, state);
    }

    /// The station closes its socket. The server notices if the network works.
    fn hang_up_socket(&mut self) {
        if let Some(wire) = self.wire.take()
            && self.held == Some(wire.number)
            && !wire.dead
            && self.now >= self.troubles.no_network
        {
            self.held = None;
        }
    }

    fn send(&mut self, message: ClientMessage) {
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

    fn delay(&mut self) -> u64 {
        let (until, by) = self.troubles.late_by;
        if self.now < until { between(&mut self.random, 0, by) } else { 0 }
    }

    /// Sends a message to the station, in order, as far as the network delivers it.
    fn say_after(&mut self, ms: u64, message: ServerMessage) {
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
    fn close_wire(&mut self, ms: u64, code: u16) {
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

    // ---- media ----

    fn media(&mut self, media: u32, command: MediaCommand) {
        let described = |peer: &mut Peer, life: u32, kind: &str, addresses: u64| {
            peer.descriptions += 1;
            peer.addresses = addresses;
            peer.ours = format!("our {kind} {life}.{media}.{}", peer.descriptions);
            peer.ours.clone()
        };
        let (life, addresses) = (self.life, self.addresses);
        let pause = between(&mut self.random, 2, 40);
        match command {
            MediaCommand::Offer | MediaCommand::RestartIce => {
                let peer = self.peers.entry(media).or_default();
                peer.theirs = false;
                let sdp = described(peer, life, "offer", addresses);
                self.media_after(pause, media, MediaEvent::LocalOffer { sdp: sdp.into() });
                let candidate = Candidate { candidate: "candidate:1".into(), sdp_mid: None, sdp_m_line_index: None };
                self.media_after(pause + 5, media, MediaEvent::LocalCandidate(candidate));
                self.media_after(pause + 9, media, MediaEvent::CandidatesComplete);
            }
            MediaCommand::Answer { offer } | MediaCommand::AnswerUpdate { offer } => {
                let peer = self.peers.entry(media).or_default();
                peer.theirs = true;
                let sdp = described(peer, life, "answer", addresses);
                let far_end_holds = offer.ends_with("sendonly");
                self.media_after(pause, media, MediaEvent::LocalAnswer { sdp: sdp.into(), far_end_holds });
            }
            MediaCommand::ApplyAnswer { answer } => {
                let Some(peer) = self.peers.get_mut(&media) else {
                    return self.checks.fail("one peer connection a call", "an answer for one that is closed");
                };
                // An answer to an older offer is not applied.
                peer.theirs |= answer.ends_with(&peer.ours);
            }
            MediaCommand::Close => {
                if self.peers.remove(&media).is_none() {
                    self.checks.fail("one peer connection a call", format!("{media} is closed twice"));
                }
            }
            MediaCommand::AddCandidate(_) | MediaCommand::SendDigits(_) => {}
        }
        if self.peers.len() > 6 {
            self.checks.fail("bounds", format!("{} peer connections are open", self.peers.len()));
        }
    }

    fn media_after(&mut self, ms: u64, media: u32, event: MediaEvent) {
        // Media take another way than the socket.
        let late = if self.now < self.troubles.media_late { between(&mut self.random, 0, 1_500) } else { 0 };
        let at = self.now + ms + late;
        // The events of one peer connection keep their order.
        let at = self.peers.get_mut(&media).map_or(at, |peer| {
            peer.told_at = peer.told_at.max(at);
            peer.told_at
        });
        let life = self.life;
        self.at(at, Happening::Input(life, Input::Media(MediaId(media), event)));
    }

    fn media_path_is_good(&self) -> bool {
        self.now >= self.troubles.no_media && self.now >= self.troubles.no_network
    }

    /// The peer connection that a description of this life belongs to.
    fn peer_of(&self, description: &str) -> Option<u32> {
        let (life, rest) = description.rsplit(' ').next()?.split_once('.')?;
        let media = rest.split('.').next()?.parse().ok()?;
        (life.parse() == Ok(self.life)).then_some(media)
    }

    fn try_media(&mut self, media: u32, tries: u32) {
        let good = self.media_path_is_good();
        let addresses = self.addresses;
        let Some(peer) = self.peers.get_mut(&media) else { return };
        let leg = self.server.leg_described(&peer.ours);
        let may = leg.is_some() && peer.theirs && good && peer.addresses == addresses;
        if may {
            peer.lost += 1;
            let first = !std::mem::replace(&mut peer.sounds, true);
            peer.connected = true;
            self.media_after(1, media, MediaEvent::Connected);
            if first {
                let life = self.life;
                self.after(30, Happening::Sound(life, media));
            }
        } else if tries < 20 {
            let life = self.life;
            self.after(400, Happening::TryMedia(life, media, tries + 1));
        }
    }

    fn lose_media(&mut self, media: u32) {
        let Some(peer) = self.peers.get(&media) else { return };
        if peer.connected {
            let (life, lost) = (self.life, peer.lost);
            let ms = between(&mut self.random, 2_000, 2_400);
            self.after(ms, Happening::MediaLost(life, media, lost));
        }
    }

    fn sound(&mut self, media: u32) {
        let good = self.media_path_is_good();
        let Some(peer) = self.peers.get_mut(&media) else { return };
        let Some(leg) = self.server.leg_described(&peer.ours).filter(|_| peer.connected) else {
            peer.sounds = false;
            return;
        };
        let flows = leg.state == LegState::Up && !leg.muted && !leg.far_end_holds && !leg.station_holds && good;
        if flows {
            self.media_after(0, media, MediaEvent::Received);
        }
        let life = self.life;
        self.after(2_000, Happening::Sound(life, media));
    }

    // ---- what happens ----

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Stimulus(index) => self.stimulus(index),
            Happening::Socket(life, number, event) => {
                let current = life == self.life && self.wire.as_ref().is_some_and(|wire| wire.number == number);
                if !current || self.wire.as_ref().is_some_and(|wire| wire.dead) {
                    return;
                }
                if matches!(event, SocketEvent::Closed(_) | SocketEvent::Failed(_)) {
                    self.wire = None;
                }
                self.feed(Input::Socket(event));
            }
            Happening::ToServer(number, message) => self.at_server(number, message),
            Happening::Server(doing) => self.server_does(doing),
            Happening::Input(life, input) if life == self.life => {
                let gone = matches!(&input, Input::Media(MediaId(media), _) if !self.peers.contains_key(media));
                if !gone {
                    self.feed(input);
                }
            }
            Happening::TryMedia(life, media, tries) if life == self.life => self.try_media(media, tries),
            Happening::MediaLost(life, media, lost) if life == self.life => {
                let good = self.media_path_is_good();
                let addresses = self.addresses;
                let Some(peer) = self.peers.get_mut(&media) else { return };
                let lives = self.server.leg_described(&peer.ours).is_some() && good && peer.addresses == addresses;
                if peer.connected && peer.lost == lost && !lives {
                    peer.connected = false;
                    self.media_after(0, media, MediaEvent::Disconnected);
                    self.after(400, Happening::TryMedia(life, media, 0));
                }
            }
            Happening::Sound(life, media) if life == self.life => self.sound(media),
            Happening::FaultEnds(fault) => self.fault_ends(fault),
            Happening::WellAgain(fault) => self.well_again(fault),
            Happening::MustAnswer(serial, faults) => {
                let rings = self.server.leg(serial).is_some_and(|leg| leg.state == LegState::Inviting);
                if rings && faults == self.faults {
                    self.checks.fail("can be called", "a call that a rule answers rings for 3 s at an idle station");
                }
            }
            Happening::PressCounted { life, before, hands } => {
                let told = self.figures.presses - before;
                // Another press may have come in between.
                if life == self.life && self.station.is_some() && (told == 0 || (hands == self.hands && told != 1)) {
                    self.checks.fail("one press, one call", format!("one press was reported {told} times"));
                }
            }
            Happening::Restart(power) => {
                self.tell(|| "the process starts".into());
                if power {
                    self.troubles.clock_lost = self.now + between(&mut self.random, 0, 60_000);
                    self.troubles.certificate_of_the_future = true;
                }
                self.start();
            }
            Happening::Sweep => {
                self.checks.sweep(self.now);
                self.after(60_000, Happening::Sweep);
            }
            Happening::Input(..) | Happening::TryMedia(..) | Happening::MediaLost(..) | Happening::Sound(..) => {}
        }
    }

    fn at_server(&mut self, number: u32, message: ClientMessage) {
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
    fn serve(&mut self) {
        while let Some(act) = self.server.acts.pop_front() {
            if act.after_ms == 0 {
                self.server_does(act.what);
            } else {
                self.after(act.after_ms, Happening::Server(act.what));
            }
        }
    }

    fn server_does(&mut self, doing: Doing) {
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

    fn stimulus(&mut self, index: usize) {
        let Planned { seed, what, .. } = self.plan[index].clone();
        self.tell(|| format!("** {what:?}"));
        self.random = Random::new(seed);
        match what {
            Stimulus::Press { bounces, held_ms } => {
                let pin = Pin::Button(ButtonIndex(0));
                self.hands += 1;
                if self.station.is_some() && self.now > self.button_down_until + 500 {
                    let (life, before, hands) = (self.life, self.figures.presses, self.hands);
                    self.after(bounces * 3 + 60, Happening::PressCounted { life, before, hands });
                }
                self.button_down_until = self.button_down_until.max(self.now + bounces * 3 + held_ms + 100);
                for bounce in 0..bounces {
                    self.input_after(bounce * 3, Input::Edge { pin, active: true });
                    self.input_after(bounce * 3 + 1, Input::Edge { pin, active: false });
                }
                self.input_after(bounces * 3, Input::Edge { pin, active: true });
                self.input_after(bounces * 3 + held_ms, Input::Edge { pin, active: false });
            }
            Stimulus::Call { from, gives_up_ms, offerless } => {
                let mut random = Random::new(self.random.next_u64());
                let quiet = self.state == SessionState::Registered && self.now > self.well_by();
                let idle = self.checks.is_idle() && self.held.is_some();
                let serial = self.server.invite(from, gives_up_ms, offerless, &mut random);
                if let (Some(serial), true, "100", true) = (serial, quiet && idle, from, gives_up_ms > 5_000) {
                    let faults = self.faults;
                    self.after(3_000, Happening::MustAnswer(serial, faults));
                }
            }
            Stimulus::Fault(fault) => self.fault(fault),
        }
        self.serve();
    }

    /// A fault begins that lasts this long.
    fn fault_now(&mut self, ms: u64) {
        self.faults += 1;
        self.figures.faults += 1;
        self.fault_ends = self.fault_ends.max(self.now + ms);
        let fault = self.faults;
        let at = self.fault_ends;
        self.at(at, Happening::FaultEnds(fault));
    }

    /// A message of the server, which arrives at `at`, asks the station to wait.
    fn asked_to_wait(&mut self, at: u64, ms: u64) {
        self.wait_ends = self.wait_ends.max(at + ms + SLACK_MS);
    }

    /// When the station must have recovered.
    fn well_by(&self) -> u64 {
        self.wait_ends.max(self.fault_ends + WELL_AGAIN_MS)
    }

    fn fault(&mut self, fault: Fault) {
        let now = self.now;
        let until = |ms: u64| now + ms;
        match fault {
            Fault::Reset => {
                self.fault_now(0);
                self.close_wire(1, 1006);
            }
            Fault::SilentLoss => {
                // It ends at the latest when a keepalive has revealed it.
                self.fault_now(KEEPALIVE_MS + 10_000);
                if let Some(wire) = &mut self.wire {
                    wire.dead = true;
                }
            }
            Fault::Outage { ms, address_goes } => {
                self.troubles.no_network = self.troubles.no_network.max(until(ms));
                let noticed = if address_goes || ms < TCP_PATIENCE_MS { 0 } else { KEEPALIVE_MS + 10_000 };
                self.fault_now(ms + noticed);
                if address_goes {
                    self.address = IpAddr::from([0, 0, 0, 0]);
                    self.addresses += 1;
                    let end = self.faults;
                    self.after(ms, Happening::FaultEnds(end));
                }
                if (address_goes || ms >= TCP_PATIENCE_MS)
                    && let Some(wire) = &mut self.wire
                {
                    wire.dead = true;
                }
                if address_goes {
                    self.tell_addresses();
                }
                let open: Vec<u32> = self.peers.keys().copied().collect();
                for media in open {
                    self.lose_media(media);
                }
            }
            Fault::Delay { ms, by_ms } => {
                self.troubles.late_by = (until(ms), by_ms);
                self.fault_now(ms + by_ms * 2 + 20_000);
            }
            Fault::Duplicates { ms } => {
                self.troubles.duplicates = until(ms);
                self.fault_now(ms);
            }
            Fault::Drops { ms } => {
                self.troubles.drops = until(ms);
                self.fault_now(ms);
            }
            Fault::LostAcks { ms } => {
                self.troubles.lost_acks = until(ms);
                self.fault_now(ms);
            }
            Fault::LateResponses { ms } => {
                self.troubles.late_responses = until(ms);
                self.fault_now(ms + 30_000);
            }
            Fault::Garbage { ms } => {
                self.troubles.garbage = until(ms);
                self.fault_now(ms);
            }
            Fault::Close(code) => {
                self.fault_now(0);
                self.close_wire(5, code);
            }
            Fault::ServerRestart { ms, forgets, retry_after_s, code } => {
                self.troubles.server_away = until(ms);
                self.troubles.retry_after = retry_after_s;
                self.fault_now(ms);
                self.close_wire(5, code);
                if forgets {
                    self.server.forget();
                }
            }
            Fault::Takeover { ms, fights } => {
                self.troubles.other_client = until(ms);
                self.troubles.fights = fights;
                self.fault_now(ms);
                self.close_wire(5, 4441);
            }
            Fault::TokenExpires { ms } => {
                self.troubles.no_token = until(ms);
                self.fault_now(if self.renewable { 0 } else { ms });
                self.close_wire(5, 4201);
            }
            Fault::Unregistered { ms } => {
                self.fault_now(ms);
                self.server.register(false);
            }
            Fault::MediaDead { ms } => {
                self.troubles.no_media = until(ms);
                self.fault_now(ms);
                let open: Vec<u32> = self.peers.keys().copied().collect();
                for media in open {
                    self.lose_media(media);
                }
            }
            Fault::MediaLate { ms } => {
                self.troubles.media_late = until(ms);
                self.fault_now(ms);
            }
            Fault::NullCallIds => {
                self.fault_now(0);
                self.server.null_call_ids = true;
                self.close_wire(5, 1011);
            }
            Fault::NoCard { ms } => {
                self.fault_now(ms);
                self.feed(Input::Audio(AudioEvent::Fault("gone".into())));
                self.input_after(ms, Input::Audio(AudioEvent::Ready));
            }
            Fault::CardStalls { ms } => self.card_stalls(ms),
            Fault::ClockLost { ms, certificates } => {
                self.troubles.clock_lost = until(ms);
                self.troubles.certificate_of_the_future = certificates;
                self.fault_now(ms);
            }
            Fault::ClockJumps { ms, minutes } => {
                self.troubles.clock_jumped = (until(ms), minutes);
                self.fault_now(0);
            }
            Fault::StuckButton { ms } => {
                self.fault_now(0);
                self.hands += 1;
                self.button_down_until = self.button_down_until.max(now + ms + 100);
                self.input_after(0, Input::Edge { pin: Pin::Button(ButtonIndex(0)), active: true });
                self.input_after(ms, Input::Edge { pin: Pin::Button(ButtonIndex(0)), active: false });
            }
            Fault::Crash { ms, power } => {
                if self.station.is_some() {
                    self.fault_now(ms + if power { 62_000 } else { 0 });
                    self.die(power);
                    self.after(ms, Happening::Restart(power));
                }
            }
        }
    }

    /// Rule 6: the watchdog is fed only while everything makes progress. The loop checks every 2 s, and the
    /// card counts a frame every 20 ms, except while it stands still.
    fn card_stalls(&mut self, ms: u64) {
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

    fn fault_ends(&mut self, fault: u64) {
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
    fn well_again(&mut self, fault: u64) {
        if fault != self.faults {
            return;
        }
        let theirs: std::collections::BTreeSet<CallId> =
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
