//! Finds what is valid in a configuration but probably not intended: rules that never run, codes that hide other codes,
//! doors that are easy to open.

use super::model::{
    AnswerAction, CallMode, Conditions, Config, DtmfRule, Hours, Mode, ModeIndex, ModeState, NumberPattern,
    ReaderIndex, Trigger,
};
use super::reading::Reader;
use crate::code_hash::MIN_CODE;

/// Notes a warning for each finding. If two rules conflict, the warning is about the later one.
pub(super) fn review(config: &Config, reader: &Reader) {
    review_answers(config, reader);
    review_codes(config, reader);
    review_access(config, reader);
    review_conditions(config, reader);
    review_holidays(config, reader);
    review_readers(config, reader);
}

/// Finds hours of public holidays where there are none.
fn review_holidays(config: &Config, reader: &Reader) {
    if !config.calendar.holidays.is_empty() {
        return;
    }
    let modes = config.modes.iter().map(|mode| (format!("modes.{}", mode.name), mode.hours.as_ref()));
    let answers = config.answers.iter().enumerate();
    let answers = answers.map(|(index, rule)| (format!("answer[{index}]"), rule.conditions.hours.as_ref()));
    let codes = config.codes.iter().enumerate();
    let codes = codes.map(|(index, code)| (format!("code[{index}]"), code.conditions.hours.as_ref()));
    let rules = config.triggers().flat_map(|(path, trigger)| {
        let is_one = trigger.rules.len() == 1;
        trigger.rules.iter().enumerate().map(move |(index, rule)| {
            let path = if is_one { path.to_string() } else { format!("{path}[{index}]") };
            (path, rule.conditions.hours.as_ref())
        })
    });
    for (path, hours) in modes.chain(answers).chain(codes).chain(rules) {
        if hours.is_some_and(|hours| hours.text().contains("PH")) {
            reader.warning(&format!("{path}.hours"), "asks for public holidays (PH), and calendar.holidays names none");
        }
    }
    for (index, schedule) in config.schedules.iter().enumerate() {
        if schedule.when.to_string().contains("PH") {
            let path = format!("schedule[{index}].at");
            reader.warning(&path, "asks for public holidays (PH), and calendar.holidays names none");
        }
    }
}

/// Finds readers that take each other's keys, and codes that are over.
fn review_readers(config: &Config, reader: &Reader) {
    for (index, one) in config.readers.iter().enumerate() {
        if config.readers.iter().take(index).any(|other| other.device == one.device) {
            let path = format!("reader[{index}].device");
            reader.warning(&path, "is that of an earlier reader, which takes it: this one never gets a key");
        }
        let has_codes = config.codes.iter().any(|code| code.readers.contains(&ReaderIndex(index)));
        let may_be_code = |text: &str| text.contains('*') || text.chars().count() >= MIN_CODE;
        if has_codes && one.dial.iter().any(|pattern| may_be_code(&pattern.text())) {
            let text = "admits numbers as long as a code: a mistyped code is called, and its digits are seen there; each \
                        such call counts as a wrong code, and while codes are off it is refused";
            reader.warning(&format!("reader[{index}].dial"), text);
        }
    }
    let today = jiff::Zoned::now().date();
    for (index, code) in config.codes.iter().enumerate() {
        if let Some(date) = code.valid_until.filter(|date| *date < today) {
            reader
                .warning(&format!("code[{index}].valid_until"), format!("{date} is over: the code is never accepted"));
        }
    }
}

fn review_answers(config: &Config, reader: &Reader) {
    let anybody = [NumberPattern::Prefix(String::new())];
    for (index, rule) in config.answers.iter().enumerate() {
        let callers = if rule.from.is_empty() { &anybody[..] } else { &rule.from };
        // For each caller of this rule: do earlier rules for that caller match whenever this rule does?
        let taken = callers.iter().all(|caller| {
            let earlier = config.answers.iter().take(index);
            let for_them =
                earlier.filter(|other| other.from.is_empty() || other.from.iter().any(|one| one.covers(caller)));
            let conditions: Vec<&Conditions> = for_them.map(|other| &other.conditions).collect();
            is_covered(&rule.conditions, &conditions, &config.modes)
        });
        if index > 0 && taken {
            let others = if index == 1 { "rule 1 takes".to_owned() } else { format!("rules 1 to {index} take") };
            reader.warning(&format!("answer[{index}]"), format!("is never reached: {others} all of its callers first"));
        }
    }
}

/// Finds rules with conditions under which an earlier rule always matches.
fn review_conditions(config: &Config, reader: &Reader) {
    for (path, trigger) in config.triggers() {
        review_rules(&path.to_string(), trigger, &config.modes, reader);
        for call in trigger.calls_in_it() {
            for (key, outcome) in call.outcomes.all() {
                review_rules(&format!("{path}.{key}"), outcome, &config.modes, reader);
            }
        }
    }
}

fn review_rules(path: &str, trigger: &Trigger, modes: &[Mode], reader: &Reader) {
    let mut earlier: Vec<&Conditions> = Vec::new();
    for (index, rule) in trigger.rules.iter().enumerate() {
        if index > 0 && is_covered(&rule.conditions, &earlier, modes) {
            let what = match (&rule.conditions.hours, rule.conditions.when) {
                (Some(_), None) => "is never reached: earlier rules match at all of its hours",
                _ => "is never reached: earlier rules match whenever it would",
            };
            reader.warning(&format!("{path}[{index}]"), what);
        }
        earlier.push(&rule.conditions);
    }
}

/// Modes whose every combination is looked at. With more of them, no rule counts as covered.
const MAX_MODES: usize = 6;

/// Whether one of the others holds whenever these conditions do.
fn is_covered(conditions: &Conditions, others: &[&Conditions], modes: &[Mode]) -> bool {
    let always = Hours::always();
    let hours = |conditions: &'_ Conditions| conditions.hours.clone().unwrap_or_else(|| always.clone());
    let mut mentioned: Vec<ModeIndex> =
        others.iter().copied().chain([conditions]).filter_map(|one| Some(one.when?.mode)).collect();
    mentioned.sort_unstable();
    mentioned.dedup();
    if mentioned.len() > MAX_MODES {
        return false;
    }
    combinations(&mentioned, modes).into_iter().all(|states| {
        let may_hold = |one: &Conditions| one.when.is_none_or(|when| when.holds(&states));
        let then: Vec<Hours> = others.iter().filter(|other| may_hold(other)).map(|other| hours(other)).collect();
        !may_hold(conditions) || hours(conditions).lie_in(&then.iter().collect::<Vec<_>>())
    })
}

/// Everything that the modes may be together. Those that are not mentioned make no difference.
fn combinations(mentioned: &[ModeIndex], modes: &[Mode]) -> Vec<Vec<ModeState>> {
    use ModeState::{Off, On, Unknown};
    modes.iter().enumerate().fold(vec![Vec::new()], |combinations, (index, mode)| {
        let states: &[ModeState] = match (mentioned.contains(&ModeIndex(index)), &mode.hours) {
            (false, _) => &[Off],
            (true, None) => &[On, Off],
            (true, Some(_)) => &[On, Off, Unknown],
        };
        let longer = |state| combinations.iter().map(move |one| [one.as_slice(), &[state]].concat());
        states.iter().copied().flat_map(longer).collect()
    })
}

fn review_codes(config: &Config, reader: &Reader) {
    for (index, rule) in config.dtmf.iter().enumerate() {
        let path = format!("dtmf[{index}].digits");
        let earlier = || config.dtmf.iter().take(index).filter(|other| share_a_far_end(rule, other));
        if earlier().any(|other| other.digits == rule.digits) {
            reader.warning(
                &path,
                "is also the code of an earlier rule: for far ends that may use both, only the earlier rule runs",
            );
        }
        if earlier()
            .any(|other| rule.digits.len() > other.digits.len() && rule.digits.starts_with(other.digits.as_str()))
        {
            reader
                .warning(&path, "begins with the code of an earlier rule, which runs first: this one is never reached");
        }
        if earlier()
            .any(|other| other.digits.len() > rule.digits.len() && other.digits.starts_with(rule.digits.as_str()))
        {
            reader.warning(
                &path,
                "is the beginning of an earlier rule's longer code: this one runs first, and that one is never reached",
            );
        }
    }
}

/// Finds what makes a door easier to open, or to listen at, than its owner may think.
fn review_access(config: &Config, reader: &Reader) {
    let anybody = |from: &[NumberPattern]| from.iter().any(|pattern| pattern.text() == "*");
    for (index, rule) in config.dtmf.iter().enumerate() {
        let path = |key: &str| format!("dtmf[{index}].{key}");
        if rule.digits.len() < 4 {
            let tries = 12_u32.saturating_pow(u32::try_from(rule.digits.len()).unwrap_or(4));
            reader.warning(
                &path("digits"),
                format!(
                    "has fewer than 4 digits: it is one of {tries} codes, and somebody who calls now and then will \
                     find it; use 4 or more"
                ),
            );
        }
        if rule.from.as_deref().is_some_and(anybody) {
            reader.warning(
                &path("from"),
                "admits everybody: anybody who knows the station's number may try the code; name the numbers that may",
            );
        }
        if rule.in_band {
            reader.warning(
                &path("in_band"),
                "detects tones in the sound: anybody who plays them to the far end's microphone, or from a telephone \
                 that is connected to the call, can enter the code; see docs/security.md",
            );
        }
    }
    for (index, rule) in config.answers.iter().enumerate() {
        let path = |key: &str| format!("answer[{index}].{key}");
        if rule.action == AnswerAction::Answer && (rule.from.is_empty() || anybody(&rule.from)) {
            let what = match rule.mode {
                CallMode::Announce => "may speak at the door",
                CallMode::Listen => "may listen at the door",
                CallMode::Talk => "may listen and speak at the door",
            };
            let key = if rule.from.is_empty() { "action" } else { "from" };
            reader.warning(&path(key), format!("answers everybody: any caller {what}; name the numbers that may"));
        }
        if rule.mode == CallMode::Listen && rule.action != AnswerAction::Decline {
            reader.warning(
                &path("mode"),
                "lets a caller listen without being heard: in most countries the law demands that people at the door \
                 know of it; the tone of the answer is always played, and a sign beside the station is needed as well",
            );
        }
    }
}

/// Whether there is a far end that may use both codes.
fn share_a_far_end(one: &DtmfRule, other: &DtmfRule) -> bool {
    match (&one.from, &other.from) {
        (Some(one), Some(other)) => one.iter().any(|one| other.iter().any(|other| one.meets(other))),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    fn warnings(text: &str) -> Vec<String> {
        let text = format!("[core]\nurl = \"https://core.example\"\ntoken = \"x\"\n{text}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("callbox.toml");
        std::fs::write(&file, text).unwrap();
        let (_, warnings) = super::super::load_reviewed(&file, &BTreeMap::new()).unwrap();
        let folder = format!("{}/", folder.path().display());
        warnings.iter().map(|warning| warning.to_string().replace(&folder, "")).collect()
    }

    #[test]
    fn an_answer_rule_behind_one_that_takes_all_of_its_callers_is_never_reached() {
        let rule = |from: &str| format!("[[answer]]\nfrom = {from}\naction = \"answer\"\n");
        let hidden = ["[\"100\"]", "[\"2*\"]", "[\"21*\", \"100\"]"].map(rule).concat();
        assert_eq!(
            warnings(&hidden),
            ["callbox.toml:10: answer[2]: warning: is never reached: rules 1 to 2 take all of its callers first"]
        );
        let hidden = ["[\"2*\", \"100\"]", "[\"21*\", \"100\"]", "[\"3*\"]"].map(rule).concat();
        assert_eq!(
            warnings(&hidden),
            ["callbox.toml:7: answer[1]: warning: is never reached: rule 1 takes all of its callers first"]
        );
        let open = format!("[[answer]]\naction = \"decline\"\n{}", rule("\"100\""));
        assert_eq!(warnings(&open).len(), 1);
        let by_day = format!("[[answer]]\naction = \"decline\"\nhours = \"08:00-18:00\"\n{}", rule("\"100\""));
        assert_eq!(warnings(&by_day), Vec::<String>::new());
    }

    #[test]
    fn codes_that_hide_each_other_are_reported() {
        let code =
            |digits: &str, from: &str| format!("[[dtmf]]\ndigits = \"{digits}\"\n{from}run = {{ hangup = \"all\" }}\n");
        let both = [code("5432", ""), code("54321", ""), code("543", ""), code("5432", "")].concat();
        let told: Vec<String> = warnings(&both).into_iter().filter(|line| !line.contains("fewer than 4")).collect();
        assert!(told[0].starts_with("callbox.toml:8: dtmf[1].digits: warning: begins with the code"), "{told:?}");
        assert!(told[1].starts_with("callbox.toml:11: dtmf[2].digits: warning: is the beginning of"), "{told:?}");
        assert!(told[2].starts_with("callbox.toml:14: dtmf[3].digits: warning: is also the code of"), "{told:?}");
        let apart = [code("5432", "from = \"100\"\n"), code("5432", "from = \"2*\"\n")].concat();
        assert_eq!(warnings(&apart), Vec::<String>::new());
    }

    #[test]
    fn what_a_rule_cannot_do_as_it_is_written_is_reported() {
        let told = warnings(
            "[[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 1\nmax_on_ms = 2000\n\
             [[button]]\nname = \"bell\"\npin = 2\n\
             press = [{ output = \"strike\", pulse_ms = 3000 }, { call = [\"1\", \"2\", \"3\"], order = \"parallel\" }]\n\
             [[button]]\nname = \"gate\"\npin = 3\npress = {}\nlong_press = { hangup = \"all\" }\n\
             [[sensor]]\nname = \"door\"\npin = 4\nopened = { call = \"100\", after_ms = 4000 }\n",
        );
        for (line, message) in told.iter().zip([
            "its max_on_ms, 2000 ms",
            "only 2 of the 3",
            "a short press does nothing",
            "for_ms calls only",
        ]) {
            assert!(line.contains(message), "{message}: {told:?}");
        }
        assert_eq!(told.len(), 4, "{told:?}");
    }

    #[test]
    fn what_makes_a_door_easy_to_open_is_reported() {
        let told = |text: &str| {
            let told = warnings(text);
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            told[0].clone()
        };
        let code = |keys: &str| format!("[[dtmf]]\n{keys}\nrun = {{ hangup = \"all\" }}\n");
        let safe = code("digits = \"4711\"\nfrom = [\"100\", \"2*\"]");
        assert_eq!(warnings(&safe), Vec::<String>::new());
        assert!(told(&code("digits = \"5#\"")).contains("digits: warning: has fewer than 4 digits: it is one of 144"));
        assert!(told(&code("digits = \"4711\"\nfrom = [\"*\"]")).contains("from: warning: admits everybody"));
        assert!(told(&code("digits = \"4711\"\nin_band = true")).contains("in_band: warning: detects tones"));
        let answer = |keys: &str| format!("[[answer]]\naction = \"answer\"\n{keys}\n");
        assert!(told(&answer("")).contains("action: warning: answers everybody: any caller may listen and speak"));
        assert!(told(&answer("from = \"*\"\nmode = \"announce\"")).contains("from: warning: answers everybody"));
        assert!(told(&answer("from = \"100\"\nmode = \"listen\"")).contains("the law demands"));
    }

    #[test]
    fn what_can_never_happen_is_reported() {
        let told = warnings(
            "[modes]\nnight = { hours = \"22:00-06:00\" }\n\
             [[button]]\nname = \"bell\"\npin = 2\n\
             press = { call = [\"1\", \"2\"], order = \"parallel\", line = 0, failed = [{ when = \"night\", play = \"busy\" }, { when = \"night\", hours = \"01:00-02:00\", play = \"busy\" }] }\n\
             [[schedule]]\nname = \"t\"\nat = \"PH 03:00\"\nrun = { play = \"busy\" }\n\
             [[answer]]\nfrom = \"100\"\naction = \"answer\"\nhours = \"PH 10:00-12:00\"\n\
             [[reader]]\nname = \"a\"\ndevice = \"x\"\nkind = \"card\"\n\
             [[reader]]\nname = \"b\"\ndevice = \"x\"\nkind = \"card\"\n",
        );
        for what in [
            "button[0].press.order: warning: is parallel on one line",
            "button[0].press.failed[1]: warning: is never reached",
            "schedule[0].at: warning: asks for public holidays",
            "answer[0].hours: warning: asks for public holidays",
            "reader[1].device: warning: is that of an earlier reader",
        ] {
            assert!(told.iter().any(|line| line.contains(what)), "{what}: {told:#?}");
        }
        assert_eq!(told.len(), 5, "{told:#?}");
    }

    #[test]
    fn a_secret_that_others_may_read_is_reported() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("callbox.toml");
        let secret = folder.path().join("token");
        std::fs::write(&secret, "x").unwrap();
        std::fs::write(&file, "[core]\nurl = \"https://core.example\"\ntoken_file = \"token\"\n").unwrap();
        let told = |mode: u32| {
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
            let (_, warnings) = super::super::load_reviewed(&file, &BTreeMap::new()).unwrap();
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(0o640), Vec::<String>::new());
        for mode in [0o644, 0o606, 0o604] {
            let told = told(mode);
            assert!(told.len() == 1 && told[0].contains("core.token_file: warning:"), "{told:?}");
            assert!(told[0].contains("chmod o= "), "{told:?}");
        }
    }
}
