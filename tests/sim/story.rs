//! Runs months, and reports a failing one in its shortest form.

use std::sync::{Arc, LazyLock};

use callbox::config::{Config, parse};

use crate::checks::Violation;
use crate::keypad::RIGHT;
use crate::plan::{MONTH_MS, Planned, month};
use crate::world::{Figures, World};

const REST: &str = r#"
[[button]]
name = "bell"
pin = 17
press = { call = ["100", "101"], ring_s = 30, ORDER }

[[button]]
name = "exit"
pin = 18

[[button]]
name = "help"
pin = 5
press = { call = ["110", "111"], ring_s = 20, alarm = true, confirm = "1", say = "answer", no_answer = { play = "busy" } }

[[button]]
name = "key"
pin = 6
press = { mode = "away", set = "toggle" }

[modes]
away = {}
night = { hours = "22:00-06:30", volume = 40 }

[[sensor]]
name = "contact"
pin = 27

[[sensor]]
name = "motion"
pin = 22
opened = [
  { when = "away", output = "siren", pulse_ms = 5000, for_ms = 20000, cooldown_s = 60 },
  { when = "night", output = "porch", pulse_ms = 8000, for_ms = 500, cooldown_s = 60 },
]

[[schedule]]
name = "garden"
at = "03:00"
jitter_s = 600
run = { when = "not away", output = "valve", pulse_ms = 5000 }

[[reader]]
name = "keypad"
device = "keypad"
kind = "keypad"

[[code]]
name = "Anna"
reader = "keypad"
secret_file = "CODE_FILE"
hours = "06:00-23:00"
run = { output = "strike", pulse_ms = 3000 }

[[door]]
name = "front"
contact = "contact"
opened_by = "strike"
exit = "exit"
held = { play = "busy", repeat = 3, in_call = "wait" }

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 8000

[[output]]
name = "lamp"
kind = "led"
pin = 24
show = { ready = "off", calling = "blink", talking = "on", fault = "heartbeat" }

[[output]]
name = "alarm_lamp"
kind = "led"
pin = 25
show = { alarm = "on" }

[[output]]
name = "porch"
kind = "relay"
pin = 12
max_on_ms = 60000

[[output]]
name = "siren"
kind = "relay"
pin = 13
max_on_ms = 60000

[[output]]
name = "valve"
kind = "relay"
pin = 14
max_on_ms = 60000

[[answer]]
from = ["100"]
action = "answer"
after_ms = 500

[[answer]]
from = ["300"]
action = "answer"
after_ms = 200
mode = "announce"

[[answer]]
from = ["200"]
action = "ring"

[[dtmf]]
digits = "5#"
run = { output = "strike", pulse_ms = 3000 }

[[dtmf]]
digits = "5#"
from = ["100"]
run = { output = "strike", pulse_ms = 9000 }
"#;

/// The number of lines that a report shows of the story.
const STORY_TAIL: usize = 60;

/// How a door is configured. Every month takes the next door.
struct Door {
    config: Arc<Config>,
    width: usize,
}

/// The doors. They are made once, since their files are shared by all tests.
fn doors() -> &'static [Door] {
    static DOORS: LazyLock<Vec<Door>> = LazyLock::new(make_doors);
    &DOORS
}

fn make_doors() -> Vec<Door> {
    let password = std::env::temp_dir().join("callbox-sim-password");
    std::fs::write(&password, "secret").unwrap();
    let code = std::env::temp_dir().join("callbox-sim-code");
    let hash = callbox::code_hash::Work::new([7; 16]).unwrap().hash(RIGHT).unwrap();
    std::fs::write(&code, hash.to_string()).unwrap();
    let login = format!("login = \"door\"\npassword_file = \"{}\"", password.display());
    let by_day = "press = [{ hours = \"08:00-20:00\", call = [\"100\", \"101\"], ring_s = 30 }, \
                  { call = [\"101\", \"100\"], ring_s = 30 }]";
    let door = |credentials: &str, takeover: &str, order: &str, second: &str| {
        let text = format!(
            "[core]\nurl = \"https://core.example.com\"\n{credentials}\ntakeover = \"{takeover}\"\n{}\n[calls]\nring_timeout_s = 30\nsecond_call = \"{second}\"\n",
            match order {
                "by day" => REST.replace("press = { call = [\"100\", \"101\"], ring_s = 30, ORDER }", by_day),
                order => REST.replace("ORDER", &format!("order = \"{order}\"")),
            }
        );
        let text = text.replace("CODE_FILE", &code.display().to_string());
        let config = parse("/sim.toml", &text, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"));
        Door { config: Arc::new(config), width: if order == "parallel" { 2 } else { 1 } }
    };
    vec![
        door("token = \"t\"", "never", "by day", "reject"),
        door(&login, "once", "by day", "hold"),
        door("token = \"t\"", "always", "parallel", "reject"),
        door(&login, "never", "serial", "replace"),
        door("token = \"t\"", "never", "serial", "mix"),
    ]
}

pub struct Months {
    doors: &'static [Door],
    seed: u64,
}

/// How a month went.
pub struct Outcome {
    pub violation: Option<Violation>,
    pub figures: Figures,
    pub story: Vec<String>,
    pub hash: u64,
}

impl Months {
    pub fn new(seed: u64) -> Self {
        Self { doors: doors(), seed }
    }

    fn seed_of(&self, index: u64) -> u64 {
        callbox::core::Random::new(self.seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15)).next_u64()
    }

    /// Runs a month; its story is kept if `tell` is set.
    pub fn run(&self, index: u64, tell: bool) -> Outcome {
        self.run_plan(index, month(self.seed_of(index)), tell)
    }

    fn run_plan(&self, index: u64, plan: Vec<Planned>, tell: bool) -> Outcome {
        let door = &self.doors[usize::try_from(index).unwrap_or(0) % self.doors.len()];
        let mut world = World::new(Arc::clone(&door.config), door.width, self.seed_of(index), plan, tell);
        // Leaves half an hour for the recovery from the last fault.
        let violation = world.run(MONTH_MS + 1_800_000);
        Outcome { violation, figures: world.figures, story: world.story().to_vec(), hash: world.hash() }
    }

    /// The fewest stimuli that break the same rule (delta debugging, Zeller 1999).
    fn shortest(&self, index: u64, rule: &str) -> Vec<Planned> {
        let fails = |plan: &[Planned]| {
            self.run_plan(index, plan.to_vec(), false).violation.is_some_and(|violation| violation.rule == rule)
        };
        let mut plan = month(self.seed_of(index));
        let mut pieces = 2;
        while plan.len() > 1 {
            let size = plan.len().div_ceil(pieces);
            let without = (0..pieces).map(|piece| {
                let (start, end) = ((piece * size).min(plan.len()), ((piece + 1) * size).min(plan.len()));
                [&plan[..start], &plan[end..]].concat()
            });
            match without.into_iter().find(|shorter| shorter.len() < plan.len() && fails(shorter)) {
                Some(shorter) => {
                    plan = shorter;
                    pieces = (pieces - 1).max(2);
                }
                None if size == 1 => break,
                None => pieces = (pieces * 2).min(plan.len()),
            }
        }
        plan
    }

    /// What a person needs to understand a failing month.
    pub fn report(&self, index: u64) -> String {
        let whole = self.run(index, true);
        let Some(violation) = whole.violation else {
            return format!("this month breaks no rule. The end of its story:\n{}", end_of(&whole.story));
        };
        let plan = self.shortest(index, violation.rule);
        let told = self.run_plan(index, plan.clone(), true);
        let what = told.violation.unwrap_or(violation);
        let stimuli: Vec<String> =
            plan.iter().map(|planned| format!("  {:>11} ms  {:?}", planned.at_ms, planned.what)).collect();
        format!(
            "\nBROKEN: {}: {}\n\nThe stimuli that are needed ({} of the month's):\n{}\n\nThe end of the story:\n{}\n\nTo run it again, for example under a debugger: SEED={} MONTH={index} make sim\n",
            what.rule,
            what.what,
            plan.len(),
            stimuli.join("\n"),
            end_of(&told.story),
            self.seed,
        )
    }
}

/// The end of a story, without what repeats in every idle stretch: keepalives and the warm peer connection.
fn end_of(story: &[String]) -> String {
    let idle = [
        "Keepalive",
        "LocalCandidate",
        "CandidatesComplete",
        "IceTrickle",
        "Received",
        ", Offer)",
        ", Close)",
        "LocalOffer",
        "-> Tick",
    ];
    let lines: Vec<&str> =
        story.iter().map(String::as_str).filter(|line| !idle.iter().any(|word| line.contains(word))).collect();
    lines[lines.len().saturating_sub(STORY_TAIL)..].join("\n")
}
