//! `callbox explain`: why the last call ended, and what a press, a sensor, a code or a call would do.

mod modes;
mod rehearsal;
mod trial;

use super::client::{self, Daemon};
use super::output::say;
use super::{Exit, narrate};
use crate::control::{EventRecord, Reply, Request};
use crate::core::{CallState, Direction, DoorState, Drive, Fact, called};
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
    let legs: Vec<String> = legs(events).iter().map(|(number, why)| format!("{number}: {why}")).collect();
    if up_at.is_none() && legs.len() > 1 {
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
    let mut story = vec![began(events)];
    story.extend(legs.iter().map(|leg| format!("{leg}.")));
    story.push(format!("The call {way} {} on line {line} ended {length}: {why}.", called(number)));
    story.extend(deeds(events));
    Some(story.join(" ").trim().to_owned())
}

/// Who has opened what meanwhile, as sentences.
fn deeds(events: &[EventRecord]) -> impl Iterator<Item = String> {
    events.iter().filter_map(|event| match &event.fact {
        Fact::Output { output, drive: Drive::On, by } => Some(format!("{output} went on, {by}.")),
        Fact::Door { door, state: DoorState::Open, by: Some(by) } => Some(format!("The door {door} was opened, {by}.")),
        Fact::Door { door, state: DoorState::Forced, .. } => Some(format!("The door {door} was forced.")),
        Fact::Custom { text, by } => Some(format!("\"{text}\" was reported, {by}.")),
        Fact::Alarm { state, by } => Some(format!("The alarm was {state}, {by}.")),
        _ => None,
    })
}

/// The numbers that were called in vain, each with the way its call ended.
fn legs(events: &[EventRecord]) -> Vec<(&str, String)> {
    let was_up = |id: &str| {
        events.iter().any(
            |event| matches!(&event.fact, Fact::Call { call_id, state: CallState::Established, .. } if call_id == id),
        )
    };
    events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Call { call_id, number, cause: Some(cause), attempt: Some(_), .. } if !was_up(call_id) => {
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
        Some(Fact::Door { door, state, .. }) => format!("The door {door} was {state}."),
        Some(Fact::Schedule { schedule }) => format!("The schedule {schedule} came due."),
        Some(Fact::Code { reader, .. }) => format!("Somebody typed at {reader}."),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{By, Cause, Gesture, Line, Unanswered};

    fn call(at_ms: u64, number: &str, state: CallState, cause: Option<Cause>) -> EventRecord {
        let fact = Fact::Call {
            call_id: number.into(),
            line: Line(0),
            direction: Direction::Outgoing,
            number: number.into(),
            by: By::Finger { button: "bell".into() },
            attempt: Some(1),
            state,
            cause,
        };
        EventRecord { at_ms, fact }
    }

    #[test]
    fn a_press_is_told_whole_with_those_who_did_not_come_and_the_one_who_opened() {
        let by = By::Code { number: "101".into() };
        let nobody = Cause { code: 480, text: "away".into(), unanswered: Some(Unanswered::NoAnswer) };
        let hung_up = Cause { code: 200, text: "bye".into(), unanswered: None };
        let press =
            Fact::Press { button: "bell".into(), gesture: Gesture::Press, by: By::Finger { button: "bell".into() } };
        let events = [
            EventRecord { at_ms: 0, fact: press },
            call(10, "100", CallState::Dialing, None),
            call(5_000, "100", CallState::Idle, Some(nobody)),
            call(5_010, "101", CallState::Dialing, None),
            call(9_000, "101", CallState::Established, None),
            EventRecord { at_ms: 10_000, fact: Fact::Output { output: "strike".into(), drive: Drive::On, by } },
            call(14_000, "101", CallState::Idle, Some(hung_up)),
        ];
        let told = sentence(&events).unwrap();
        assert_eq!(
            told,
            "Somebody pressed bell. 100: nobody answered (480 away). The call to 101 on line 0 ended after 5.0 s of talk: \
             it was hung up (200 bye). strike went on, by a code from 101."
        );
    }
}
