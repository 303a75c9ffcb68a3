//! What a valid configuration has that is hardly what somebody wants: rules that never run, codes that hide others.

use super::number::NumberPattern;
use super::read::Reader;
use super::station::{Config, DtmfRule};

/// Notes a warning for each; of two rules that clash the later one is named.
pub(super) fn review(config: &Config, reader: &Reader) {
    review_answers(config, reader);
    review_codes(config, reader);
}

fn review_answers(config: &Config, reader: &Reader) {
    for (index, rule) in config.answers.iter().enumerate() {
        let mut earlier = config.answers.iter().take(index).enumerate();
        let hides = |(_, other): &(usize, &super::station::AnswerRule)| {
            // The same hours, or none at all.
            let always = other.hours.is_none() || other.hours == rule.hours;
            always && covers(&other.from, &rule.from)
        };
        if let Some((hidden_by, _)) = earlier.find(hides) {
            reader.warning(
                &format!("answer[{index}]"),
                format!("is never reached: rule {} takes all of its callers first", hidden_by + 1),
            );
        }
    }
}

/// Whether every caller of some patterns is one of others; no pattern is anybody.
fn covers(wide: &[NumberPattern], narrow: &[NumberPattern]) -> bool {
    match (wide, narrow) {
        ([], _) => true,
        (wide, []) => wide.iter().any(|pattern| pattern.covers(&NumberPattern::Prefix(String::new()))),
        (wide, narrow) => narrow.iter().all(|one| wide.iter().any(|pattern| pattern.covers(one))),
    }
}

fn review_codes(config: &Config, reader: &Reader) {
    for (index, rule) in config.dtmf.iter().enumerate() {
        let path = format!("dtmf[{index}].digits");
        let earlier = || config.dtmf.iter().take(index).filter(|other| share_a_far_end(rule, other));
        if earlier().any(|other| other.digits == rule.digits) {
            reader.warning(
                &path,
                "is the code of an earlier rule as well: for the far ends of both, that one runs alone",
            );
        }
        if earlier().any(|other| rule.digits.len() > other.digits.len() && rule.digits.starts_with(&other.digits)) {
            reader
                .warning(&path, "begins with the code of an earlier rule, which runs first: this one is never reached");
        }
        if earlier().any(|other| other.digits.len() > rule.digits.len() && other.digits.starts_with(&rule.digits)) {
            reader.warning(
                &path,
                "begins the longer code of an earlier rule: it runs first, and that one is never reached",
            );
        }
    }
}

/// Whether one far end may use both codes.
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
            ["callbox.toml:10: answer[2]: warning: is never reached: rule 1 takes all of its callers first"; 0]
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
    fn codes_that_hide_each_other_are_told() {
        let code =
            |digits: &str, from: &str| format!("[[dtmf]]\ndigits = \"{digits}\"\n{from}run = {{ hangup = \"all\" }}\n");
        let both = [code("5#", ""), code("5#1", ""), code("5", ""), code("5#", "")].concat();
        let told = warnings(&both);
        assert!(told[0].starts_with("callbox.toml:8: dtmf[1].digits: warning: begins with the code"), "{told:?}");
        assert!(told[1].starts_with("callbox.toml:11: dtmf[2].digits: warning: begins the longer code"), "{told:?}");
        assert!(told[2].starts_with("callbox.toml:14: dtmf[3].digits: warning: is the code of an earlier"), "{told:?}");
        let apart = [code("5#", "from = \"100\"\n"), code("5#", "from = \"2*\"\n")].concat();
        assert_eq!(warnings(&apart), Vec::<String>::new());
    }

    #[test]
    fn what_a_rule_cannot_do_as_it_is_written_is_told() {
        let told = warnings(
            "[[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 1\nmax_on_ms = 2000\n\
             [[button]]\nname = \"bell\"\npin = 2\n\
             press = [{ output = \"strike\", pulse_ms = 3000 }, { call = [\"1\", \"2\", \"3\"], order = \"parallel\" }]\n\
             [[button]]\nname = \"gate\"\npin = 3\npress = {}\nlong_press = { hangup = \"all\" }\n\
             [[sensor]]\nname = \"door\"\npin = 4\nopened = { call = \"100\", after_ms = 4000 }\n",
        );
        for (line, words) in told.iter().zip([
            "its max_on_ms, 2000 ms",
            "only 2 of the 3",
            "a short press does nothing",
            "for_ms calls only",
        ]) {
            assert!(line.contains(words), "{words}: {told:?}");
        }
        assert_eq!(told.len(), 4, "{told:?}");
    }
}
