//! Keypads and cards: whose codes open, when, and what wrong ones cost.

use callbox::config::{CodeIndex, ReaderIndex, Sound};
use callbox::core::*;
use callbox::secret::DtmfDigit;
use callbox::signaling::RequestBody;

use crate::door::*;

const KEYPAD: ReaderIndex = ReaderIndex(0);
const CARDS: ReaderIndex = ReaderIndex(1);
const ANNA: CodeIndex = CodeIndex(0);
const CLEANER: CodeIndex = CodeIndex(1);

/// A file with the hash of some code: the core does not look into it.
fn hash() -> String {
    let path = format!("{}/code-{:?}", env!("CARGO_TARGET_TMPDIR"), std::thread::current().id());
    let hash = callbox::code_hash::Work::new([7; 16]).unwrap().hash("4711").unwrap();
    std::fs::write(&path, hash.to_string()).unwrap();
    path
}

/// A keypad that also dials flats, a card reader, and the codes of Anna and of a cleaner.
fn house() -> String {
    let file = hash();
    let code = |name: &str, readers: &str, more: &str| {
        format!(
            "[[code]]\nname = \"{name}\"\nreader = {readers}\nsecret_file = \"{file}\"\n{more}\
             run = {{ output = \"strike\", pulse_ms = 3000 }}\n"
        )
    };
    [
        "[[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 23\n\
         [[reader]]\nname = \"keypad\"\ndevice = \"usb:1234:5678\"\nkind = \"keypad\"\ndial = [\"1??\"]\n\
         [[reader]]\nname = \"cards\"\ndevice = \"Card Reader\"\nkind = \"card\"\n",
        &code("Anna", "[\"keypad\", \"cards\"]", ""),
        &code("Cleaner", "\"keypad\"", "hours = \"Mo 08:00-10:00\"\nvalid_until = \"2026-11-30\"\n"),
    ]
    .concat()
}

/// The house, which knows the time: a Monday, which is the cleaner's last day.
fn door() -> Door {
    let mut door = Door::new(&house());
    door.local = Some(LocalTime { date: jiff::civil::date(2026, 11, 30), minute_of_day: 9 * 60 });
    door.connect();
    door.input(Input::Audio(AudioEvent::Ready));
    door.sounds.clear();
    door.sent.clear();
    door
}

fn key(door: &mut Door, reader: ReaderIndex, key: ReaderKey) {
    door.input(Input::Key { reader, key });
}

fn symbols(door: &mut Door, reader: ReaderIndex, text: &str) {
    text.chars().for_each(|symbol| key(door, reader, ReaderKey::Symbol(DtmfDigit(symbol))));
}

/// Types an entry. The adapter finds these codes.
fn enter(door: &mut Door, reader: ReaderIndex, text: &str, matched: &[CodeIndex]) {
    symbols(door, reader, text);
    key(door, reader, ReaderKey::Enter);
    if let Some((check, typed, codes)) = door.checks.pop() {
        assert_eq!(typed.as_str(), text);
        assert!(matched.iter().all(|code| codes.contains(code)), "{codes:?}");
        door.advance(200);
        door.input(Input::CodeChecked { check, matched: matched.to_vec() });
    }
}

fn opened(door: &mut Door) -> bool {
    let opened = door.drives.get(&0) == Some(&Drive::On);
    door.advance(5_000);
    opened
}

fn last(door: &Door) -> Fact {
    door.facts.iter().rev().find(|fact| matches!(fact, Fact::Code { .. })).expect("a code was told").clone()
}

#[test]
fn a_code_opens_with_a_sign_and_the_name_of_its_holder() {
    let mut door = door();
    enter(&mut door, KEYPAD, "4711", &[ANNA]);
    assert!(door.heard(Sound::Key) && door.heard(Sound::Accepted) && !door.heard(Sound::Refused));
    let by = By::Holder { code: "Anna".into(), reader: "keypad".into() };
    let output = Fact::Output { output: "strike".into(), drive: Drive::On, by };
    assert!(door.facts.contains(&output), "{:?}", door.facts);
    assert!(opened(&mut door));
    let text = serde_json::to_string(&door.facts).unwrap();
    assert!(!text.contains("4711"), "no digit in any fact: {text}");
}

#[test]
fn a_card_is_one_burst_without_a_sound_for_each_digit() {
    let mut door = door();
    enter(&mut door, CARDS, "0012345678", &[ANNA]);
    assert!(!door.heard(Sound::Key) && door.heard(Sound::Accepted));
    assert!(opened(&mut door));
}

#[test]
fn a_code_counts_at_its_times_until_its_last_day_and_only_with_a_clock() {
    let at = |year_day: (i16, i8, i8), minute: u16| {
        let (year, month, day) = year_day;
        Some(LocalTime { date: jiff::civil::date(year, month, day), minute_of_day: minute })
    };
    for (local, opens) in [
        (at((2026, 11, 30), 9 * 60), true),
        (at((2026, 11, 30), 10 * 60), false),
        (at((2026, 11, 23), 9 * 60), true),
        (at((2026, 12, 7), 9 * 60), false),
        (None, false),
    ] {
        let mut door = door();
        door.local = local;
        enter(&mut door, KEYPAD, "2222", &[CLEANER]);
        assert_eq!(opened(&mut door), opens, "{local:?}");
        assert_eq!(door.heard(Sound::Refused), !opens);
        let Fact::Code { code, accepted, .. } = last(&door) else { panic!() };
        assert_eq!((code.as_deref(), accepted), (Some("Cleaner"), opens), "the owner learns who tried");
    }
}

#[test]
fn wrong_codes_lock_the_reader_and_a_right_one_looks_wrong_meanwhile() {
    let mut door = door();
    for _ in 0..5 {
        enter(&mut door, KEYPAD, "9999", &[]);
    }
    assert!(matches!(last(&door), Fact::Code { locked: true, locked_s: Some(60), .. }), "{:?}", last(&door));
    assert_eq!(door.station.status().readers[0].locked_s, Some(60));
    door.advance(30_000);
    enter(&mut door, KEYPAD, "4711", &[ANNA]);
    assert!(!opened(&mut door));
    assert_eq!(
        last(&door),
        Fact::Code { reader: "keypad".into(), code: None, accepted: false, locked: true, locked_s: None }
    );
    // Another reader is not concerned, and the attempt has not lengthened the lock.
    enter(&mut door, CARDS, "0012345678", &[ANNA]);
    assert!(opened(&mut door));
    door.advance(20_000);
    enter(&mut door, KEYPAD, "4711", &[ANNA]);
    assert!(opened(&mut door), "the lock is over");
}

#[test]
fn the_next_lock_is_longer_and_survives_a_restart() {
    let mut door = door();
    for _ in 0..2 {
        (0..5).for_each(|_| enter(&mut door, KEYPAD, "9999", &[]));
        door.advance(61_000);
    }
    let memory = door.memory.clone();
    let mut next = Door::new(&house());
    next.now_ms = door.now_ms;
    next.station.recall(memory);
    next.connect();
    enter(&mut next, KEYPAD, "4711", &[ANNA]);
    assert!(!opened(&mut next), "the second lock is 120 s long");
    next.advance(60_000);
    enter(&mut next, KEYPAD, "4711", &[ANNA]);
    assert!(opened(&mut next));
}

#[test]
fn the_number_of_a_flat_is_called_and_other_numbers_are_not() {
    let mut door = door();
    enter(&mut door, KEYPAD, "123", &[]);
    let request = door.take_one("outgoing_call");
    assert!(matches!(&request.body, RequestBody::OutgoingCall { number, .. } if *number == "123"));
    let by = door.facts.iter().find_map(|fact| match fact {
        Fact::Call { by, .. } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by, Some(By::Typist { reader: "keypad".into() }));
    let mut door = self::door();
    for number in ["12", "1234", "900"] {
        enter(&mut door, KEYPAD, number, &[]);
    }
    assert!(door.take("outgoing_call").is_empty());
    enter(&mut door, CARDS, "123", &[]);
    assert!(door.take("outgoing_call").is_empty(), "a card calls nobody");
}

#[test]
fn a_flat_is_called_also_while_codes_are_off_and_without_a_session_as_a_press_is() {
    let mut door = door();
    (0..5).for_each(|_| enter(&mut door, KEYPAD, "9999", &[]));
    enter(&mut door, KEYPAD, "123", &[]);
    door.take_one("outgoing_call");
    let mut door = self::door();
    door.lose(4431);
    door.advance(100);
    enter(&mut door, KEYPAD, "123", &[]);
    let told = |fact: &Fact| matches!(fact, Fact::ReaderRefused { reader, reason } if reader == "keypad" && !reason.is_empty());
    assert!(door.facts.iter().any(told));
    assert!(door.heard(Sound::NoConnection));
}

#[test]
fn what_is_cleared_or_left_standing_is_forgotten_and_costs_nothing() {
    let mut door = door();
    symbols(&mut door, KEYPAD, "99");
    key(&mut door, KEYPAD, ReaderKey::Clear);
    enter(&mut door, KEYPAD, "4711", &[ANNA]);
    assert!(opened(&mut door));
    symbols(&mut door, KEYPAD, "99");
    door.advance(10_000);
    enter(&mut door, KEYPAD, "4711", &[ANNA]);
    assert!(opened(&mut door), "ten seconds later somebody else begins anew");
    key(&mut door, KEYPAD, ReaderKey::Enter);
    assert!(door.checks.is_empty(), "Enter alone is nothing");
    let wrong = door.facts.iter().filter(|fact| matches!(fact, Fact::Code { accepted: false, .. }));
    assert_eq!(wrong.count(), 0);
}

#[test]
fn a_reader_that_is_unplugged_in_mid_code_is_a_fault_and_its_half_code_is_forgotten() {
    let mut door = door();
    symbols(&mut door, KEYPAD, "47");
    door.input(Input::Reader { reader: KEYPAD, fault: Some("unplugged".into()) });
    assert_eq!(door.station.status().readers[0].fault.as_deref(), Some("unplugged"));
    door.input(Input::Reader { reader: KEYPAD, fault: Some("still not there".into()) });
    door.input(Input::Reader { reader: KEYPAD, fault: None });
    enter(&mut door, KEYPAD, "11", &[]);
    assert!(!opened(&mut door));
    let told = door.facts.iter().filter(|fact| matches!(fact, Fact::Reader { .. }));
    assert_eq!(told.count(), 2, "once for each change");
}

#[test]
fn a_flood_of_keys_and_of_entries_is_bounded() {
    let mut door = door();
    symbols(&mut door, KEYPAD, &"1".repeat(10_000));
    key(&mut door, KEYPAD, ReaderKey::Enter);
    assert!(door.checks.is_empty(), "it is longer than any code");
    assert!(matches!(last(&door), Fact::Code { accepted: false, code: None, .. }));
    for _ in 0..100 {
        symbols(&mut door, KEYPAD, "4711");
        key(&mut door, KEYPAD, ReaderKey::Enter);
    }
    assert_eq!(door.checks.len(), 1, "one at a time");
    door.advance(61_000);
    enter(&mut door, KEYPAD, "4711", &[ANNA]);
    assert!(opened(&mut door), "an adapter that never answers does not stop the keypad");
}

#[test]
fn an_answer_for_an_entry_that_is_over_opens_nothing() {
    let mut door = door();
    symbols(&mut door, KEYPAD, "4711");
    key(&mut door, KEYPAD, ReaderKey::Enter);
    let (check, ..) = door.checks.pop().unwrap();
    door.advance(61_000);
    door.input(Input::CodeChecked { check, matched: vec![ANNA] });
    door.input(Input::CodeChecked { check: 77, matched: vec![ANNA] });
    door.input(Input::Key { reader: ReaderIndex(9), key: ReaderKey::Enter });
    assert!(!opened(&mut door));
}

#[test]
fn numbers_as_long_as_a_code_are_guesses_and_while_locked_out_none_of_them_is_called() {
    let text = house().replace("dial = [\"1??\"]", "dial = [\"1??\", \"4*\"]");
    let mut door = Door::online(&text);
    for guess in 4700..4705 {
        enter(&mut door, KEYPAD, &guess.to_string(), &[]);
        let calls = door.take("outgoing_call");
        assert_eq!(calls.len(), 1, "{guess}");
        door.ack(&calls[0]);
        door.hung_up(&calls[0], 404);
        door.advance(10_000);
    }
    assert!(matches!(last(&door), Fact::Code { locked: true, locked_s: Some(60), .. }), "{:?}", last(&door));
    // The right one looks like a wrong one, and neither is called.
    for (entry, matched) in [("4711", &[ANNA][..]), ("4799", &[])] {
        enter(&mut door, KEYPAD, entry, matched);
        assert!(door.take("outgoing_call").is_empty(), "{entry}");
        assert!(!opened(&mut door));
    }
    // A flat is no code.
    enter(&mut door, KEYPAD, "101", &[]);
    assert_eq!(door.take("outgoing_call").len(), 1);
}
