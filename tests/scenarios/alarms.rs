//! Alarms: calls that do not give up. Each test is named after a phase of EN 81-28:2018 and what must hold in it.

use callbox::config::{PlayTo, Playable, PromptIndex};
use callbox::core::*;
use callbox::signaling::*;

use crate::door::*;

const HERE_IS: Playable = Playable::Prompt(PromptIndex(0));

/// A lift: a button for help, a bell, and a lamp. `more` follows.
fn lift(more: &str) -> String {
    format!(
        "[prompts]\nhere_is = \"{}\"\n\
         [[button]]\nname = \"help\"\npin = 5\nagain = \"hangup\"\n\
         press = {{ call = [\"110\", \"111\"], ring_s = 20, alarm = true, confirm = \"1\", say = \"here_is\" }}\n\
         [[button]]\nname = \"bell\"\npin = 6\npress = {{ call = \"200\" }}\n\
         [[output]]\nname = \"lamp\"\nkind = \"led\"\npin = 24\n\
         show = {{ alarm = \"blink\", alarm_answered = \"on\", talking = \"double\" }}\n{more}",
        wav(2)
    )
}

fn in_the_lift(more: &str) -> Door {
    Door::online(&lift(more))
}

fn press(door: &mut Door, button: usize) -> Result<Done, Refusal> {
    door.command(Command::Press { button: ButtonIndex(button), gesture: Gesture::Press })
}

fn number(request: &Request) -> String {
    let RequestBody::OutgoingCall { number, .. } = &request.body else { panic!("{request:?}") };
    number.to_string()
}

/// The one call that goes out now.
fn called(door: &mut Door) -> Request {
    let request = door.take_one("outgoing_call");
    door.ack(&request);
    request
}

fn nobody_comes(door: &mut Door, request: &Request) {
    door.event_of(request, EventBody::Ringing {});
    door.hung_up(request, 480);
}

fn states(door: &Door) -> Vec<AlarmState> {
    door.station.status().alarms.iter().map(|alarm| alarm.state).collect()
}

fn told(door: &Door) -> Vec<AlarmState> {
    let state = |fact: &Fact| match fact {
        Fact::Alarm { state, .. } => Some(*state),
        _ => None,
    };
    door.facts.iter().filter_map(state).collect()
}

fn lamp(door: &Door) -> Option<Drive> {
    door.drives.get(&0).copied()
}

/// The first number has taken the call, and has not confirmed it.
fn unconfirmed(door: &mut Door) -> Request {
    press(door, 0).unwrap();
    let call = called(door);
    door.answered(&call);
    call
}

fn confirmed(door: &mut Door) -> Request {
    let call = unconfirmed(door);
    door.digits("1");
    call
}

#[test]
fn alarm_initiation_is_noticed_told_and_shown_at_once() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    assert_eq!(number(&called(&mut door)), "110");
    assert!(door.heard(callbox::config::Sound::Connecting));
    assert_eq!((told(&door), lamp(&door)), (vec![AlarmState::Raised], Some(Drive::Blink)));
    let alarm = door.station.status().alarms[0].clone();
    assert_eq!((alarm.by, alarm.rounds), (By::User { user: "anna".into() }, 1));
}

#[test]
fn alarm_sending_goes_through_the_list_again_and_again_with_growing_pauses() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    let mut begins = Vec::new();
    for round in 0..7 {
        for wanted in ["110", "111"] {
            let mut waited = 0;
            let request = loop {
                match door.take("outgoing_call").pop() {
                    Some(request) => break request,
                    None => door.advance(100),
                }
                waited += 1;
                assert!(waited < 2_000, "round {round}: nobody is called");
            };
            door.ack(&request);
            assert_eq!(number(&request), wanted);
            if wanted == "110" {
                begins.push(door.now_ms);
            }
            nobody_comes(&mut door, &request);
        }
    }
    let pauses: Vec<u64> = begins.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(pauses, [10, 20, 40, 80, 120, 120]);
    assert_eq!(told(&door), [AlarmState::Raised], "once for each change of state");
    assert!(!door.heard(callbox::config::Sound::NoAnswer), "a round is not the end");
}

#[test]
fn alarm_sending_rings_each_number_for_its_time_and_no_hangup_ends_it() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    let first = called(&mut door);
    door.event_of(&first, EventBody::Ringing {});
    door.command(Command::Hangup { line: None }).unwrap();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&first, 487);
    door.advance(11_000);
    let second = called(&mut door);
    assert_eq!(number(&second), "110", "the next round");
    // Nobody at the door ends it by a second press, although its button hangs up otherwise.
    press(&mut door, 0).unwrap();
    assert!(door.take("hangup").is_empty());
    assert_eq!(states(&door), [AlarmState::Raised]);
}

#[test]
fn alarm_sending_waits_out_a_lost_session_and_begins_with_the_next_one() {
    let mut door = in_the_lift("");
    door.lose(1006);
    assert_eq!(press(&mut door, 0), Ok(Done::Now), "it is not given up after press_max_age_s");
    assert_eq!(lamp(&door), Some(Drive::Blink));
    door.advance(3_600_000);
    assert!(door.take("outgoing_call").is_empty());
    door.connect();
    assert_eq!(number(&called(&mut door)), "110");
}

#[test]
fn alarm_sending_survives_a_power_cut_and_a_restart() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    called(&mut door);
    let memory = Memory { alarms: door.memory.alarms.clone(), ..Memory::default() };
    assert_eq!(memory.alarms.len(), 1);
    let text = serde_json::to_string(&memory).unwrap();
    let mut door = Door::new(&lift(""));
    door.station.recall(serde_json::from_str(&text).unwrap());
    door.advance(100);
    assert_eq!((states(&door), lamp(&door)), (vec![AlarmState::Raised], Some(Drive::Blink)));
    door.connect();
    let call = called(&mut door);
    assert_eq!(number(&call), "110");
    door.answered(&call);
    assert_eq!(door.announced.last(), Some(&Some((HERE_IS, PlayTo::Far))));
    door.digits("1");
    assert_eq!(states(&door), [AlarmState::Answered]);
}

#[test]
fn alarm_sending_survives_a_change_of_the_configuration_that_has_other_numbers() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    let memory = Memory { alarms: door.memory.alarms.clone(), ..Memory::default() };
    let mut door = Door::new(&lift("").replace("\"110\", \"111\"", "\"300\""));
    door.station.recall(memory);
    door.connect();
    assert_eq!(number(&called(&mut door)), "110", "whoever was called then is called on");
}

#[test]
fn alarm_sending_takes_the_line_of_an_ordinary_call_if_there_is_no_other() {
    let mut door = Door::online(&lift("").replacen("[prompts]", "lines = 1\n[prompts]", 1));
    press(&mut door, 1).unwrap();
    let ordinary = called(&mut door);
    door.answered(&ordinary);
    press(&mut door, 0).unwrap();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&ordinary, 200);
    door.advance(2_000);
    assert_eq!(number(&called(&mut door)), "110");
}

#[test]
fn alarm_sending_holds_an_ordinary_call_beside_it_and_refuses_new_ones() {
    let mut door = in_the_lift("[[answer]]\naction = \"answer\"\n");
    press(&mut door, 1).unwrap();
    let ordinary = called(&mut door);
    door.answered(&ordinary);
    press(&mut door, 0).unwrap();
    door.take_one("hold");
    let call = called(&mut door);
    assert_eq!(number(&call), "110");
    door.answered(&call);
    assert_eq!(door.scene.calls.len(), 1, "nobody else hears the alarm");
    assert_eq!(press(&mut door, 1), Ok(Done::Now), "its own call is held");
    assert_eq!(door.command(Command::Call { number: "300".into(), line: None }), Err(Refusal::NoFreeLine));
    let mut door = in_the_lift("[[answer]]\naction = \"answer\"\n");
    confirmed(&mut door);
    assert_eq!(press(&mut door, 1), Err(Refusal::AlarmIsOn));
    door.incoming(1, "visitor", "sip:500@core.example.com");
    door.take_one("decline");
}

#[test]
fn acknowledgement_is_a_digit_and_a_mailbox_does_not_confirm() {
    let mut door = in_the_lift("");
    let mailbox = unconfirmed(&mut door);
    assert_eq!(states(&door), [AlarmState::Raised]);
    assert!(door.microphone_is_open(), "whoever took it hears the lift");
    door.digits("5");
    door.advance(49_000);
    assert!(door.take("hangup").is_empty());
    door.advance(12_000);
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&mailbox, 200);
    door.advance(2_000);
    let person = called(&mut door);
    assert_eq!(number(&person), "111");
    door.answered(&person);
    door.digits("1");
    assert_eq!((told(&door), lamp(&door)), (vec![AlarmState::Raised, AlarmState::Answered], Some(Drive::On)));
    let wrong = door.facts.iter().filter(|fact| matches!(fact, Fact::Dtmf { .. }));
    assert_eq!(wrong.count(), 0, "no digit is a wrong code before the confirmation");
}

#[test]
fn acknowledgement_is_asked_for_by_a_prompt_until_it_comes() {
    let mut door = in_the_lift("");
    unconfirmed(&mut door);
    assert_eq!(door.announced, [Some((HERE_IS, PlayTo::Far))]);
    door.advance(12_000);
    assert_eq!(door.announced, vec![Some((HERE_IS, PlayTo::Far)); 3]);
    door.digits("1");
    assert_eq!(door.announced.last(), Some(&None), "it stops at once");
    door.advance(60_000);
    assert_eq!(door.announced.len(), 4);
}

#[test]
fn acknowledgement_may_come_from_the_one_of_two_that_ring_at_once() {
    let mut door = Door::online(&lift("").replace("ring_s = 20", "ring_s = 20, order = \"parallel\""));
    press(&mut door, 0).unwrap();
    let both = door.take("outgoing_call");
    both.iter().for_each(|request| door.ack(request));
    both.iter().for_each(|request| door.event_of(request, EventBody::Ringing {}));
    door.answered(&both[0]);
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&both[1], 487);
    door.advance(10_000);
    assert!(door.take("outgoing_call").is_empty(), "somebody has taken it and may confirm");
    door.hung_up(&both[0], 200);
    door.advance(2_000);
    assert_eq!(number(&called(&mut door)), "111", "the one who made way is called again");
}

#[test]
fn voice_communication_has_no_longest_time_and_no_mute() {
    let mut door = in_the_lift("");
    door.command(Command::Mute { muted: true, keep: true }).unwrap();
    confirmed(&mut door);
    assert!(door.microphone_is_open(), "nobody in trouble goes unheard");
    for _ in 0..600 {
        door.input(Input::Media(door.scene.calls[0].media, MediaEvent::Received));
        door.advance(1_000);
    }
    assert_eq!(states(&door), [AlarmState::Answered]);
    assert!(door.take("hangup").is_empty(), "max_talk_s is 300");
}

#[test]
fn voice_communication_is_taken_up_when_a_number_of_the_alarm_calls_back() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    let ringing = called(&mut door);
    door.event_of(&ringing, EventBody::Ringing {});
    door.incoming(1, "back", "sip:111@core.example.com");
    let accept = door.take_one("accept");
    door.ack(&accept);
    door.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    door.media_connected();
    let hangup = door.take_one("hangup");
    assert_eq!(hangup.call_id, ringing.call_id, "nobody else needs to come");
    assert_eq!(states(&door), [AlarmState::Raised]);
    door.digits("1");
    assert_eq!(states(&door), [AlarmState::Answered]);
}

#[test]
fn voice_communication_that_loses_its_media_is_tried_again() {
    let mut door = in_the_lift("");
    let call = confirmed(&mut door);
    door.lose_media();
    door.advance(120_000);
    assert!(told(&door).ends_with(&[AlarmState::Answered, AlarmState::Raised]), "{:?}", told(&door));
    let _ = call;
    assert!(!door.take("outgoing_call").is_empty());
}

#[test]
fn voice_communication_that_the_network_or_the_server_loses_is_tried_again() {
    let mut door = in_the_lift("");
    confirmed(&mut door);
    door.lose(1006);
    door.lose_media();
    door.advance(120_000);
    assert_eq!(states(&door), [AlarmState::Raised], "nobody has hung up");
    door.connect();
    assert_eq!(number(&called(&mut door)), "110");
    let mut door = in_the_lift("");
    confirmed(&mut door);
    door.lose(1006);
    // The server has started anew, and has no calls.
    door.connect();
    assert_eq!(states(&door), [AlarmState::Raised]);
    assert_eq!(number(&called(&mut door)), "110");
}

#[test]
fn end_of_alarm_is_the_end_of_the_confirmed_call_where_nothing_else_ends_it() {
    let mut door = in_the_lift("");
    let call = confirmed(&mut door);
    door.hung_up(&call, 200);
    door.advance(1_000);
    assert_eq!(told(&door), [AlarmState::Raised, AlarmState::Answered, AlarmState::Ended]);
    assert!(door.memory.alarms.is_empty());
    door.advance(600_000);
    assert!(door.take("outgoing_call").is_empty());
}

const END: &str = "[[dtmf]]\ndigits = \"99#\"\nrun = { alarm = \"end\" }\n";

#[test]
fn end_of_alarm_is_a_code_where_one_is_configured_and_until_then_the_numbers_are_answered() {
    let mut door = in_the_lift(END);
    let call = confirmed(&mut door);
    door.hung_up(&call, 200);
    door.advance(600_000);
    assert_eq!((states(&door), lamp(&door)), (vec![AlarmState::Answered], Some(Drive::On)));
    assert!(door.take("outgoing_call").is_empty(), "somebody is on the way");
    door.incoming(0, "back", "sip:110@core.example.com");
    let accept = door.take_one("accept");
    door.ack(&accept);
    door.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    door.media_connected();
    door.hung_up(&accept, 200);
    // Others are not.
    door.incoming(0, "stranger", "sip:500@core.example.com");
    door.take_one("decline");
    press(&mut door, 0).unwrap();
    assert_eq!(number(&called(&mut door)), "110", "whoever is still in trouble calls again");
    assert_eq!(states(&door), [AlarmState::Raised]);
    let mut door = in_the_lift(END);
    confirmed(&mut door);
    door.digits("99#");
    assert_eq!(states(&door), []);
    assert!(door.microphone_is_open(), "those who talk go on");
    door.advance(300_000);
    door.take_one("hangup");
}

#[test]
fn end_of_alarm_by_a_command_ends_what_is_being_tried() {
    let mut door = in_the_lift("");
    press(&mut door, 0).unwrap();
    called(&mut door);
    door.command(Command::EndAlarms).unwrap();
    door.take_one("hangup");
    door.advance(600_000);
    assert!(door.take("outgoing_call").is_empty());
    assert_eq!(told(&door), [AlarmState::Raised, AlarmState::Ended]);
    let by = door.facts.iter().rev().find_map(|fact| match fact {
        Fact::Alarm { by, .. } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by, Some(By::User { user: "anna".into() }));
}

#[test]
fn end_of_alarm_is_not_a_restart_of_the_station_in_the_confirmed_call() {
    let mut door = in_the_lift("");
    confirmed(&mut door);
    door.input(Input::Shutdown);
    let memory = door.memory.clone();
    let mut door = Door::new(&lift(""));
    door.station.recall(memory);
    door.connect();
    assert!(states(&door) == [AlarmState::Raised], "whoever was in the call has lost it");
    door.advance(1_000);
    assert!(!door.take("outgoing_call").is_empty());
}

const TEST_CALL: &str = "[[schedule]]\nname = \"test-call\"\nevery = \"72h\"\n\
                         run = { call = \"112099\", confirm = \"1\", say = \"here_is\", failed = { play = \"busy\" } }\n";

/// The test call is due now.
fn test_call(door: &mut Door) -> Request {
    door.station.bring_due(callbox::config::ScheduleIndex(0));
    door.advance(100);
    let request = called(door);
    assert_eq!(number(&request), "112099");
    request
}

#[test]
fn the_test_call_goes_the_way_of_a_real_one_and_its_failure_is_a_fault_until_the_next_success() {
    let mut door = Door::new(&lift(TEST_CALL));
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.connect();
    door.input(Input::Audio(AudioEvent::Ready));
    let fault = |door: &Door| door.station.status().schedules[0].fault.clone();
    let request = test_call(&mut door);
    door.hung_up(&request, 404);
    door.advance(100);
    assert!(fault(&door).is_some_and(|fault| fault.contains("404")), "{:?}", fault(&door));
    let told = |door: &Door| door.facts.iter().filter(|fact| matches!(fact, Fact::ScheduleFault { .. })).count();
    assert_eq!(told(&door), 1);
    // Somebody takes it and does not confirm: a mailbox.
    door.advance(5_000);
    let request = test_call(&mut door);
    door.answered(&request);
    assert!(door.announced.contains(&Some((HERE_IS, PlayTo::Far))));
    door.advance(61_000);
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&request, 200);
    door.advance(5_000);
    assert!(fault(&door).is_some_and(|fault| fault.contains("nobody has confirmed")), "{:?}", fault(&door));
    assert_eq!(told(&door), 1, "once for each change of state");
    let memory = door.memory.clone();
    assert!(memory.schedules[0].fault.is_some(), "it is kept over a restart");
    let request = test_call(&mut door);
    door.answered(&request);
    door.digits("1");
    assert_eq!((fault(&door), told(&door)), (None, 2));
    assert_eq!(states(&door), [], "it is no alarm");
}

#[test]
fn a_ring_that_the_station_ends_itself_is_no_answer() {
    let mut door = Door::online(
        "[[output]]\nname = \"light\"\nkind = \"relay\"\npin = 23\n\
         [[button]]\nname = \"bell\"\npin = 17\n\
         press = { call = \"100\", ring_s = 5, no_answer = { output = \"light\", pulse_ms = 500 } }\n",
    );
    let call = door.ringing_call();
    door.advance(5_100);
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&call, 487);
    assert_eq!(door.drives.get(&0), Some(&Drive::On));
}

/// The numbers that are called in some minutes while nobody answers.
fn called_within(door: &mut Door, minutes: usize) -> std::collections::BTreeSet<String> {
    let mut numbers = std::collections::BTreeSet::new();
    for _ in 0..minutes * 60 {
        for request in door.take("outgoing_call") {
            door.ack(&request);
            numbers.insert(number(&request));
            door.hung_up(&request, 480);
        }
        door.advance(1_000);
    }
    numbers
}

#[test]
fn alarm_initiation_by_two_gestures_of_one_button_reaches_the_numbers_of_both() {
    let text = "[[button]]\nname = \"help\"\npin = 5\npress = { call = \"110\", alarm = true, confirm = \"1\" }\n\
                long_press = { call = \"112\", alarm = true, confirm = \"1\" }\n";
    let mut door = Door::online(text);
    press(&mut door, 0).unwrap();
    door.command(Command::Press { button: ButtonIndex(0), gesture: Gesture::Long }).unwrap();
    assert_eq!(states(&door).len(), 2);
    assert_eq!(called_within(&mut door, 5).into_iter().collect::<Vec<_>>(), ["110", "112"]);
}

#[test]
fn acknowledgement_of_one_alarm_leaves_the_other_one_of_the_same_button() {
    let text = "[[button]]\nname = \"help\"\npin = 5\n\
                press = [{ call = \"110\", alarm = true, confirm = \"1\" }, { call = \"112\", alarm = true, confirm = \"1\" }]\n";
    let mut door = Door::online(text);
    press(&mut door, 0).unwrap();
    let calls = door.take("outgoing_call");
    assert_eq!(calls.iter().map(number).collect::<Vec<_>>(), ["110", "112"]);
    door.ack(&calls[0]);
    door.ack(&calls[1]);
    door.hung_up(&calls[1], 480);
    door.answered(&calls[0]);
    door.digits("1");
    assert_eq!(states(&door), [AlarmState::Answered, AlarmState::Raised]);
    let by = door.facts.iter().find_map(|fact| match fact {
        Fact::Alarm { state: AlarmState::Answered, by } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by, Some(By::Caller { number: "110".into() }), "whoever has confirmed is told");
    assert_eq!(called_within(&mut door, 3).into_iter().collect::<Vec<_>>(), ["112"]);
}

#[test]
fn alarm_sending_after_a_power_cut_announces_the_place_that_raised_it() {
    let car = |name: &str, pin: u32, digit: u32| {
        format!(
            "[[button]]\nname = \"{name}\"\npin = {pin}\n\
             press = {{ call = \"110\", alarm = true, confirm = \"{digit}\", say = \"{name}\" }}\n"
        )
    };
    let text =
        format!("[prompts]\ncar1 = \"{}\"\ncar2 = \"{}\"\n{}{}", wav(2), wav(3), car("car1", 5, 1), car("car2", 6, 2));
    let mut before = Door::online(&text);
    press(&mut before, 1).unwrap();
    let mut door = Door::new(&text);
    door.station.recall(before.memory.clone());
    door.connect();
    let call = called(&mut door);
    door.answered(&call);
    assert!(door.announced.contains(&Some((Playable::Prompt(PromptIndex(1)), PlayTo::Far))), "{:?}", door.announced);
    door.digits("1");
    assert_eq!(states(&door), [AlarmState::Raised]);
    door.digits("2");
    assert_eq!(states(&door), [AlarmState::Answered]);
}

#[test]
fn voice_communication_is_not_taken_away_by_a_rule_or_a_command() {
    let mut door = in_the_lift("[[button]]\nname = \"quiet\"\npin = 7\npress = { talk = \"announce\" }\n");
    confirmed(&mut door);
    press(&mut door, 2).unwrap();
    assert!(door.microphone_is_open());
    assert_eq!(door.command(Command::Hold), Err(Refusal::AlarmIsOn));
}

#[test]
fn a_test_call_that_is_given_up_before_anybody_has_taken_it_is_a_fault() {
    let fault = |door: &Door| door.station.status().schedules[0].fault.clone();
    let by_hand = |door: &mut Door| drop(door.command(Command::Hangup { line: None }));
    let by_an_alarm = |door: &mut Door| drop(press(door, 0));
    let ends: [fn(&mut Door); 2] = [by_hand, by_an_alarm];
    for end in ends {
        let mut door = Door::new(&format!("{}[calls]\nsecond_call = \"reject\"\n", lift(TEST_CALL)));
        door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
        door.connect();
        let request = test_call(&mut door);
        door.event_of(&request, EventBody::Ringing {});
        end(&mut door);
        door.hung_up(&request, 487);
        door.advance(100);
        assert!(fault(&door).is_some(), "{:?}", door.facts);
    }
    // The power fails while it rings.
    let mut door = Door::new(&lift(TEST_CALL));
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.connect();
    test_call(&mut door);
    let mut next = Door::new(&lift(TEST_CALL));
    next.station.recall(door.memory.clone());
    next.connect();
    assert!(fault(&next).is_some());
}

#[test]
fn a_test_call_that_is_an_alarm_has_no_fault_once_a_later_round_is_confirmed() {
    let text = TEST_CALL.replace("confirm", "alarm = true, confirm");
    let mut door = Door::new(&lift(&text));
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.connect();
    let request = test_call(&mut door);
    door.hung_up(&request, 480);
    door.advance(100);
    assert!(door.station.status().schedules[0].fault.is_some());
    door.advance(10_000);
    let request = called(&mut door);
    door.answered(&request);
    door.digits("1");
    assert_eq!(door.station.status().schedules[0].fault, None);
}

#[test]
fn a_schedule_that_calls_nobody_leaves_no_fault_over_a_restart() {
    let text = "[[schedule]]\nname = \"t\"\nevery = \"72h\"\nrun = [{ when = \"away\", call = \"112\" }, { hook = \"t\" }]\n[modes]\naway = {}\n";
    let mut door = Door::new(text);
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.connect();
    door.station.bring_due(callbox::config::ScheduleIndex(0));
    door.advance(100);
    let mut next = Door::new(text);
    next.station.recall(door.memory.clone());
    next.connect();
    assert_eq!(next.station.status().schedules[0].fault, None);
}
