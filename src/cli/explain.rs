//! `callbox explain`: why the last call ended, and what a press would do.

use std::path::Path;
use std::sync::Arc;

use super::client::{self, Daemon};
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
                println!("{sentence}");
                for event in &events {
                    println!("  {}  {}", words::time_of(event), event.fact);
                }
                Exit::Done
            }
            None => {
                println!("no call has ended since the daemon started");
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
    let why = match meaning(cause.code) {
        Some(meaning) => format!("{meaning} ({} {})", cause.code, cause.text),
        None => format!("{} {}", cause.code, cause.text),
    };
    Some(format!("The call {way} {number} on line {line} ended {length}: {why}."))
}

/// What a SIP status says of the end of a call (RFC 3261, section 21).
fn meaning(code: i64) -> Option<&'static str> {
    Some(match code {
        200 => "it was hung up",
        403 => "the core server forbids it",
        404 | 484 | 604 => "there is no such number",
        408 => "something took too long",
        480 => "nobody answered",
        481 | 454 => "the core server no longer knew the call",
        486 | 600 => "the far end is busy",
        487 => "the caller gave up",
        488 => "there is no codec that both sides know",
        500 | 503 => "the service failed",
        603 => "the far end declined",
        _ => return None,
    })
}

/// What a press would do, decision by decision, without doing anything.
pub(super) fn press(config: &Path, name: &str, at: Option<LocalTime>, offline: bool) -> Exit {
    let config = match load(config) {
        Ok(config) => Arc::new(config),
        Err(exit) => return exit,
    };
    let Some(index) = config.buttons.iter().position(|button| button.name == name) else {
        let names: Vec<&str> = config.buttons.iter().map(|button| button.name.as_str()).collect();
        complain(format!("there is no button \"{name}\"; there are: {}", names.join(", ")));
        return Exit::Usage;
    };
    let local = at.or_else(crate::station::local_time);
    match local {
        Some(local) => println!("{}: it is {}", name, shown_time(local)),
        None => println!("{name}: the clock is not set, so no rule with hours matches"),
    }
    if let Some(button) = config.buttons.get(index) {
        print_rules(&config, &button.press, local);
    }
    Rehearsal::new(config, local, offline).press(index);
    Exit::Done
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
        println!("  rule {number} {word}: {}", super::check::rule(config, rule));
    }
    if !matched {
        println!("  no rule matches: nothing happens");
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
}

impl Rehearsal {
    fn new(config: Arc<Config>, local: Option<LocalTime>, offline: bool) -> Self {
        let station = Station::new(Arc::clone(&config), 1, 1, Now { at: Time(0), local });
        let (now_ms, pressed_ms) = (0, 0);
        let mut rehearsal = Self { config, station, local, now_ms, pressed_ms, told: false, answers: Vec::new() };
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

    fn press(mut self, button: usize) {
        let session = self.station.status().session;
        let reason = session.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        println!("  the session is {}{reason}", session.state);
        println!("  were nobody to answer:");
        self.pressed_ms = self.now_ms;
        self.told = true;
        self.feed(Input::Command(CommandId(1), Command::Press { button, gesture: Gesture::Press }));
        let end = self.now_ms + HORIZON_MS;
        while self.now_ms < end && !self.is_over() {
            self.pass(250);
        }
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
                    println!("  {after:>7.1} s  {words}");
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
        Output::Fact(fact) => matches!(fact, Fact::PressRefused { .. } | Fact::Call { cause: Some(_), .. }),
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
