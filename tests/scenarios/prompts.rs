//! Prompts: what is played, to whom, and what becomes of it when there is a call.

use callbox::config::{PlayTo, Playable, PromptIndex, Sound};
use callbox::core::*;

use crate::door::*;

/// Prompts of two seconds.
const GREETING: Playable = Playable::Prompt(PromptIndex(0));
const INSIDE: Playable = Playable::Prompt(PromptIndex(1));

fn prompts() -> String {
    let file = wav(2);
    format!("[prompts]\ngreeting = \"{file}\"\ninside = \"{file}\"\n")
}

/// A door with a bell, and with a motion sensor that plays something.
fn with_motion(action: &str) -> Door {
    let sensor = format!("[[sensor]]\nname = \"motion\"\npin = 22\nopened = {action}\n");
    Door::online(&format!("{}{BELL}{sensor}", prompts()))
}

fn somebody_comes(door: &mut Door) {
    for active in [true, false] {
        door.input(Input::Edge { pin: Pin::Sensor(SensorIndex(0)), active });
        door.advance(100);
    }
}

fn playing(door: &Door) -> Option<String> {
    door.station.status().audio.playing
}

#[test]
fn a_prompt_is_played_as_often_as_asked_with_a_pause() {
    let mut door = with_motion("{ play = \"greeting\", repeat = 3 }");
    somebody_comes(&mut door);
    assert_eq!(playing(&door).as_deref(), Some("greeting"));
    assert!(!door.microphone_is_open(), "nobody listens");
    door.advance(2_300);
    assert_eq!(door.announced.len(), 1);
    door.advance(20_000);
    assert_eq!(door.announced, vec![Some((GREETING, PlayTo::Near)); 3]);
    assert_eq!(playing(&door), None);
    let told = door.facts.iter().filter(|fact| matches!(fact, Fact::Play { sound, .. } if sound == "greeting"));
    assert_eq!(told.count(), 1, "once for each change of state");
}

#[test]
fn what_one_rule_plays_is_heard_one_after_the_other() {
    let mut door = with_motion("[{ play = \"greeting\" }, { play = \"inside\" }, { play = \"busy\" }]");
    somebody_comes(&mut door);
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Near))]);
    door.advance(2_500);
    assert_eq!(door.announced[1..], [Some((INSIDE, PlayTo::Near))]);
    door.advance(2_500);
    assert!(door.heard(Sound::Busy));
}

#[test]
fn a_prompt_gives_way_to_a_call() {
    let mut door = with_motion("{ play = \"greeting\", repeat = 5 }");
    somebody_comes(&mut door);
    door.press();
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Near)), None]);
    door.advance(60_000);
    assert_eq!(door.announced.len(), 2, "it does not come back");
}

#[test]
fn a_prompt_waits_for_the_end_of_the_call_where_that_is_configured() {
    let mut door = with_motion("{ play = \"greeting\", repeat = 2, in_call = \"wait\" }");
    somebody_comes(&mut door);
    let call = door.talking_call();
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Near)), None]);
    door.advance(30_000);
    door.hung_up(&call, 200);
    door.advance(10_000);
    assert_eq!(door.announced[2..], [Some((GREETING, PlayTo::Near)); 2], "both times are to come");
    let mut door = with_motion("{ play = \"greeting\", in_call = \"wait\" }");
    let call = door.talking_call();
    somebody_comes(&mut door);
    door.advance(30_000);
    assert!(door.announced.is_empty());
    door.hung_up(&call, 200);
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Near))]);
}

#[test]
fn a_prompt_is_played_over_a_call_where_that_is_configured() {
    let mut door = with_motion("{ play = \"greeting\", in_call = \"play\" }");
    somebody_comes(&mut door);
    door.talking_call();
    door.advance(10_000);
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Near))]);
}

#[test]
fn what_a_code_plays_is_heard_in_the_call_and_codes_still_count() {
    let code = |digits: &str, name: &str| {
        format!("[[dtmf]]\ndigits = \"{digits}\"\nrun = {{ play = \"{name}\", to = \"both\" }}\n")
    };
    let codes = [code("1111", "greeting"), code("2222", "inside")].concat();
    let mut door = Door::online(&format!("{}{BELL}{codes}", prompts()));
    door.talking_call();
    assert!(door.microphone_is_open());
    door.digits("1111");
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Both))]);
    assert!(door.microphone_is_open(), "the microphone stays as it is");
    door.digits("2222");
    door.advance(2_600);
    assert_eq!(door.announced[1..], [Some((INSIDE, PlayTo::Both))], "the code was typed during the prompt");
}

#[test]
fn a_prompt_for_the_far_end_begins_when_the_far_end_can_hear_it_and_ends_with_the_call() {
    let bell = "[[button]]\nname = \"bell\"\npin = 17\n\
                press = { call = \"100\", answered = { play = \"greeting\", to = \"far\", repeat = 9 } }\n";
    let mut door = Door::online(&format!("{}{bell}", prompts()));
    let call = door.ringing_call();
    door.event_of(&call, accepted());
    door.advance(1_000);
    assert!(door.announced.is_empty(), "ICE and DTLS are not up: its beginning would be lost");
    door.media_connected();
    assert_eq!(door.announced, [Some((GREETING, PlayTo::Far))]);
    door.hung_up(&call, 200);
    assert_eq!(door.announced[1..], [None]);
    door.advance(20_000);
    assert_eq!(door.announced.len(), 2);
}

#[test]
fn a_prompt_for_a_card_that_does_not_work_is_played_if_it_comes_back_soon() {
    for (after_ms, is_played) in [(10_000, true), (20_000, false)] {
        let mut door = with_motion("{ play = \"greeting\" }");
        door.input(Input::Audio(AudioEvent::Fault("unplugged".into())));
        somebody_comes(&mut door);
        assert!(door.announced.is_empty());
        door.advance(after_ms);
        door.input(Input::Audio(AudioEvent::Ready));
        door.advance(100);
        assert_eq!(!door.announced.is_empty(), is_played, "{after_ms}");
    }
}

#[test]
fn a_command_plays_at_once_in_place_of_what_is_played() {
    let mut door = with_motion("{ play = \"greeting\", repeat = 5 }");
    somebody_comes(&mut door);
    let play = |to| Command::Play { what: INSIDE, to };
    assert_eq!(door.command(play(PlayTo::Near)), Ok(Done::Now));
    assert_eq!(door.announced[1..], [None, Some((INSIDE, PlayTo::Near))]);
    assert_eq!(door.command(play(PlayTo::Far)), Err(Refusal::NoCall("is up")));
    door.input(Input::Audio(AudioEvent::Fault("unplugged".into())));
    assert_eq!(door.command(play(PlayTo::Both)), Err(Refusal::NoSoundCard));
}

#[test]
fn a_flood_of_prompts_is_bounded() {
    let mut door = with_motion("[{ play = \"greeting\" }, { play = \"inside\" }]");
    (0..100).for_each(|_| somebody_comes(&mut door));
    door.announced.clear();
    door.advance(600_000);
    assert!(door.announced.len() <= 9, "{}", door.announced.len());
}

#[test]
fn talk_opens_and_closes_the_directions_of_the_call_with_a_sign() {
    let code = |digits: &str, mode: &str| format!("[[dtmf]]\ndigits = \"{digits}\"\nrun = {{ talk = \"{mode}\" }}\n");
    let codes = [code("1111", "announce"), code("2222", "listen"), code("3333", "talk")].concat();
    let mut door = Door::online(&format!("{BELL}{codes}"));
    door.talking_call();
    let sides = |door: &Door| door.scene.calls.iter().map(|call| (call.microphone, call.loudspeaker)).next();
    door.digits("1111");
    assert_eq!(sides(&door), Some((false, true)));
    door.sounds.clear();
    door.digits("2222");
    assert_eq!(sides(&door), Some((true, false)));
    assert!(door.heard(Sound::Answer), "people here know that somebody listens");
    door.sounds.clear();
    door.digits("3333");
    assert_eq!(sides(&door), Some((true, true)));
    assert!(!door.heard(Sound::Answer));
}

#[test]
fn a_hook_reports_its_text_with_who_caused_it() {
    let mut door = Door::online("[[button]]\nname = \"bell\"\npin = 17\npress = { hook = \"bell rang\" }\n");
    door.press();
    let by = By::User { user: "anna".into() };
    assert!(door.facts.contains(&Fact::Custom { text: "bell rang".into(), by }));
}
