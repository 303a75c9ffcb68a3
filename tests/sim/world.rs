//! The world around one station: network, media, people, clock, pins and sound card, in virtual time.

mod agenda;
mod faults;
mod keypad;
mod media;
mod network;
mod passage;
mod process;
mod server_acts;
mod stimuli;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use callbox::config::Config;
use callbox::core::*;
use jiff::ToSpan;
use jiff::civil::{Date, date};

use crate::checks::{Checks, Violation};
use crate::plan::Planned;
use crate::server::Server;
use agenda::{Agenda, Happening};
use faults::Troubles;
use media::Peer;
use network::Wire;

/// More ticks than this at one moment mean a core that never comes to rest.
const TICKS_AT_ONCE: u32 = 10;
/// A Monday.
const FIRST_DAY: Date = date(2026, 1, 5);
/// At least this number of lines of the story is kept.
const STORY_LINES: usize = 400;

/// Figures of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub inputs: u64,
    pub presses: u64,
    pub calls_up: u64,
    pub faults: u64,
    pub repairs: u64,
    pub forced: u64,
    pub held: u64,
    pub alarms: u64,
    pub confirmed: u64,
    pub codes: u64,
    /// Lamps and sirens that motion switched on, and runs of the schedule.
    pub lit: u64,
    pub runs: u64,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.presses += other.presses;
        self.calls_up += other.calls_up;
        self.faults += other.faults;
        self.repairs += other.repairs;
        self.forced += other.forced;
        self.held += other.held;
        self.alarms += other.alarms;
        self.confirmed += other.confirmed;
        self.codes += other.codes;
        self.lit += other.lit;
        self.runs += other.runs;
    }
}

pub struct World {
    now: u64,
    agenda: Agenda,
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
    door_is_open: bool,
    /// Until then somebody moves in front of the sensor.
    motion_ends: u64,
    /// The server has told this process what time it is, and by how much its clock was said to be ahead.
    server_time: Option<i64>,
    /// Until then somebody is on the way through the watched door.
    passage_ends: u64,
    story: Option<Vec<String>>,
    hash: DefaultHasher,
}

impl World {
    pub fn new(config: Arc<Config>, width: usize, seed: u64, plan: Vec<Planned>, tell: bool) -> Self {
        let hours = config.buttons.iter().any(|button| button.press.rules.len() > 1);
        let renewable = matches!(config.core.credentials, callbox::config::Credentials::Login { .. });
        let mut world = Self {
            now: 0,
            agenda: Agenda::default(),
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
            door_is_open: false,
            motion_ends: 0,
            server_time: None,
            passage_ends: 0,
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
            let next = self.agenda.next_at();
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
            } else if let Some((at, what)) = self.agenda.pop() {
                self.now = self.now.max(at);
                self.happen(what);
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
        self.agenda.add(at, what);
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

    /// By how many minutes the clock is wrong.
    fn clock_is_ahead_min(&self) -> u64 {
        let jump = &self.troubles.clock_jumped;
        if self.now < jump.until { jump.minutes } else { 0 }
    }

    fn local_time(&self) -> Option<LocalTime> {
        let minute = self.now / 60_000 + self.clock_is_ahead_min();
        // The first day is a Monday.
        let days = i64::try_from(minute / 1440).unwrap_or(0);
        let date = FIRST_DAY.checked_add(days.days()).unwrap_or(FIRST_DAY);
        let minute_of_day = u16::try_from(minute % 1440).unwrap_or(0);
        (self.now >= self.troubles.clock_lost).then_some(LocalTime { date, minute_of_day })
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Stimulus(index) => self.stimulus(index),
            Happening::Socket(life, number, event) => self.socket_event(life, number, event),
            Happening::ToServer(number, message) => self.at_server(number, message),
            Happening::Server(doing) => self.server_does(doing),
            Happening::Input(life, input) if life == self.life => {
                let gone = matches!(&input, Input::Media(MediaId(media), _) if !self.peers.contains_key(media));
                if !gone {
                    self.feed(input);
                }
            }
            Happening::TryMedia(life, media, tries) if life == self.life => self.try_media(media, tries),
            Happening::MediaLost(life, media, lost) if life == self.life => self.media_lost(media, lost),
            Happening::Sound(life, media) if life == self.life => self.sound(media),
            Happening::FaultEnds(fault) => self.fault_ends(fault),
            Happening::WellAgain(fault) => self.well_again(fault),
            Happening::MustAnswer(serial, faults) => self.must_answer(serial, faults),
            Happening::PressCounted { life, before, hands } if life == self.life => self.press_counted(before, hands),
            Happening::Contact(open) => self.contact(open),
            Happening::MotionStayed(life) if life == self.life => self.checks.motion_stayed(self.now),
            Happening::Passage(passage) => self.passage(passage),
            Happening::Restart(power) => self.restart(power),
            Happening::Sweep => {
                self.checks.sweep(self.now);
                self.after(60_000, Happening::Sweep);
            }
            // It was meant for a process that has ended.
            Happening::Input(..)
            | Happening::TryMedia(..)
            | Happening::MediaLost(..)
            | Happening::Sound(..)
            | Happening::MotionStayed(_)
            | Happening::PressCounted { .. } => {}
        }
    }
}
