//! The station: its parts, the way of an input through them, and the next deadline.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Action, Config, Sound};
use crate::signaling::{CallId, RequestBody};

use super::access::Access;
use super::call::{Call, CallState, HuntId, Origin};
use super::contact::Contact;
use super::effect::{Effect, MediaCommand, MediaId, Scene};
use super::fact::Fact;
use super::gesture::ButtonInput;
use super::hunt::Hunt;
use super::input::{AudioEvent, Input, MicrophoneFault};
use super::lines::Lines;
use super::memory::{Memory, RememberedCall};
use super::outputs::OutputState;
use super::pins::PinFaults;
use super::random::Random;
use super::session::{Session, SessionState};
use super::setting::Setting;
use super::time::{Now, Time};

/// Actions that wait for their `after_ms`.
const MAX_DELAYED: usize = 64;
/// Outputs that nobody drained: far more than one input can cause.
const MAX_OUTBOX: usize = 4096;
/// A warm peer connection is remade after this time (`protocol.md`, "Requests").
const WARM_LIFETIME: Duration = Duration::from_secs(300);
/// A peer connection that did not give an offer is tried again after this time.
const WARM_RETRY: Duration = Duration::from_secs(10);

/// The peer connection of the next outgoing call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Warm {
    pub(super) media: MediaId,
    pub(super) offer: Option<String>,
    pub(super) candidates: VecDeque<crate::signaling::Trickle>,
    pub(super) remake_at: Time,
}

/// An action that runs later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delayed {
    pub(super) at: Time,
    pub(super) action: Action,
    pub(super) origin: Origin,
    /// Only if the sensor that caused it has not changed until then (`for_ms`).
    pub(super) lasting: bool,
    /// Begins when it runs.
    pub(super) cooldown: Option<Cooldown>,
}

/// A step of a sensor's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SensorStep {
    pub(super) sensor: usize,
    pub(super) opened: bool,
    /// The rule, and the step in it.
    pub(super) place: (usize, usize),
}

/// Such a step is not to run again before a time (`cooldown_s`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cooldown {
    pub(super) of: SensorStep,
    pub(super) ends_at: Time,
}

/// What was last said of a line, so that facts are told once per change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    call_id: CallId,
    state: CallState,
}

/// The whole state of an intercom station. Serialised with its configuration, it goes on where it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Station {
    pub(super) config: Arc<Config>,
    pub(super) now: Now,
    pub(super) random: Random,
    pub(super) session: Session,
    pub(super) lines: Lines,
    pub(super) hunts: Vec<Hunt>,
    pub(super) warm: Option<Warm>,
    pub(super) warm_retry_at: Option<Time>,
    pub(super) buttons: Vec<ButtonInput>,
    pub(super) sensors: Vec<Contact>,
    pub(super) pin_faults: PinFaults,
    pub(super) outputs: Vec<OutputState>,
    pub(super) delayed: Vec<Delayed>,
    pub(super) cooldowns: Vec<Cooldown>,
    pub(super) audio_fault: Option<String>,
    pub(super) microphone_fault: Option<MicrophoneFault>,
    pub(super) audio_ready: bool,
    pub(super) volume: Setting<u8>,
    pub(super) muted: Setting<bool>,
    /// Until then the loudspeaker is loud enough for the tone of an answer.
    pub(super) sign_until: Option<Time>,
    pub(super) shutting_down: bool,
    pub(super) access: Access,
    pub(super) missed_calls: u64,
    pub(super) refused_calls: u64,
    pub(super) last_end: Option<(CallId, super::cause::Cause)>,
    /// Calls of a former process, until the server has said which of them live.
    pub(super) recalled: Vec<RememberedCall>,
    told_memory: Memory,
    addresses: Option<Vec<IpAddr>>,
    next_media: u32,
    next_hunt: u32,
    scene: Scene,
    told_lines: Vec<Option<Told>>,
    told_session: Option<(SessionState, Option<String>)>,
    /// Drained before anything else happens, and so no part of the state.
    #[serde(skip)]
    pub(super) effects: VecDeque<Effect>,
}

impl Station {
    /// A station that connects at its first tick. `seed` gives call ids and jitter,
    /// `transaction_seed` (from the wall clock) makes transactions unique across restarts.
    pub fn new(config: Arc<Config>, seed: u64, transaction_seed: u64, now: Now) -> Self {
        Self {
            session: Session::new(&config.core, transaction_seed, now.at),
            lines: Lines::new(config.core.lines),
            hunts: Vec::new(),
            warm: None,
            warm_retry_at: None,
            buttons: vec![ButtonInput::of(&config.gpio); config.buttons.len()],
            sensors: vec![Contact::of(&config.gpio); config.sensors.len()],
            pin_faults: PinFaults::new(&config),
            outputs: vec![OutputState::default(); config.outputs.len()],
            delayed: Vec::new(),
            cooldowns: Vec::new(),
            audio_fault: None,
            microphone_fault: None,
            audio_ready: false,
            volume: Setting::default(),
            muted: Setting::default(),
            sign_until: None,
            shutting_down: false,
            access: Access::default(),
            missed_calls: 0,
            refused_calls: 0,
            last_end: None,
            recalled: Vec::new(),
            told_memory: Memory::default(),
            addresses: None,
            next_media: 0,
            next_hunt: 0,
            // Differs from every scene in its volume, so that the first one is told.
            scene: Scene { volume: u8::MAX, ..Scene::default() },
            told_lines: Vec::new(),
            told_session: None,
            effects: VecDeque::new(),
            random: Random::new(seed),
            config,
            now,
        }
    }

    /// Takes in one input. Deadlines that have passed come first, so that no input can hide one.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = Now { at: now.at.max(self.now.at), local: now.local };
        self.run_deadlines();
        match input {
            Input::Tick => {}
            Input::Edge { pin, active } => self.edge(pin, active),
            Input::Level { pin, active, debounced } => self.pin_found(pin, active, debounced),
            Input::PinFault { pin, fault } => self.pin_fault(pin, fault),
            Input::Command(id, by, command) => {
                let result = self.command(by, command);
                self.push(Effect::Reply(id, result));
            }
            Input::Socket(event) => {
                let news = self.session.handle(event, self.now, &mut self.random, &mut self.effects);
                self.take_news(news);
            }
            Input::Token(result) => {
                self.session.token(result, self.now, &mut self.random, &mut self.effects);
            }
            Input::Media(media, event) => self.media_event(media, event),
            Input::Audio(event) => self.audio_event(event),
            Input::Addresses(addresses) => self.network(addresses),
            Input::Probed { answered } => self.session.probed(answered, self.now.at),
            Input::Shutdown => self.shut_down(),
        }
        self.settle();
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is next needed.
    pub fn next_deadline(&self) -> Option<Time> {
        self.session
            .next_deadline()
            .into_iter()
            .chain(self.pins_deadline())
            .chain(self.outputs.iter().filter_map(OutputState::deadline))
            .chain(self.delayed.iter().map(|delayed| delayed.at))
            .chain(self.volume.deadline())
            .chain(self.muted.deadline())
            .chain(self.sign_until)
            .chain(self.hunts.iter().filter_map(|hunt| hunt.waits_until))
            .chain(self.lines.next_deadline())
            .chain(self.warm.as_ref().map(|warm| warm.remake_at))
            .chain(self.warm_retry_at)
            .min()
    }

    /// When the session has something to do next, at the latest: it always has, offline too.
    pub fn session_due(&self) -> Option<Time> {
        self.session.next_deadline()
    }

    /// The configuration it decides by.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// Decides by another configuration from now on. Its pins are those of the one before; see
    /// [`crate::config::reload`]. Outputs may follow.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        if config.audio.volume != self.config.audio.volume {
            self.volume.reset();
        }
        for (output, pin) in self.outputs.iter_mut().zip(&config.outputs) {
            output.limit(&pin.kind);
        }
        self.config = config;
        self.settle();
    }

    /// How many things wait in the core's queues, each of which has a bound: requests in flight with
    /// goodbyes, delayed actions, wishes to call, and outputs that were not drained.
    pub fn backlog(&self) -> [usize; 4] {
        [self.session.queued(), self.delayed.len(), self.hunts.len(), self.effects.len()]
    }

    /// Nothing is left to be said goodbye to: the process may end.
    pub fn is_at_rest(&self) -> bool {
        self.lines.iter().all(|line| line.call.is_none()) && self.outputs.iter().all(|output| !output.is_on())
    }

    pub(super) fn push(&mut self, effect: Effect) {
        debug_assert!(self.effects.len() < MAX_OUTBOX, "nobody drains the outputs");
        self.effects.push_back(effect);
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        self.push(Effect::Fact(fact));
    }

    pub(super) fn play(&mut self, sound: Sound, to_calls: bool) {
        self.push(Effect::Play { sound, to_calls });
    }

    pub(super) fn send(&mut self, line: usize, call_id: Option<CallId>, body: RequestBody) -> Option<String> {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        self.session.request(Some(line), call_id, body, self.now.at, &mut self.effects)
    }

    pub(super) fn new_media(&mut self, command: MediaCommand) -> MediaId {
        let media = MediaId(self.next_media);
        self.next_media = self.next_media.wrapping_add(1);
        self.push(Effect::Media(media, command));
        media
    }

    pub(super) fn new_hunt_id(&mut self) -> HuntId {
        self.next_hunt = self.next_hunt.wrapping_add(1);
        HuntId(self.next_hunt)
    }

    pub(super) fn delay(&mut self, delayed: Delayed) {
        if self.delayed.len() < MAX_DELAYED {
            self.delayed.push(delayed);
        }
    }

    /// Told when the card comes or goes; an attempt that fails for another reason is only in the status.
    fn audio_event(&mut self, event: AudioEvent) {
        let (ready, fault) = match event {
            AudioEvent::Ready => (true, None),
            AudioEvent::Fault(words) => (false, Some(words)),
            AudioEvent::Microphone(fault) => {
                if std::mem::replace(&mut self.microphone_fault, fault) != fault {
                    self.fact(Fact::Microphone { fault });
                }
                return;
            }
        };
        self.microphone_fault = None;
        let came = ready && !self.audio_ready;
        let told = (ready, fault.is_some()) != (self.audio_ready, self.audio_fault.is_some());
        self.audio_ready = ready;
        self.audio_fault.clone_from(&fault);
        if came {
            self.sign_again();
        }
        if told {
            self.fact(Fact::Audio { ready, reason: fault });
        }
    }

    fn shut_down(&mut self) {
        self.shutting_down = true;
        self.hunts.iter_mut().for_each(|hunt| hunt.cancelled = true);
        self.delayed.clear();
        self.hang_up_all("the station stops");
        let now = self.now.at;
        self.outputs.iter_mut().for_each(|output| output.rest(now));
        if let Some(warm) = self.warm.take() {
            self.push(Effect::Media(warm.media, MediaCommand::Close));
        }
    }

    fn run_deadlines(&mut self) {
        let news = self.session.tick(self.now, &mut self.random, &mut self.effects);
        self.take_news(news);
        self.settle_pins();
        for (output, pin) in self.outputs.iter_mut().zip(&self.config.outputs) {
            output.settle(&pin.kind, self.now.at);
        }
        let (due, later) = std::mem::take(&mut self.delayed).into_iter().partition(|delayed| delayed.at <= self.now.at);
        self.delayed = later;
        let due: Vec<Delayed> = due;
        for delayed in due {
            self.cooldowns.extend(delayed.cooldown);
            // Refused or put off: told by then.
            let _ = self.run_action(&delayed.action, &delayed.origin);
        }
        self.run_call_deadlines();
        self.run_hunt_deadlines();
        if self.lines.calls().next().is_none() && self.hunts.is_empty() {
            self.session.return_to_first_server(self.now.at, &mut self.random, &mut self.effects);
        }
    }

    /// The machine's addresses changed: the session looks after its socket, the calls after their
    /// media, and the offer that is kept warm names addresses that may be gone.
    fn network(&mut self, addresses: Vec<IpAddr>) {
        let news = self.session.addresses(addresses.clone(), self.now.at, &mut self.random, &mut self.effects);
        self.take_news(news);
        let Some(before) = self.addresses.replace(addresses.clone()) else { return };
        if before == addresses {
            return;
        }
        if let Some(warm) = self.warm.take() {
            self.push(Effect::Media(warm.media, MediaCommand::Close));
        }
        if before.iter().any(|address| !addresses.contains(address)) {
            for line in 0..self.lines.len() {
                self.address_lost(line);
            }
        }
    }

    /// Brings everything that follows from the state in line with it.
    fn settle(&mut self) {
        self.settle_warm();
        let in_a_call = self.is_in_a_call();
        self.volume.settle(in_a_call, self.now.at);
        self.muted.settle(in_a_call, self.now.at);
        self.sign_until = self.sign_until.filter(|until| self.now.at < *until);
        let scene = self.compose_scene();
        if scene != self.scene {
            self.scene = scene.clone();
            self.push(Effect::Scene(scene));
        }
        self.settle_outputs();
        self.tell_pins();
        self.tell_session();
        self.tell_lines();
        let memory = self.compose_memory();
        if memory != self.told_memory {
            self.told_memory = memory.clone();
            self.push(Effect::Remember(memory));
        }
    }

    /// A call is there, or about to be.
    pub(super) fn is_in_a_call(&self) -> bool {
        self.lines.active().next().is_some() || !self.hunts.is_empty()
    }

    fn settle_outputs(&mut self) {
        let shown = self.shown_states();
        let config = Arc::clone(&self.config);
        // What goes off does so before anything goes on: those that exclude each other never meet.
        let mut changes = Vec::new();
        for ((index, pin), output) in config.outputs.iter().enumerate().zip(&mut self.outputs) {
            changes.extend(output.update(pin, &shown).map(|drive| (index, pin, drive, output.by())));
        }
        changes.sort_by_key(|(_, _, drive, _)| *drive != crate::config::Drive::Off);
        for (index, pin, drive, by) in changes {
            self.push(Effect::Drive(crate::config::OutputIndex(index), drive));
            if matches!(pin.kind, crate::config::OutputKind::Relay { .. }) {
                self.fact(Fact::Output { output: pin.name.clone(), drive, by });
            }
        }
    }

    /// Keeps a peer connection ready, so that a press only has to send.
    fn settle_warm(&mut self) {
        let now = self.now.at;
        if self.warm.as_ref().is_some_and(|warm| now >= warm.remake_at)
            && let Some(warm) = self.warm.take()
        {
            self.push(Effect::Media(warm.media, MediaCommand::Close));
        }
        if self.warm_retry_at.is_some_and(|at| now >= at) {
            self.warm_retry_at = None;
        }
        let wanted = self.session.is_registered() && !self.shutting_down && self.warm_retry_at.is_none();
        if wanted && self.warm.is_none() {
            let media = self.new_media(MediaCommand::Offer);
            self.warm = Some(Warm { media, offer: None, candidates: VecDeque::new(), remake_at: now + WARM_LIFETIME });
        }
    }

    /// The warm peer connection failed: it is closed and made again, not at once.
    pub(super) fn drop_warm(&mut self) {
        if let Some(warm) = self.warm.take() {
            self.push(Effect::Media(warm.media, MediaCommand::Close));
        }
        self.warm_retry_at = Some(self.now.at + WARM_RETRY);
    }

    fn tell_session(&mut self) {
        let now = (self.session.state(), self.session.reason().map(str::to_owned));
        // Attempts that fail for one and the same reason are one fact.
        let same = self.told_session.as_ref().is_some_and(|told| {
            told.0 == now.0 || (now.0 == SessionState::Connecting && told.0 == SessionState::Offline)
        }) && (now.0 == SessionState::Connecting || self.told_session.as_ref() == Some(&now));
        if !same {
            self.fact(Fact::Session { state: now.0, reason: now.1.clone() });
            self.told_session = Some(now);
        }
    }

    fn tell_lines(&mut self) {
        self.told_lines.resize(self.lines.len().max(self.told_lines.len()), None);
        for index in 0..self.lines.len() {
            let now = self.lines.call(index).map(|call| Told { call_id: call.id.clone(), state: call.state() });
            let told = self.told_lines.get(index).cloned().flatten();
            if now == told {
                continue;
            }
            if let (Some(now), Some(call)) = (&now, self.lines.call(index)) {
                let fact = Fact::Call {
                    call_id: now.call_id.0.clone(),
                    line: u32::try_from(index).unwrap_or(u32::MAX),
                    direction: call.direction,
                    number: call.number.clone(),
                    by: call.origin.by.clone(),
                    attempt: call.hunt.map(|hunt| hunt.0),
                    state: now.state,
                    cause: None,
                };
                self.fact(fact);
            }
            if let Some(slot) = self.told_lines.get_mut(index) {
                *slot = now;
            }
        }
    }

    pub(super) fn tell_end(&mut self, line: usize, call: &Call, cause: &super::cause::Cause) {
        self.last_end = Some((call.id.clone(), cause.clone()));
        self.fact(Fact::Call {
            call_id: call.id.0.clone(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            direction: call.direction,
            number: call.number.clone(),
            by: call.origin.by.clone(),
            attempt: call.hunt.map(|hunt| hunt.0),
            state: CallState::Idle,
            cause: Some(cause.clone()),
        });
    }
}
