//! STUN and TURN servers that the telephony server hands out.

use std::time::Duration;

use callbox::core::*;

use crate::door::{BELL, Door};

const HOUR_S: u64 = 3600;
const MINUTE_MS: u64 = 60_000;

fn obtained(lifetime_s: Option<u64>, changed: bool) -> IceServersAnswer {
    IceServersAnswer::Obtained {
        counts: IceServerCounts { stun: 1, turn_tls: 2, ..IceServerCounts::default() },
        changed,
        lifetime: lifetime_s.map(Duration::from_secs),
        until: Some("2026-12-01T00:00:00Z".into()),
    }
}

fn answer(door: &mut Door, answer: IceServersAnswer) {
    door.input(Input::IceServers(answer));
}

/// Milliseconds until the next request, which must come within a day.
fn until_asked(door: &mut Door) -> u64 {
    let (asked, began) = (door.ice_server_requests, door.now_ms);
    while door.ice_server_requests == asked {
        assert!(door.now_ms - began < 24 * HOUR_S * 1000, "they are not asked for again");
        door.advance(100);
    }
    door.now_ms - began
}

fn facts(door: &Door) -> Vec<String> {
    door.facts.iter().filter(|fact| matches!(fact, Fact::IceServers { .. })).map(ToString::to_string).collect()
}

/// The number of peer connections that were made.
fn peer_connections(door: &Door) -> usize {
    door.media.iter().filter(|(_, command)| *command == MediaCommand::Offer).count()
}

#[test]
fn they_are_asked_for_whenever_the_session_comes_up() {
    let mut door = Door::online(BELL);
    assert_eq!(door.ice_server_requests, 1);
    door.lose(1001);
    door.connect();
    assert_eq!(door.ice_server_requests, 2);
}

#[test]
fn a_list_of_the_configuration_is_used_alone() {
    let mut door = Door::online(&format!("[media]\nice_servers = [{{ urls = [\"stun:h\", \"stun:i\"] }}]\n{BELL}"));
    door.advance(24 * HOUR_S * 1000);
    assert_eq!(door.ice_server_requests, 0);
    let status = door.station.status().ice_servers;
    assert_eq!((status.source, status.counts.stun), (IceServerSource::Configuration, 2));
}

#[test]
fn they_are_renewed_a_quarter_of_an_hour_before_their_end_or_at_half_of_a_short_life() {
    for (lifetime_s, renewed_s) in [(12 * HOUR_S, 12 * HOUR_S - 900), (1800, 900), (1799, 899), (60, 30)] {
        let mut door = Door::online(BELL);
        answer(&mut door, obtained(Some(lifetime_s), true));
        let waited_s = until_asked(&mut door) / 1000;
        assert!(waited_s <= renewed_s && waited_s >= renewed_s * 9 / 10 - 1, "{lifetime_s}: {waited_s}");
    }
}

#[test]
fn stale_ones_are_asked_for_again_with_growing_waits_and_are_used_meanwhile() {
    let mut door = Door::online(BELL);
    let mut asked = 0;
    let end = door.now_ms + 60 * MINUTE_MS;
    while door.now_ms < end {
        answer(&mut door, obtained(None, false));
        until_asked(&mut door);
        asked += 1;
    }
    assert!((60..300).contains(&asked), "{asked} times in an hour");
    assert_eq!(door.station.status().ice_servers.counts.turn_tls, 2);
}

#[test]
fn a_failure_is_told_once_and_the_last_known_ones_serve() {
    let mut door = Door::online(BELL);
    answer(&mut door, obtained(Some(12 * HOUR_S), true));
    until_asked(&mut door);
    let mut waits = Vec::new();
    for _ in 0..20 {
        answer(&mut door, IceServersAnswer::Failed("HTTP 500".into()));
        waits.push(until_asked(&mut door));
    }
    assert!(waits.iter().all(|wait| *wait <= 60_100), "{waits:?}");
    assert!(waits.iter().sum::<u64>() > 60_000, "{waits:?}");
    let status = door.station.status().ice_servers;
    assert_eq!((status.counts.stun, status.fault.as_deref()), (1, Some("HTTP 500")));
    answer(&mut door, obtained(Some(12 * HOUR_S), true));
    assert_eq!(door.station.status().ice_servers.fault, None);
    let said = "STUN and TURN servers of the server: 1 STUN, 2 TURN over TLS";
    assert_eq!(facts(&door), [said, "STUN and TURN servers: HTTP 500", said]);
}

#[test]
fn a_request_that_is_never_answered_is_made_again() {
    let mut door = Door::online(BELL);
    let waited = until_asked(&mut door);
    assert!((60_000..61_000).contains(&waited), "{waited}");
    assert!(door.station.status().ice_servers.fault.is_some());
}

#[test]
fn a_server_that_hands_out_none_is_not_asked_until_the_next_session() {
    let mut door = Door::online(BELL);
    answer(&mut door, obtained(Some(HOUR_S), true));
    until_asked(&mut door);
    answer(&mut door, IceServersAnswer::NotOffered);
    door.advance(24 * HOUR_S * 1000);
    assert_eq!(door.ice_server_requests, 2);
    let status = door.station.status().ice_servers;
    assert_eq!((status.counts, status.until, status.fault), (IceServerCounts::default(), None, None));
    assert_eq!(facts(&door).last().map(String::as_str), Some("STUN and TURN servers of the server: none"));
}

#[test]
fn nothing_is_asked_while_the_session_is_away() {
    let mut door = Door::online(BELL);
    answer(&mut door, obtained(Some(60), true));
    door.lose(1001);
    door.advance(5 * MINUTE_MS);
    assert_eq!(door.ice_server_requests, 1);
    assert_eq!(door.station.status().ice_servers.counts.stun, 1, "a call may still need them");
}

#[test]
fn the_warm_peer_connection_is_remade_when_they_change_and_only_then() {
    let mut door = Door::online(BELL);
    let before = peer_connections(&door);
    answer(&mut door, obtained(Some(HOUR_S), true));
    assert_eq!(peer_connections(&door), before + 1);
    answer(&mut door, obtained(Some(HOUR_S), false));
    assert_eq!(peer_connections(&door), before + 1);
    answer(&mut door, IceServersAnswer::Failed("no".into()));
    assert_eq!(peer_connections(&door), before + 1);
    answer(&mut door, IceServersAnswer::NotOffered);
    assert_eq!(peer_connections(&door), before + 2);
    answer(&mut door, IceServersAnswer::NotOffered);
    assert_eq!(peer_connections(&door), before + 2);
}

#[test]
fn a_press_does_not_wait_for_them() {
    let mut door = Door::online(BELL);
    door.press();
    door.take_one("outgoing_call");
    let made = peer_connections(&door);
    answer(&mut door, obtained(Some(HOUR_S), true));
    let of_the_call = door.media.iter().filter(|(_, command)| *command == MediaCommand::Close).count();
    assert_eq!((peer_connections(&door) - made, of_the_call), (1, 1), "only the warm one is remade");
}
