//! `callbox explain`: why the last call ended, and what a press would do.

use std::path::Path;
use std::sync::Arc;

use super::client::{self, Daemon};
use super::output::say;
use super::words;
use super::{Exit, complain, load};
use crate::config::{Config, Hours, Trigger};
use crate::control::{EventRecord, Reply, Request};
use crate::core::*;
use crate::signaling::*;

/// A press is followed no further than this.
const HORIZON_MS: u64 = 90 * 60_000;

/// Why the last call ended: one line, and below it the evidence.
pub(super) async fn last(daemon: &Daemon) -> Exit {
    match client::ask(daemon, &Request::Explain).await {
        Ok(Reply::Explanation(events)) => match sentence(&events) {
            Some(sentence) => {
                say!("{sentence}");
                for event in &events {
                    say!("  {}  {}", words::time_of(event), event.fact);
                }
                Exit::Done
            }
            None => {
                say!("no call has ended since the daemon started");
                Exit::Done
            }
        },
        Ok(reply) => client::refused(reply),
        Err(exit) => exit,
    }
}

fn sentence(events: &[EventRecord]) -> Option<String> {
    let (ended_at, direction, number, line, cause) = events.iter().rev().find_map(|event| match &event.fact {
        Fact::Call { direction, number, line, cause: Some(cause), .. } => {
            Some((event.at_ms, *direction, number, *line, cause))
        }
        _ => None,
    })?;
    let up_at = events.iter().find_map(|event| match &event.fact {
        Fact::Call { state: CallState::Established, .. } => Some(event.at_ms),
        _ => None,
    });
    let legs = legs(events);
    if up_at.is_none() && legs.len() > 1 {
        let legs: Vec<String> = legs.iter().map(|(number, why)| format!("{number}: {why}")).collect();
        return Some(format!("{} Nobody took it. {}.", began(events), legs.join("; ")).trim().to_owned());
    }
    let begins = events.iter().any(|event| {
        use CallState::{Answering, Dialing, Incoming};
        matches!(&event.fact, Fact::Call { state: Dialing | Incoming | Answering, .. })
    });
    let way = if direction == Direction::Outgoing { "to" } else { "from" };
    let length = match up_at {
        Some(up_at) => format!("after {:.1} s of talk", ended_at.saturating_sub(up_at) as f64 / 1000.0),
        None if begins => "before it was up".to_owned(),
        None => "(its beginning is no longer known)".to_owned(),
    };
    let why = match cause.unanswered.map(|why| why.to_string()).or(meaning(cause.code).map(str::to_owned)) {
        Some(meaning) => format!("{meaning} ({} {})", cause.code, cause.text),
        None => format!("{} {}", cause.code, cause.text),
    };
    let began = began(events);
    let number = called(number);
    Some(format!("{began} The call {way} {number} on line {line} ended {length}: {why}.").trim().to_owned())
}

/// Who was called in turn or at once, and what came of each.
fn legs(events: &[EventRecord]) -> Vec<(&str, String)> {
    events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Call { number, cause: Some(cause), attempt: Some(_), .. } => {
                let why = cause.unanswered.map_or_else(|| cause.text.clone(), |why| why.to_string());
                Some((called(number), format!("{why} ({} {})", cause.code, cause.text)))
            }
            _ => None,
        })
        .collect()
}

/// What the calls came of, as a sentence; empty where that is not known.
fn began(events: &[EventRecord]) -> String {
    match events.first().map(|event| &event.fact) {
        Some(Fact::Press { button, .. }) => format!("Somebody pressed {button}."),
        Some(Fact::Sensor { sensor, opened }) => {
            format!("The sensor {sensor} {}.", if *opened { "opened" } else { "closed" })
        }
        _ => String::new(),
    }
}

/// What a SIP status says of the end of a call (RFC 3261, section 21).
fn meaning(code: i64) -> Option<&'static str> {
    Some(match code {
        200 => "it was hung up",
        403 => "the core server forbids it",
        404 | 484 | 604 => "there is no such number",
        408 => "something took too long",
        480 => "nobody could take it",
        481 | 454 => "the core server no longer knew the call",
        486 | 600 => "the far end is busy",
        487 => "the caller gave up",
        400 | 415 | 488 => "what the far end offers cannot be taken",
        500 | 503 => "the service failed",
        603 => "the far end declined",
        _ => return None,
    })
}

/// What may happen, to be rehearsed.
#[derive(Debug, Clone)]
pub(super) enum Trial {
    /// A button is pressed.
    Press { button: String, gesture: Gesture },
    /// A sensor changes.
    Sensor { sensor: String, opened: bool },
    /// A far end that was called, or calls, types a code.
    Code { digits: String, from: String },
    /// Somebody calls.
    Incoming { from: String },
}

/// What a trial would lead to, decision by decision, without doing anything.
pub(super) fn rehearse(config: &Path, trial: &Trial, at: Option<LocalTime>, offline: bool) -> Exit {
    let config = match load(config) {
        Ok(config) => Arc::new(config),
        Err(exit) => return exit,
    };
    let local = at.or_else(crate::station::local_time);
    let time = match local {
        Some(local) => format!("it is {}", shown_time(local)),
        None => "the clock is not set, so no rule with hours matches".to_owned(),
    };
    let result = match trial {
        Trial::Press { button, gesture } => press(&config, button, *gesture, &time, local, offline),
        Trial::Sensor { sensor, opened } => move_sensor(&config, sensor, *opened, &time, local, offline),
        Trial::Code { digits, from } => type_code(&config, digits, from, &time, local),
        Trial::Incoming { from } => receive_call(&config, from, &time, local),
    };
    result.unwrap_or_else(|problem| {
        complain(problem);
        Exit::Usage
    })
}

fn no_such<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let there =
        if names.is_empty() { "none is configured".to_owned() } else { format!("there are: {}", names.join(", ")) };
    format!("there is no {what} \"{name}\"; {there}")
}

fn press(
    config: &Arc<Config>,
    name: &str,
    gesture: Gesture,
    time: &str,
    local: Option<LocalTime>,
    offline: bool,
) -> Result<Exit, String> {
    let names = config.buttons.iter().map(|button| &button.name);
    let index = config.buttons.iter().position(|button| button.name == name);
    let index = index.ok_or_else(|| no_such("button", name, names))?;
    say!("{name}: {time}");
    if let Some(button) = config.buttons.get(index) {
        let trigger = match gesture {
            Gesture::Press => Some(&button.press),
            Gesture::Long => button.long_press.as_ref(),
            Gesture::Double => button.double_press.as_ref(),
        };
        match trigger {
            Some(trigger) => print_rules(config, trigger, local),
            None => say!("  a {} means nothing at this button", shown_gesture(gesture)),
        }
    }
    let command = Command::Press { button: index, gesture };
    Rehearsal::new(Arc::clone(config), local, offline).run(vec![Input::Command(CommandId(1), command)]);
    Ok(Exit::Done)
}

fn shown_gesture(gesture: Gesture) -> &'static str {
    match gesture {
        Gesture::Press => "press",
        Gesture::Long => "long press",
        Gesture::Double => "double press",
    }
}

fn move_sensor(
    config: &Arc<Config>,
    name: &str,
    opened: bool,
    time: &str,
    local: Option<LocalTime>,
    offline: bool,
) -> Result<Exit, String> {
    let names = config.sensors.iter().map(|sensor| &sensor.name);
    let index = config.sensors.iter().position(|sensor| sensor.name == name);
    let index = index.ok_or_else(|| no_such("sensor", name, names))?;
    say!("{name} {}, and stays so: {time}", if opened { "opens" } else { "closes" });
    if let Some(sensor) = config.sensors.get(index) {
        print_rules(config, if opened { &sensor.opened } else { &sensor.closed }, local);
    }
    let pin = Pin::Sensor(index);
    let mut rehearsal = Rehearsal::new(Arc::clone(config), local, offline);
    rehearsal.feed(Input::Level { pin, active: !opened, debounced: false });
    rehearsal.run(vec![Input::Edge { pin, active: opened }]);
    Ok(Exit::Done)
}

fn type_code(
    config: &Arc<Config>,
    digits: &str,
    from: &str,
    time: &str,
    local: Option<LocalTime>,
) -> Result<Exit, String> {
    let digits = digits.to_ascii_uppercase();
    if digits.is_empty() || !digits.chars().all(|digit| "0123456789*#ABCD".contains(digit)) {
        return Err(format!("\"{digits}\" has characters that are no DTMF digits (0-9, *, #, A-D)"));
    }
    // A code may be typed in a call of ours and in one of theirs.
    for direction in [Direction::Outgoing, Direction::Incoming] {
        let whose = if direction == Direction::Outgoing { "whom the station called" } else { "who called the station" };
        say!("{from}, {whose}, types these {} digits: {time}", digits.len());
        let admitted: Vec<&crate::config::DtmfRule> =
            config.dtmf.iter().filter(|rule| rule.admits(from, direction == Direction::Outgoing)).collect();
        match admitted.iter().find(|rule| digits.ends_with(&rule.digits)) {
            _ if admitted.is_empty() => say!("  no code is open to them: nothing happens"),
            Some(rule) => {
                say!("  that is a code of theirs");
                print_rules(config, &rule.run, local);
            }
            None => say!("  that is no code of theirs: wrong"),
        }
        let mut rehearsal = Rehearsal::new(Arc::clone(config), local, false);
        rehearsal.connect_to(from, direction);
        let typed = digits.chars().map(|digit| Input::Media(rehearsal.media, MediaEvent::Digit(digit))).collect();
        rehearsal.run_for(typed, 15_000);
    }
    Ok(Exit::Done)
}

fn receive_call(config: &Arc<Config>, from: &str, time: &str, local: Option<LocalTime>) -> Result<Exit, String> {
    say!("{} calls: {time}", called(from));
    let holds = |hours: &Hours| local.is_some_and(|local| hours.contain(local));
    let mut matched = false;
    for (number, rule) in (1..).zip(&config.answers) {
        let word = match rule {
            _ if matched => "not asked, an earlier one matches",
            rule if !rule.is_for(from) => "is for other callers",
            rule if !rule.hours.as_ref().is_none_or(holds) => "does not match at this hour",
            _ => {
                matched = true;
                "matches"
            }
        };
        say!("  rule {number} {word}: {}", super::check::answer_rule(rule));
    }
    if !matched {
        say!("  no rule matches: the call is declined");
    }
    let mut rehearsal = Rehearsal::new(Arc::clone(config), local, false);
    let invitation = rehearsal.invitation(from);
    rehearsal.run_for(vec![invitation], 90_000);
    Ok(Exit::Done)
}

fn print_rules(config: &Config, trigger: &Trigger, local: Option<LocalTime>) {
    let mut matched = false;
    for (number, rule) in (1..).zip(&trigger.rules) {
        let holds = |hours: &Hours| local.is_some_and(|local| hours.contain(local));
        let word = match (&rule.hours, matched) {
            (_, true) => "not asked, an earlier one matches",
            (Some(hours), false) if !holds(hours) => "does not match",
            _ => {
                matched = true;
                "matches"
            }
        };
        say!("  rule {number} {word}: {}", super::check::rule(config, rule));
    }
    if !matched {
        say!("  no rule matches: nothing happens");
    }
}

/// A copy of the station with a server that takes every call and a far end that never answers.
struct Rehearsal {
    config: Arc<Config>,
    station: Station,
    local: Option<LocalTime>,
    now_ms: u64,
    pressed_ms: u64,
    told: bool,
    answers: Vec<(u64, Input)>,
    /// The peer connection of the last call.
    media: MediaId,
    /// The far end answers.
    answering: bool,
}

impl Rehearsal {
    fn new(config: Arc<Config>, local: Option<LocalTime>, offline: bool) -> Self {
        let station = Station::new(Arc::clone(&config), 1, 1, Now { at: Time(0), local });
        let (now_ms, pressed_ms) = (0, 0);
        let mut rehearsal = Self {
            config,
            station,
            local,
            now_ms,
            pressed_ms,
            told: false,
            answers: Vec::new(),
            media: MediaId(0),
            answering: false,
        };
        rehearsal.feed(Input::Audio(AudioEvent::Ready));
        if offline {
            let words = "no network, as asked with --offline".to_owned();
            // Long enough for the back-off to have grown.
            for _ in 0..4 {
                let failure =
                    ConnectFailure { kind: ConnectFailureKind::Network, words: words.clone(), retry_after: None };
                rehearsal.feed(Input::Socket(SocketEvent::Failed(failure)));
                rehearsal.pass(30_000);
            }
        } else {
            rehearsal.feed(Input::Socket(SocketEvent::Opened { local: None }));
            let registration = Registration { status: RegistrationStatus::Registered, code: None, reason: None };
            rehearsal.feed(Input::Socket(SocketEvent::Message(Box::new(ServerMessage::State(Box::new(
                StateHandshake {
                    keepalive_interval: 3_600_000,
                    timestamp: 0,
                    registration,
                    lines: vec![None; 2],
                    guest_line: None,
                },
            ))))));
            rehearsal.pass(1_000);
        }
        rehearsal
    }

    /// What follows from these inputs until all is at rest.
    fn run(self, inputs: Vec<Input>) {
        self.run_for(inputs, HORIZON_MS);
    }

    fn run_for(mut self, inputs: Vec<Input>, most_ms: u64) {
        let session = self.station.status().session;
        let reason = session.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        say!("  the session is {}{reason}", session.state);
        say!("  were nobody to do anything else:");
        self.pressed_ms = self.now_ms;
        self.told = true;
        inputs.into_iter().for_each(|input| self.feed(input));
        let end = self.now_ms + most_ms;
        while self.now_ms < end && !self.is_over() {
            self.pass(250);
        }
    }

    fn event(&self, body: EventBody) -> Input {
        let event = Event { transaction: None, line: Some(0), call_id: Some(CallId("rehearsal".into())), body };
        Input::Socket(SocketEvent::Message(Box::new(ServerMessage::Event(Box::new(event)))))
    }

    fn invitation(&mut self, from: &str) -> Input {
        self.event(EventBody::IncomingCall(Invitation {
            callee: String::new(),
            caller: from.to_owned(),
            caller_display_name: None,
            referred_by: None,
            replace_call_id: None,
            is_focus: None,
            jsep: Some(Jsep::offer("a rehearsal")),
        }))
    }

    /// A call that is up, whoever made it; what happens on the way is not told.
    fn connect_to(&mut self, number: &str, direction: Direction) {
        match direction {
            Direction::Outgoing => {
                let command = Command::Call { number: number.to_owned(), line: None };
                self.answering = true;
                self.feed(Input::Command(CommandId(1), command));
                self.pass(2_000);
            }
            Direction::Incoming => {
                let invitation = self.invitation(number);
                self.feed(invitation);
                self.feed(Input::Command(CommandId(1), Command::Answer { line: None }));
                self.pass(500);
                let accepted = EventBody::Accepted { jsep: None, callee: None, is_focus: None };
                let accepted = self.event(accepted);
                self.feed(accepted);
                self.pass(500);
            }
        }
        self.feed(Input::Media(self.media, MediaEvent::Connected));
        self.answering = false;
    }

    fn is_over(&self) -> bool {
        let [_, delayed, hunts, _] = self.station.backlog();
        self.station.is_at_rest() && delayed == 0 && hunts == 0 && self.answers.is_empty()
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        loop {
            let deadline = self.station.next_deadline().map_or(u64::MAX, |time| time.0);
            let answer = self.answers.iter().map(|(at, _)| *at).min().unwrap_or(u64::MAX);
            let next = deadline.min(answer);
            if next > end {
                break;
            }
            self.now_ms = self.now_ms.max(next);
            match self.answers.iter().position(|(at, _)| *at == answer && answer <= deadline) {
                Some(index) => {
                    let (_, input) = self.answers.swap_remove(index);
                    self.feed(input);
                }
                None => self.feed(Input::Tick),
            }
        }
        self.now_ms = end;
    }

    fn feed(&mut self, input: Input) {
        self.station.handle(Now { at: Time(self.now_ms), local: self.local }, input);
        while let Some(output) = self.station.poll_output() {
            if self.told && is_a_decision(&output) {
                let after = (self.now_ms - self.pressed_ms) as f64 / 1000.0;
                if let Some(words) = words::output(&self.config, &output) {
                    say!("  {after:>7.1} s  {words}");
                }
            }
            self.respond(&output);
        }
    }

    fn answer_after(&mut self, ms: u64, input: Input) {
        self.answers.push((self.now_ms + ms, input));
    }

    fn respond(&mut self, output: &Output) {
        match output {
            Output::Media(media, MediaCommand::Answer { .. }) => {
                self.media = *media;
                let answer = MediaEvent::LocalAnswer { sdp: "a rehearsal".into(), far_end_holds: false };
                self.answer_after(10, Input::Media(*media, answer));
            }
            Output::Media(media, MediaCommand::ApplyAnswer { .. }) => self.media = *media,
            Output::Media(media, MediaCommand::Offer) => {
                let offer = MediaEvent::LocalOffer { sdp: "a rehearsal".into() };
                self.answer_after(10, Input::Media(*media, offer));
            }
            Output::Send(ClientMessage::Keepalive { transaction }) => {
                let echo = ServerMessage::Keepalive { transaction: Some(transaction.clone()) };
                self.answer_after(10, Input::Socket(SocketEvent::Message(Box::new(echo))));
            }
            Output::Send(ClientMessage::Request(request)) => {
                let event = |body| {
                    let transaction = Some(request.transaction.clone());
                    let event = Event { transaction, line: request.line, call_id: request.call_id.clone(), body };
                    Input::Socket(SocketEvent::Message(Box::new(ServerMessage::Event(Box::new(event)))))
                };
                let ack = ServerMessage::Response(Response {
                    transaction: Some(request.transaction.clone()),
                    line: request.line,
                    call_id: request.call_id.clone(),
                    body: ResponseBody::Ack,
                });
                self.answer_after(20, Input::Socket(SocketEvent::Message(Box::new(ack))));
                match request.body {
                    RequestBody::OutgoingCall { .. } if self.answering => {
                        let jsep = Some(Jsep::answer("a rehearsal"));
                        let accepted = EventBody::Accepted { jsep, callee: None, is_focus: None };
                        self.answer_after(200, event(accepted));
                    }
                    RequestBody::OutgoingCall { .. } => self.answer_after(200, event(EventBody::Ringing {})),
                    RequestBody::Hangup {} => {
                        let hangup = EventBody::Hangup { code: 487, reason: "cancelled".into() };
                        self.answer_after(60, event(hangup));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// What the person at the door or at the far end would notice.
fn is_a_decision(output: &Output) -> bool {
    match output {
        Output::Send(ClientMessage::Request(request)) => !matches!(request.body, RequestBody::IceTrickle { .. }),
        Output::Play { .. } | Output::Scene(_) | Output::Drive(..) | Output::Connect { .. } => true,
        Output::Fact(fact) => matches!(
            fact,
            Fact::PressRefused { .. }
                | Fact::SensorRefused { .. }
                | Fact::Dtmf { .. }
                | Fact::Call { cause: Some(_), .. }
        ),
        _ => false,
    }
}

fn shown_time(local: LocalTime) -> String {
    format!("{:?} {:02}:{:02}", local.weekday, local.minute_of_day / 60, local.minute_of_day % 60)
}

/// `Sun 03:00`, or `03:00` of today.
pub(super) fn time_argument(text: &str) -> Result<LocalTime, String> {
    let remedy = "write a day and a time, as \"Sun 03:00\"";
    let (day, time) = text.trim().rsplit_once(' ').unwrap_or(("", text.trim()));
    let weekday = if day.is_empty() {
        crate::station::local_time().map_or(Weekday::Monday, |local| local.weekday)
    } else {
        let day = day.trim().to_lowercase();
        let named = |weekday: &&Weekday| day.len() >= 2 && format!("{weekday:?}").to_lowercase().starts_with(&day);
        *Weekday::ALL.iter().find(named).ok_or_else(|| format!("\"{day}\" is no day of the week; {remedy}"))?
    };
    let (hour, minutes) = time.split_once(':').ok_or_else(|| format!("\"{time}\" is no time; {remedy}"))?;
    let parse = |text: &str, most: u16| text.parse::<u16>().ok().filter(|value| *value <= most);
    match (parse(hour, 23), parse(minutes, 59)) {
        (Some(hour), Some(minutes)) => Ok(LocalTime { weekday, minute_of_day: hour * 60 + minutes }),
        _ => Err(format!("\"{time}\" is no time; {remedy}")),
    }
}
