//! The stories of docs/examples, played through in virtual time.

use callbox::core::*;
use callbox::signaling::EventBody;

use crate::door::accepted;
use crate::example::Example;

/// A Monday.
const MONDAY: (i16, i8, i8) = (2026, 11, 30);
const SUNDAY: (i16, i8, i8) = (2026, 11, 29);
const CHRISTMAS: (i16, i8, i8) = (2026, 12, 25);

#[test]
fn villa_both_phones_ring_and_the_one_that_answers_opens() {
    let mut villa = Example::new("villa", MONDAY, 15);
    villa.button("bell", 200);
    let calls = villa.called();
    assert_eq!(calls.iter().map(|(number, _)| number.as_str()).collect::<Vec<_>>(), ["100", "101"]);
    villa.door.answered(&calls[1].1);
    villa.door.digits("4711");
    assert!(villa.is_on("strike"));
    villa.sensor("contact", true);
    assert_eq!(villa.door.station.status().doors[0].state, DoorState::Open, "it was opened rightfully");
    let by = villa.door.station.status().doors[0].by.clone();
    assert_eq!(by, Some(By::Code { number: "101".into() }));
}

#[test]
fn villa_by_night_one_phone_rings_and_while_the_family_is_away_their_mobile() {
    let mut villa = Example::new("villa", MONDAY, 23);
    assert_eq!(villa.door.scene.volume, 40);
    villa.button("bell", 200);
    assert_eq!(villa.numbers(), ["101"]);
    let mut villa = Example::new("villa", MONDAY, 23);
    villa.button("garage", 1_000);
    villa.button("bell", 200);
    assert_eq!(villa.numbers(), ["2000"]);
    villa.types("keypad", "123456", Some("Family"));
    assert!(villa.is_on("strike"), "who comes home opens");
    assert!(!villa.door.station.status().modes.iter().any(|mode| mode.name == "away" && mode.on), "and is at home");
}

#[test]
fn villa_where_nobody_answers_the_visitor_is_told_in_words() {
    let mut villa = Example::new("villa", MONDAY, 15);
    villa.button("bell", 200);
    for (_, request) in villa.called() {
        villa.nobody_comes(&request);
    }
    assert_eq!(villa.played(), ["nobody_home"]);
    let mut villa = Example::new("villa", MONDAY, 15);
    villa.button("bell", 200);
    for (_, request) in villa.called() {
        villa.door.hung_up(&request, 404);
    }
    villa.door.advance(1_000);
    assert_eq!(villa.played(), ["no_line"]);
}

#[test]
fn villa_a_broken_door_calls_and_one_that_stands_open_asks_three_times() {
    let mut villa = Example::new("villa", MONDAY, 15);
    villa.sensor("contact", true);
    assert_eq!(villa.numbers(), ["100"]);
    assert!(villa.door.facts.iter().any(|fact| matches!(fact, Fact::Custom { text, .. } if text.contains("forced"))));
    let mut villa = Example::new("villa", MONDAY, 15);
    villa.button("exit", 200);
    villa.sensor("contact", true);
    villa.door.advance(120_000);
    assert_eq!(villa.played(), ["close_the_door"; 3]);
    assert!(villa.numbers().is_empty());
}

#[test]
fn villa_the_cleaner_opens_on_monday_mornings_alone() {
    for (day, hour, opens) in [(MONDAY, 9, true), (MONDAY, 14, false), (SUNDAY, 9, false)] {
        let mut villa = Example::new("villa", day, hour);
        villa.types("keypad", "778899", Some("Cleaner"));
        assert_eq!(villa.is_on("strike"), opens, "{day:?} {hour}");
    }
}

#[test]
fn flats_a_flat_is_called_by_its_number_and_opens() {
    let mut flats = Example::new("flats", SUNDAY, 15);
    flats.types("keypad", "107", None);
    let calls = flats.called();
    assert_eq!(calls[0].0, "107");
    flats.door.answered(&calls[0].1);
    flats.door.digits("5555");
    assert!(flats.is_on("strike"));
    let mut flats = Example::new("flats", SUNDAY, 15);
    for number in ["120", "900", "1"] {
        flats.types("keypad", number, None);
    }
    assert!(flats.numbers().is_empty());
}

#[test]
fn flats_the_bell_reaches_the_concierge_on_working_days_and_else_says_how_to_call() {
    for (day, hour, called) in [(MONDAY, 10, true), (MONDAY, 20, false), (SUNDAY, 10, false), (CHRISTMAS, 10, false)] {
        let mut flats = Example::new("flats", day, hour);
        flats.button("bell", 200);
        assert_eq!(flats.numbers() == ["900"], called, "{day:?} {hour}");
        assert_eq!(flats.played() == ["how_to_call"], !called, "{day:?} {hour}");
    }
}

#[test]
fn flats_cards_and_the_postman_open_at_their_times_and_a_guesser_is_locked_out() {
    let mut flats = Example::new("flats", SUNDAY, 8);
    flats.types("cards", "0004711", Some("Flat 101"));
    assert!(flats.is_on("strike"));
    let mut flats = Example::new("flats", SUNDAY, 8);
    flats.types("keypad", "246810", Some("Postman"));
    assert!(!flats.is_on("strike"), "not on Sundays");
    let mut flats = Example::new("flats", MONDAY, 8);
    (0..4).for_each(|_| flats.types("keypad", "9999", None));
    flats.types("keypad", "246810", Some("Postman"));
    assert!(!flats.is_on("strike"));
    flats.types("keypad", "103", None);
    assert_eq!(flats.numbers(), ["103"], "flats can be called meanwhile");
    flats.door.advance(121_000);
    flats.types("keypad", "246810", Some("Postman"));
    assert!(flats.is_on("strike"));
}

#[test]
fn flats_a_forced_door_calls_until_somebody_has_confirmed() {
    let mut flats = Example::new("flats", SUNDAY, 23);
    flats.sensor("contact", true);
    let calls = flats.called();
    assert_eq!(calls[0].0, "901");
    flats.nobody_comes(&calls[0].1);
    flats.door.advance(11_000);
    let calls = flats.called();
    assert_eq!(calls[0].0, "901", "again");
    flats.door.answered(&calls[0].1);
    assert_eq!(flats.played(), ["forced"]);
    flats.door.digits("1");
    assert_eq!(flats.door.station.status().alarms[0].state, AlarmState::Answered);
}

#[test]
fn lift_help_is_called_until_a_person_confirms_and_the_lamps_follow() {
    let mut lift = Example::new("lift", MONDAY, 3);
    lift.button("help", 400);
    assert!(lift.numbers().is_empty(), "a coat that brushes past");
    lift.button("help", 700);
    assert!(lift.is_on("yellow") && !lift.is_on("green"));
    let calls = lift.called();
    assert_eq!(calls[0].0, "110");
    lift.nobody_comes(&calls[0].1);
    let calls = lift.called();
    assert_eq!(calls[0].0, "111");
    lift.door.answered(&calls[0].1);
    assert_eq!(lift.played(), ["here_is"]);
    lift.door.digits("1");
    assert!(lift.is_on("yellow") && lift.is_on("green"));
    assert_eq!(lift.played(), ["help_comes"]);
    lift.door.hung_up(&calls[0].1, 200);
    lift.door.advance(60_000);
    assert!(lift.is_on("green"), "until the service says that it is over");
    lift.door.incoming(0, "back", "sip:110@core.example.com");
    let accept = lift.door.take_one("accept");
    lift.door.ack(&accept);
    lift.door.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    lift.door.media_connected();
    lift.door.digits("9900#");
    assert!(!lift.is_on("yellow") && !lift.is_on("green"));
}

#[test]
fn lift_a_test_call_that_nobody_confirms_is_shown_until_one_is() {
    let mut lift = Example::new("lift", MONDAY, 3);
    for (confirmed, shown) in [(false, true), (true, false)] {
        lift.door.station.bring_due(callbox::config::ScheduleIndex(0));
        lift.door.advance(100);
        let calls = lift.called();
        assert_eq!(calls[0].0, "112099");
        lift.door.event_of(&calls[0].1, accepted());
        lift.door.media_connected();
        if confirmed {
            lift.door.digits("1");
        }
        lift.door.hung_up(&calls[0].1, 200);
        lift.door.advance(2_000);
        assert_eq!(lift.is_on("fault_lamp"), shown, "{confirmed}");
    }
}

#[test]
fn kiosk_the_greeting_comes_once_a_minute_and_stops_when_somebody_presses() {
    let mut kiosk = Example::new("kiosk", MONDAY, 10);
    kiosk.sensor("motion", true);
    assert_eq!(kiosk.played(), ["greeting"]);
    kiosk.button("hotline", 200);
    assert_eq!(kiosk.door.announced, [None], "it gives way");
    assert_eq!(kiosk.numbers(), ["700"]);
    kiosk.sensor("motion", false);
    kiosk.sensor("motion", true);
    assert!(kiosk.played().is_empty(), "not again within a minute");
}

#[test]
fn kiosk_outside_service_hours_a_prompt_says_when_they_are() {
    for (day, hour, called) in [(MONDAY, 10, true), (SUNDAY, 12, false), (CHRISTMAS, 12, true), (CHRISTMAS, 8, false)] {
        let mut kiosk = Example::new("kiosk", day, hour);
        kiosk.button("hotline", 200);
        assert_eq!(kiosk.numbers() == ["700"], called, "{day:?} {hour}");
        assert_eq!(kiosk.played() == ["closed"], !called, "{day:?} {hour}");
    }
}

#[test]
fn kiosk_the_hotline_calls_back_opens_the_hatch_and_announces_a_delay() {
    let mut kiosk = Example::new("kiosk", MONDAY, 21);
    assert_eq!(kiosk.door.scene.volume, 50, "the evening is quieter");
    kiosk.door.talking_in(0, "back", "sip:701@core.example.com");
    assert!(kiosk.door.microphone_is_open());
    kiosk.door.digits("6060");
    assert!(kiosk.is_on("hatch"));
    kiosk.door.advance(4_000);
    kiosk.door.digits("6161");
    assert_eq!(kiosk.played(), ["delay"]);
    assert_eq!(kiosk.door.announced, []);
}
