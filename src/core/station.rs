//! The station: it owns the machines of the core, and routes each input to the machine that it concerns.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::announcements::{Announcements, Hearing};
use super::api::{Effect, Input, Memory, Origin, Refusal, SessionStatus, Status};
use super::calls::{CallControl, Calls};
use super::context::Context;
use super::deadline::Deadline;
use super::door::{Door, DoorEvent};
use super::readers::{Opened, Readers};
use super::rules::{Actions, Rules};
use super::scene::SceneState;
use super::schedules::Schedules;
use super::session::{News, Session};
use super::time::{Now, Time};
use super::{AlarmState, Done, DoorState, Source};
use crate::config::{Action, Config, ScheduleIndex, ShownState, Trigger};
use crate::mutant::{Mutant, mutant};

/// The whole state of an intercom station.
///
/// The station itself decides little. It routes inputs to its machines, and passes on what one machine reports to the
/// machine that it concerns. Its configuration is serialised with it, so a station that is read back continues where it
/// stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Station {
    context: Context,
    session: Session,
    calls: Calls,
    access: Access,
    door: Door,
    scene: SceneState,
    #[serde(default)]
    announcements: Announcements,
    rules: Rules,
    #[serde(default)]
    readers: Readers,
    #[serde(default)]
    schedules: Schedules,
    remembered: Memory,
}

impl Station {
    /// Creates a station, which connects at its first tick. `seed` determines call ids and jitter. `transaction_seed`
    /// comes from the wall clock, so that transactions are unique across restarts.
    pub fn new(config: Arc<Config>, seed: u64, transaction_seed: u64, now: Now) -> Self {
        Self {
            session: Session::new(&config.core, transaction_seed, now.at),
            calls: Calls::new(config.core.lines),
            access: Access::default(),
            door: Door::new(&config),
            scene: SceneState::new(),
            announcements: Announcements::default(),
            rules: Rules::default(),
            readers: Readers::new(&config),
            schedules: Schedules::new(&config),
            remembered: Memory::default(),
            context: Context::new(config, seed, now),
        }
    }

    /// Takes over what the previous process remembered. Must be called before the first input.
    pub fn recall(&mut self, memory: Memory) {
        for hangup in memory.pending_hangups {
            self.session.remember_hangup(hangup);
        }
        self.calls.recall(memory.calls);
        self.access.recall(memory.wrong_codes, self.context.now.at);
        self.context.recall_modes(memory.modes);
        self.schedules.recall(&memory.schedules, &self.context.config);
        self.schedules.start();
        self.calls.recall_alarms(memory.alarms, &self.context.config, self.context.now.at);
    }

    /// Handles one input. Deadlines that have passed are handled first, so that no input can hide one. Effects may
    /// follow.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.context.now = Now { at: now.at.max(self.context.now.at), local: now.local };
        self.context.settle_modes();
        self.run_deadlines();
        self.take(input);
        self.settle_watched_doors();
        self.settle_schedules();
        self.calls().settle_alarms();
        self.settle_outcomes();
        self.settle_schedule_calls();
        self.settle();
    }

    /// Takes an input to the machine that it concerns.
    fn take(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Edge { pin, active } => {
                self.door.edge(pin, active, self.context.now.at);
                self.settle_door();
            }
            Input::Level { pin, active, debounced } => {
                self.door.level(pin, active, debounced, self.context.now.at);
                self.settle_door();
            }
            Input::PinFault { pin, fault } => self.door.pin_fault(pin, fault, self.context.now.at),
            Input::Key { reader, key } => {
                let opened = self.readers.key(reader, key, &mut self.access, &mut self.context);
                self.open_by_reader(opened);
            }
            Input::Reader { reader, fault } => self.readers.fault(reader, fault, &mut self.context),
            Input::CodeChecked { check, matched } => {
                let opened = self.readers.checked(check, &matched, &mut self.access, &mut self.context);
                self.open_by_reader(opened);
            }
            Input::Command(id, by, command) => {
                let result = self.command(by, command);
                self.context.push(Effect::Reply(id, result));
            }
            Input::Socket(event) => {
                let news = self.session.handle(event, &mut self.context);
                self.take_news(news);
            }
            Input::ServerTime { ahead_ms } => self.context.server_time(ahead_ms),
            Input::Token(result) => self.session.token(result, &mut self.context),
            Input::IceServers(answer) => {
                if self.session.ice_servers(answer, &mut self.context) {
                    // The next call gets one that knows the new servers.
                    self.calls().close_warm();
                }
            }
            Input::Media(media, event) => {
                self.calls().media_event(media, event);
                self.run_accepted_codes();
            }
            Input::Audio(event) => {
                let change = self.scene.audio_event(event);
                if change.came {
                    self.calls().answer_tone_again();
                }
                if let Some(fact) = change.fact {
                    self.context.fact(fact);
                }
            }
            Input::Addresses(addresses) => {
                let news = self.session.addresses(addresses.clone(), &mut self.context);
                self.take_news(news);
                self.calls().network_changed(addresses);
            }
            Input::Probed { answered } => self.session.probed(answered, self.context.now.at),
            Input::Shutdown => self.shut_down(),
        }
    }

    /// The next thing that an adapter must do; `None` when all effects are drained.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.context.poll_effect()
    }

    /// When [`Input::Tick`] is next needed, and what for.
    pub fn next_deadline(&self) -> Option<Deadline> {
        let machines = [
            self.session.next_deadline(),
            self.door.next_deadline(&self.context.config),
            self.rules.next_deadline(),
            self.readers.next_deadline(&self.context.config),
            self.scene.next_deadline(),
            self.announcements.next_deadline(),
            self.calls.next_deadline(),
            self.calls.alarm_deadline(self.session.is_registered()),
            self.context.mode_deadline(),
            self.schedules.next_deadline(&self.context.config, self.context.clock()),
        ];
        Deadline::earliest(machines.into_iter().flatten())
    }

    /// When the session next has something to do. It always has, also while it is offline: the [`super::Watchdog`]
    /// relies on that.
    pub fn session_due(&self) -> Option<Time> {
        self.session.next_deadline().map(|deadline| deadline.at)
    }

    /// The configuration in use.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.context.config)
    }

    /// Uses another configuration from now on. Its pins must be the same as before (see [`crate::config::reload`]).
    /// Effects may follow.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        if config.audio.volume != self.context.config.audio.volume {
            self.scene.reset_volume();
        }
        self.door.reconfigure(&self.context.config, &config);
        self.schedules.reconfigure(&self.context.config, &config);
        self.readers.reconfigure(&config);
        self.context.reconfigure(config);
        self.settle();
    }

    /// A schedule comes due at the next input, without its jitter. For rehearsals.
    pub fn bring_due(&mut self, schedule: ScheduleIndex) {
        self.schedules.bring_due(schedule, self.context.now.at);
    }

    /// The lengths of the core's queues, each of which has a bound: requests in flight and pending hangups, delayed
    /// actions, hunts, and effects that are not drained yet.
    pub fn backlog(&self) -> [usize; 4] {
        [self.session.queued(), self.rules.waiting(), self.calls.hunt_count(), self.context.waiting_effects()]
    }

    /// Whether every line is free and every output is off: then the process may stop.
    pub fn is_at_rest(&self) -> bool {
        self.calls.lines_are_free() && !self.door.any_output_is_on()
    }

    /// A snapshot of everything, as it was after the last input.
    pub fn status(&self) -> Status {
        let (config, now) = (&self.context.config, self.context.now.at);
        Status {
            session: SessionStatus {
                state: self.session.state(),
                server: self.session.server().0,
                ping_pong: self.session.is_ping_pong(now),
                reason: self.session.reason().map(str::to_owned),
                counters: self.session.counters(),
            },
            ice_servers: self.session.ice_servers_status(&config.media),
            lines: self.calls.status(config, now),
            alarms: self.calls.alarm_status(now),
            audio: self.audio_status(),
            outputs: self.door.output_status(config),
            doors: self.door.watch_status(config, now),
            buttons: self.door.button_status(config),
            sensors: self.door.sensor_status(config),
            readers: self.readers.status(config, &self.access, now),
            schedules: self.schedules.status(config),
            modes: self.context.modes.status(config),
            clock_fault: self.context.clock_fault(),
            missed_calls: self.calls.missed(),
            refused_calls: self.calls.refused(),
            last_end: self.calls.last_end(),
        }
    }

    fn audio_status(&self) -> super::AudioStatus {
        let playing = self.announcements.playing().map(|what| self.context.config.name_of(what).to_owned());
        super::AudioStatus { playing, ..self.scene.status(&self.context) }
    }

    fn calls(&mut self) -> CallControl<'_> {
        CallControl::new(&mut self.calls, &mut self.session, &mut self.access, &mut self.context)
    }

    /// The rules, and the machines that an action acts on.
    fn rules_and_actions(&mut self) -> (&mut Rules, Actions<'_>) {
        let calls = CallControl::new(&mut self.calls, &mut self.session, &mut self.access, &mut self.context);
        let (door, scene, announcements) = (&mut self.door, &mut self.scene, &mut self.announcements);
        (&mut self.rules, Actions { calls, door, scene, announcements })
    }

    /// Runs the rule of a code, or calls the number that somebody typed.
    fn open_by_reader(&mut self, opened: Option<Opened>) {
        if let Some((trigger, origin)) = opened.filter(|_| !self.context.shutting_down) {
            // Refusals have been reported.
            let _ = self.run_trigger(&trigger, &origin);
        }
    }

    fn take_news(&mut self, news: Vec<News>) {
        self.calls().handle_news(news);
        self.run_accepted_codes();
    }

    fn command(&mut self, by: super::By, command: super::Command) -> Result<Done, Refusal> {
        if let super::Command::Press { button, gesture } = command
            && !self.context.shutting_down
        {
            return self.gesture(button, gesture, by);
        }
        let (_, mut actions) = self.rules_and_actions();
        actions.command(by, command)
    }

    fn gesture(
        &mut self,
        button: crate::config::ButtonIndex,
        gesture: super::Gesture,
        by: super::By,
    ) -> Result<Done, Refusal> {
        let config = self.config();
        self.door.grant_exit(button, &by, &config, self.context.now.at);
        let (_, mut actions) = self.rules_and_actions();
        match actions.gesture(button, gesture, &by) {
            Some(trigger) => self.run_trigger(&trigger, &Origin { source: Source::Button(button), by }),
            None => Ok(Done::Now),
        }
    }

    fn run_trigger(&mut self, trigger: &Trigger, origin: &Origin) -> Result<Done, Refusal> {
        self.run_trigger_of(trigger, origin, None)
    }

    /// Runs a trigger. `opened` is the state of the sensor, if it is the sensor's own trigger.
    fn run_trigger_of(&mut self, trigger: &Trigger, origin: &Origin, opened: Option<bool>) -> Result<Done, Refusal> {
        let now = self.context.now.at;
        let moment = self.context.moment();
        let mut rules = trigger.rules.iter().enumerate();
        let Some(rule) = rules.find(|(_, rule)| rule.conditions.hold(moment) || mutant(Mutant::RuleOfAnotherTime))
        else {
            return Ok(Done::Now);
        };
        let (rules, mut actions) = self.rules_and_actions();
        let result = rules.run(rule, origin, opened, now, |action: &Action, origin| actions.carry_out(action, origin));
        if let Err(refusal @ Refusal::TooManyActions) = &result {
            self.calls().report_no_call(origin.source, refusal.to_string());
        }
        result
    }

    /// Runs the rules for what has happened at the door.
    fn settle_door(&mut self) {
        let config = self.config();
        for event in self.door.settle_inputs(&config, self.context.now.at) {
            // Refusals have been reported.
            let _ = match event {
                DoorEvent::Gesture(button, gesture) => {
                    let name = config.buttons.get(button.0).map(|button| button.name.clone()).unwrap_or_default();
                    self.gesture(button, gesture, super::By::Finger { button: name })
                }
                DoorEvent::Sensor(sensor, opened) => self.sensor_changed(sensor, opened),
            };
        }
    }

    fn sensor_changed(&mut self, sensor: crate::config::SensorIndex, opened: bool) -> Result<Done, Refusal> {
        let config = self.config();
        let Some(configured) = config.sensors.get(sensor.0) else { return Ok(Done::Now) };
        let name = configured.name.clone();
        self.context.fact(super::Fact::Sensor { sensor: name.clone(), opened });
        self.rules.sensor_changed(sensor);
        let origin = Origin { source: Source::Sensor(sensor), by: super::By::Sensor { sensor: name } };
        self.run_trigger_of(if opened { &configured.opened } else { &configured.closed }, &origin, Some(opened))
    }

    /// Runs the rules of the doors that were forced, held open, or closed again.
    fn settle_watched_doors(&mut self) {
        let config = self.config();
        for (door, change) in self.door.settle_watches(&config, self.context.now.at) {
            let Some(configured) = config.doors.get(door.0) else { continue };
            let name = configured.name.clone();
            if change.to != DoorState::Opening {
                self.context.fact(super::Fact::Door { door: name.clone(), state: change.to, by: change.by });
            }
            let trigger = match (change.from, change.to) {
                (_, DoorState::Forced) => &configured.forced,
                (_, DoorState::Held) => &configured.held,
                (DoorState::Forced | DoorState::Held, DoorState::Closed) => &configured.restored,
                _ => continue,
            };
            let origin = Origin { source: Source::Door(door), by: super::By::Door { door: name } };
            if change.to == DoorState::Closed {
                // Nobody is asked to close a door that is closed.
                self.announcements.end_of(&origin.by);
            }
            // Refusals have been reported.
            let _ = self.run_trigger(trigger, &origin);
        }
    }

    /// Runs the schedules whose time has come.
    fn settle_schedules(&mut self) {
        let config = self.config();
        if config.schedules.is_empty() || self.context.shutting_down {
            return;
        }
        self.schedules.update(&config, self.context.clock(), &mut self.context.random);
        let lines_are_free = self.calls.lines_are_free() && self.calls.hunt_count() == 0;
        for index in self.schedules.take_due(lines_are_free, &config, self.context.clock()) {
            let Some(schedule) = config.schedules.get(index.0) else { continue };
            let name = schedule.name.clone();
            self.context.fact(super::Fact::Schedule { schedule: name.clone() });
            let origin = Origin { source: Source::Schedule(index), by: super::By::Schedule { schedule: name } };
            // Refusals have been reported.
            let _ = self.run_trigger(&schedule.run, &origin);
            self.schedules.note_begun(index, self.calls.is_calling_for(index));
        }
    }

    /// Whether somebody has taken the calls of schedules.
    fn settle_schedule_calls(&mut self) {
        for (index, call) in self.calls.take_schedule_calls() {
            self.schedules.note_call(index, call);
        }
        for (index, fault) in self.schedules.take_changed_faults() {
            let name = self.context.config.schedules.get(index.0).map(|schedule| schedule.name.clone());
            self.context.fact(super::Fact::ScheduleFault { schedule: name.unwrap_or_default(), fault });
        }
    }

    /// Runs the rules of what calls have come to. A call in an outcome has no outcomes, so this ends.
    fn settle_outcomes(&mut self) {
        loop {
            let outcomes = self.calls.take_outcomes();
            if outcomes.is_empty() || self.context.shutting_down {
                return;
            }
            for (trigger, origin) in outcomes {
                // Refusals have been reported.
                let _ = self.run_trigger(&trigger, &origin);
            }
        }
    }

    /// Runs the rules of the codes that far ends have entered.
    fn run_accepted_codes(&mut self) {
        for code in self.calls().take_accepted_codes() {
            let config = self.config();
            if let Some(rule) = config.dtmf.get(code.rule) {
                let origin = Origin { source: Source::Station, by: super::By::Code { number: code.number } };
                let _ = self.run_trigger(&rule.run, &origin);
            }
        }
    }

    fn run_deadlines(&mut self) {
        let news = self.session.tick(&mut self.context);
        self.take_news(news);
        self.settle_door();
        let config = self.config();
        self.door.run_deadlines(&config, self.context.now.at);
        let moment = self.context.moment();
        for (action, origin) in self.rules.take_due(self.context.now.at, |conditions| conditions.hold(moment)) {
            let (_, mut actions) = self.rules_and_actions();
            // Refusals have been reported.
            let _ = actions.carry_out(&action, &origin);
        }
        self.readers.run_deadlines(&config, self.context.now.at);
        self.calls().run_deadlines();
        if self.calls.none_at_all() {
            self.session.return_to_first_server(&mut self.context);
        }
    }

    /// Derives what follows from the state: the warm peer connection, the scene, the outputs, the reports, and what
    /// must outlive the process.
    fn settle(&mut self) {
        self.context.settle_modes();
        self.calls().settle_warm();
        self.scene.settle_settings(self.calls.any_active(), self.context.now.at);
        self.calls.settle_answer_tone(self.context.now.at);
        self.scene.settle(&self.calls, &mut self.context);
        self.settle_announcements();
        let shown = self.shown_states();
        self.door.settle_outputs(&shown, &mut self.context);
        self.door.report_faults(&mut self.context);
        self.session.report(&mut self.context);
        self.calls.report(&mut self.context);
        let memory = self.memory();
        if memory != self.remembered {
            self.remembered = memory.clone();
            self.context.push(Effect::Remember(memory));
        }
    }

    fn settle_announcements(&mut self) {
        let hearing = Hearing {
            card: self.scene.card_is_ready(),
            any_call: self.calls.any_active(),
            far_end: self.calls.any_established(),
            far_end_hears: self.calls.any_hears(),
            say: self.calls.say(),
        };
        self.announcements.settle(&hearing, &mut self.context);
    }

    /// The states that LEDs may show, the most urgent one first.
    fn shown_states(&self) -> Vec<ShownState> {
        let faults = [
            !self.session.is_registered(),
            self.scene.has_fault(),
            self.door.has_fault(),
            self.schedules.has_fault(),
            self.readers.has_fault(),
            self.context.clock_fault().is_some(),
        ];
        let fault = faults.contains(&true);
        let states = [
            (self.calls.any_alarm_is(AlarmState::Raised), ShownState::Alarm),
            (self.calls.any_alarm_is(AlarmState::Answered), ShownState::AlarmAnswered),
            (self.door.any_is(DoorState::Forced), ShownState::DoorForced),
            (self.door.any_is(DoorState::Held), ShownState::DoorHeld),
            (self.door.is_door_open(&self.context.config), ShownState::DoorOpen),
            (self.calls.any_established(), ShownState::Talking),
            (self.calls.any_being_set_up(), ShownState::Calling),
            (fault, ShownState::Fault),
            (!fault, ShownState::Ready),
        ];
        states.into_iter().filter_map(|(holds, state)| holds.then_some(state)).collect()
    }

    fn memory(&self) -> Memory {
        Memory {
            calls: self.calls.remembered(&self.context.config),
            pending_hangups: self.session.pending_hangups().to_vec(),
            wrong_codes: self.access.remembered(),
            modes: self.context.modes.remembered(&self.context.config),
            schedules: self.schedules.remembered(&self.context.config),
            alarms: self.calls.remembered_alarms(&self.context.config),
        }
    }

    fn shut_down(&mut self) {
        self.context.shutting_down = true;
        self.rules.clear();
        self.announcements.clear(&mut self.context);
        self.calls().alarms_lose_their_calls();
        self.calls().hang_up_all("the station stops");
        self.door.rest(self.context.now.at);
        self.calls().close_warm();
    }
}
