//! Messages about inputs, effects and calls, for people.

use super::complain;
use super::output::say;
use crate::config::Config;
use crate::control::EventRecord;
use crate::core::{
    CallStatus, Deadline, Done, Drive, Effect, IceServersAnswer, Input, Line, MediaCommand, MediaEvent, MissingSound,
    ReaderKey, RepairStep, SocketEvent,
};
use crate::signaling::{ClientMessage, ServerMessage};

/// What is wrong with the media of a call; empty if nothing is.
pub(super) fn media(call: &CallStatus) -> &'static str {
    match (call.repairing, call.silent) {
        (Some(RepairStep::IceRestart), _) => ", its media is being repaired: ICE restart",
        (Some(RepairStep::NewPeerConnection | RepairStep::Redial), _) => {
            ", its media is being repaired: a new peer connection"
        }
        (None, Some(MissingSound::Downlink)) => ", no sound comes from the far end",
        (None, Some(MissingSound::Uplink)) => ", the server does not hear us",
        (None, Some(MissingSound::Both)) => ", no sound in either direction",
        (None, None) if !call.media_connected => ", no media yet",
        (None, None) => "",
    }
}

/// The local time of an event, or an empty text if its time is out of range.
pub(super) fn time_of(event: &EventRecord) -> String {
    local_time(event, "%H:%M:%S%.3f")
}

/// The local date and time of an event, or an empty text if its time is out of range.
pub(super) fn date_and_time_of(event: &EventRecord) -> String {
    local_time(event, "%Y-%m-%d %H:%M:%S")
}

fn local_time(event: &EventRecord, format: &str) -> String {
    i64::try_from(event.at_ms)
        .ok()
        .and_then(|at| jiff::Timestamp::from_millisecond(at).ok())
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string())
        .unwrap_or_default()
}

/// Prints an event as one line of JSON.
pub(super) fn print_json(event: &EventRecord) {
    match serde_json::to_string(event) {
        Ok(text) => say!("{text}"),
        Err(error) => complain(error),
    }
}

/// An input, in one line. `deadline` is the next deadline of the station before it takes the input.
pub(super) fn input(input: &Input, deadline: Option<Deadline>) -> String {
    match input {
        Input::Tick => deadline.map_or_else(|| "a deadline".into(), |deadline| format!("deadline: {deadline}")),
        Input::Edge { pin, active } => format!("{pin:?} {}", if *active { "active" } else { "at rest" }),
        Input::Level { pin, active, .. } => {
            format!("{pin:?} is opened and {}", if *active { "active" } else { "at rest" })
        }
        Input::PinFault { pin, fault: Some(fault) } => format!("{pin:?}: {fault}"),
        Input::PinFault { pin, fault: None } => format!("{pin:?} works"),
        Input::Command(_, by, command) => format!("command {by}: {command:?}"),
        Input::Socket(SocketEvent::Opened { .. }) => "the socket is open".into(),
        Input::Socket(SocketEvent::Failed(failure)) => format!("no connection: {}", failure.message),
        Input::Socket(SocketEvent::BadFrame(error)) => format!("a bad frame: {error}"),
        Input::Socket(SocketEvent::Closed(cause)) => format!("socket closed: {} ({})", cause.message(), cause.code()),
        Input::Socket(SocketEvent::Message(message)) => server_message(message),
        Input::ServerTime { ahead_ms } => format!("the server's clock is {ahead_ms} ms ahead"),
        Input::Token(result) => format!("login: {result:?}"),
        Input::IceServers(answer) => match answer {
            IceServersAnswer::Obtained { counts, .. } => format!("STUN and TURN servers: {counts}"),
            IceServersAnswer::NotOffered => "the server hands out no STUN and TURN servers".into(),
            IceServersAnswer::Failed(message) => format!("no STUN and TURN servers: {message}"),
        },
        // What is typed is a secret.
        Input::Key { reader, key } => match key {
            ReaderKey::Symbol(_) => format!("reader {}: a symbol", reader.0),
            ReaderKey::Enter => format!("reader {}: enter", reader.0),
            ReaderKey::Clear => format!("reader {}: clear", reader.0),
        },
        Input::Reader { reader, fault: Some(fault) } => format!("reader {}: {fault}", reader.0),
        Input::Reader { reader, fault: None } => format!("reader {} works", reader.0),
        Input::CodeChecked { matched, .. } => format!("{} codes are what was typed", matched.len()),
        Input::Media(media, event) => format!("media {}: {}", media.0, media_event(event)),
        Input::Audio(event) => format!("sound card: {event:?}"),
        Input::Addresses(addresses) => {
            let usable: Vec<String> =
                addresses.iter().filter(|address| !address.is_loopback()).map(ToString::to_string).collect();
            format!("addresses: {}", if usable.is_empty() { "none".into() } else { usable.join(", ") })
        }
        Input::Probed { answered } => format!("the first server {}", if *answered { "answers" } else { "is silent" }),
        Input::Shutdown => "the daemon is asked to stop".into(),
    }
}

fn server_message(message: &ServerMessage) -> String {
    let line = |line: Option<Line>| line.map(|line| format!(" on line {line}")).unwrap_or_default();
    match message {
        ServerMessage::State(state) => {
            let busy = state.lines.iter().flatten().count();
            format!("server: state, {:?}, {busy} of {} lines busy", state.registration.status, state.lines.len())
        }
        ServerMessage::Keepalive { .. } => "server: keepalive".into(),
        ServerMessage::Response(response) => format!("server: {:?}{}", response.body, line(response.line)),
        ServerMessage::Event(event) => {
            // Only the event's name on the wire and a few fields; a session description is long and says little.
            let body = serde_json::to_value(&event.body).unwrap_or_default();
            let name = body.get("event").and_then(|name| name.as_str()).unwrap_or("event").to_owned();
            let detail = ["code", "reason", "caller", "receiving"].iter().filter_map(|field| {
                let value = body.get(field)?;
                Some(format!(" {field} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            });
            format!("server: {name}{}{}", line(event.line), detail.collect::<String>())
        }
    }
}

fn media_event(event: &MediaEvent) -> String {
    match event {
        MediaEvent::LocalOffer { .. } => "our offer is ready".into(),
        MediaEvent::LocalAnswer { far_end_holds, .. } => {
            format!("our answer is ready{}", if *far_end_holds { ", the far end holds the call" } else { "" })
        }
        MediaEvent::LocalCandidate(_) => "a candidate".into(),
        MediaEvent::CandidatesComplete => "no more candidates".into(),
        MediaEvent::Connected => "connected".into(),
        MediaEvent::Disconnected => "nothing received for 2 s".into(),
        MediaEvent::Closed => "DTLS is closed".into(),
        MediaEvent::Received => "sound arrives".into(),
        MediaEvent::Digit(digit) => format!("digit {digit}"),
        MediaEvent::Tone(digit) => format!("digit {digit} in the sound"),
        MediaEvent::Negotiated { telephone_events: true } => "negotiated".into(),
        MediaEvent::Negotiated { telephone_events: false } => "negotiated, without telephone events".into(),
        MediaEvent::UnusableCandidates(count) => format!("{count} candidates of the far end cannot be used"),
        MediaEvent::Refused { code, message } => format!("the far end's description is refused with {code}: {message}"),
        MediaEvent::Failed(message) => format!("failed: {message}"),
    }
}

/// An effect, in one line; `None` if it does not interest people.
pub(super) fn effect(config: &Config, effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Connect { server, force } => {
            let url = config.core.urls.get(server.0).map(ToString::to_string).unwrap_or_default();
            format!("connect to {url}{}", if *force { ", replacing another connection" } else { "" })
        }
        Effect::Disconnect { code } => format!("close the socket ({code})"),
        Effect::Send(ClientMessage::Keepalive { .. }) => "send keepalive".into(),
        Effect::Send(ClientMessage::Request(request)) => {
            use crate::signaling::RequestBody;
            let line = request.line.map(|line| format!(" on line {line}")).unwrap_or_default();
            let whom = match &request.body {
                RequestBody::OutgoingCall { number, .. } => format!(" to {number}"),
                _ => String::new(),
            };
            format!("send {}{whom}{line}", request.body.kind())
        }
        Effect::Probe(_) => "check whether the first server answers".into(),
        Effect::ObtainToken => "log in".into(),
        Effect::ObtainIceServers => "ask for STUN and TURN servers".into(),
        Effect::TokenRefused => "stop using the refused token".into(),
        Effect::Remember(_) => return None,
        Effect::Media(media, command) => {
            let what = match command {
                MediaCommand::Offer => "make an offer",
                MediaCommand::Answer { .. } | MediaCommand::AnswerUpdate { .. } => "answer an offer",
                MediaCommand::ApplyAnswer { .. } => "apply the far end's answer",
                MediaCommand::AddCandidate(_) => "take a candidate",
                MediaCommand::RestartIce => "restart ICE",
                MediaCommand::SendDigits(_) => "send digits",
                MediaCommand::Close => "close",
            };
            format!("media {}: {what}", media.0)
        }
        Effect::Scene(scene) => {
            let microphone = scene.calls.iter().any(|call| call.microphone) && !scene.muted;
            let loudspeaker = scene.calls.iter().any(|call| call.loudspeaker);
            let tone = scene.tone.map(|tone| format!(", plays {}", tone.name())).unwrap_or_default();
            let open = |open: bool| if open { "open" } else { "closed" };
            format!("microphone {}, loudspeaker {}{tone}", open(microphone), open(loudspeaker))
        }
        Effect::Play { sound, .. } => format!("play {}", sound.name()),
        Effect::CheckCode { .. } => "find out whose code it is".into(),
        Effect::Announce(Some((what, _))) => format!("announce {}", config.name_of(*what)),
        Effect::Announce(None) => "end the announcement".into(),
        Effect::Drive(index, drive) => {
            let name = config.outputs.get(index.0).map(|output| output.name.clone()).unwrap_or_default();
            format!("{name}: {}", drive_name(*drive))
        }
        Effect::Reply(_, Ok(Done::Now)) => "the command is carried out".into(),
        Effect::Reply(_, Ok(done)) => format!("the command is carried out: {done}"),
        Effect::Reply(_, Err(refusal)) => format!("the command is refused: {refusal}"),
        Effect::Fact(fact) => format!("({})", fact),
    })
}

fn drive_name(drive: Drive) -> String {
    format!("{drive:?}").to_lowercase()
}
