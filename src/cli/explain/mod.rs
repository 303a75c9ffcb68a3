//! `callbox explain`: why the last call ended, and what a press, a sensor, a code or a call would do.

mod rehearsal;
mod trial;

use super::client::{self, Daemon};
use super::output::say;
use super::{Exit, narrate};
use crate::control::{EventRecord, Reply, Request};
use crate::core::{CallState, Direction, Fact, called};
use crate::signaling::{response_code, sip_status};

pub(in crate::cli) use trial::{Trial, rehearse, time_argument};

/// Prints why the last call ended: one sentence, and below it the facts that show it.
pub(super) async fn last(daemon: &Daemon) -> Exit {
    match client::ask(daemon, &Request::Explain).await {
        Ok(Reply::Explanation(events)) => match sentence(&events) {
            Some(sentence) => {
                say!("{sentence}");
                for event in &events {
                    say!("  {}  {}", narrate::time_of(event), event.fact);
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
        return Some(format!("{} Nobody took the call. {}.", began(events), legs.join("; ")).trim().to_owned());
    }
    let begins = events.iter().any(|event| {
        use CallState::{Answering, Dialing, Incoming};
        matches!(&event.fact, Fact::Call { state: Dialing | Incoming | Answering, .. })
    });
    let way = if direction == Direction::Outgoing { "to" } else { "from" };
    let length = match up_at {
        Some(up_at) => format!("after {:.1} s of talk", ended_at.saturating_sub(up_at) as f64 / 1000.0),
        None if begins => "before it was established".to_owned(),
        None => "(its beginning is no longer known)".to_owned(),
    };
    let why = match cause.unanswered.map(|why| why.to_string()).or(meaning(cause.code, direction).map(str::to_owned)) {
        Some(meaning) => format!("{meaning} ({cause})"),
        None => cause.to_string(),
    };
    let began = began(events);
    let number = called(number);
    Some(format!("{began} The call {way} {number} on line {line} ended {length}: {why}.").trim().to_owned())
}

/// The numbers that were called one after the other or at once, each with the way its call ended.
fn legs(events: &[EventRecord]) -> Vec<(&str, String)> {
    events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Call { number, cause: Some(cause), attempt: Some(_), .. } => {
                let why = cause.unanswered.map_or_else(|| cause.text.clone(), |why| why.to_string());
                Some((called(number), format!("{why} ({cause})")))
            }
            _ => None,
        })
        .collect()
}

/// What caused the calls, as a sentence; empty if that is not known.
fn began(events: &[EventRecord]) -> String {
    match events.first().map(|event| &event.fact) {
        Some(Fact::Press { button, .. }) => format!("Somebody pressed {button}."),
        Some(Fact::Sensor { sensor, opened }) => {
            format!("The sensor {sensor} {}.", if *opened { "opened" } else { "closed" })
        }
        _ => String::new(),
    }
}

/// What a SIP status code says about the end of a call (RFC 3261, section 21).
fn meaning(code: i64, direction: Direction) -> Option<&'static str> {
    use sip_status::*;
    Some(match code {
        OK => "it was hung up",
        FORBIDDEN => "the server forbids it",
        NOT_FOUND | ADDRESS_INCOMPLETE | DOES_NOT_EXIST_ANYWHERE => "there is no such number",
        REQUEST_TIMEOUT => "something took too long",
        TEMPORARILY_UNAVAILABLE => "nobody was available",
        NO_SUCH_CALL | response_code::NO_SUCH_CALL => "the server no longer knew the call",
        BUSY_HERE | BUSY_EVERYWHERE => "the far end is busy",
        REQUEST_TERMINATED if direction == Direction::Outgoing => "it was cancelled",
        REQUEST_TERMINATED => "the caller gave up",
        BAD_REQUEST | UNSUPPORTED_MEDIA_TYPE | NOT_ACCEPTABLE_HERE => "the offer of the far end cannot be accepted",
        SERVER_INTERNAL_ERROR | SERVICE_UNAVAILABLE => "the service failed",
        DECLINE => "the far end declined",
        _ => return None,
    })
}
