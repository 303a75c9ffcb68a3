//! A station, and checks of what must always hold.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use callbox::config::{Config, OutputIndex, parse};
use callbox::core::*;
use callbox::signaling::*;

const HOUSE: &str = r#"
[core]
url = ["https://one.example.com", "https://two.example.com"]
token = "t"

[[button]]
name = "bell"
pin = 17
press = { call = ["100", "101"], ring_s = 30 }
long_press = { hangup = "all" }

[[sensor]]
name = "door"
pin = 27
opened = { hangup = "all", after_ms = 5000 }

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 8000

[[answer]]
from = ["100", "2*"]
action = "answer"
after_ms = 500

[[dtmf]]
digits = "5#"
run = { output = "strike", pulse_ms = 3000 }

[calls]
second_call = "hold"
"#;

pub static CONFIG: LazyLock<Arc<Config>> =
    LazyLock::new(|| Arc::new(parse("/fuzz.toml", HOUSE, &BTreeMap::new()).expect("the house is valid")));

/// A station, and checks of what must always hold.
pub struct Door {
    pub station: Station,
    now_ms: u64,
    strike_on_since: Option<u64>,
    /// Whether the newest input may open the door: it is a digit or a command.
    may_open: bool,
}

impl Door {
    pub fn new() -> Self {
        let station = Station::new(Arc::clone(&CONFIG), 7, 1, Now { at: Time(0), local: None });
        let mut door = Self { station, now_ms: 0, strike_on_since: None, may_open: false };
        door.input(Input::Tick);
        door
    }

    pub fn registered() -> Self {
        let mut door = Self::new();
        door.input(Input::Socket(SocketEvent::Opened { local: None }));
        let state = r#"{"handshake":"state","keepalive_interval":30000,"timestamp":0,
            "registration":{"status":"registered"},"lines":[null,null]}"#;
        door.frame(state);
        door
    }

    pub fn frame(&mut self, text: &str) {
        let event = match ServerMessage::parse(text) {
            Ok(message) => SocketEvent::Message(Box::new(message)),
            Err(error) => SocketEvent::BadFrame(error),
        };
        self.input(Input::Socket(event));
    }

    pub fn input(&mut self, input: Input) {
        self.may_open = matches!(&input, Input::Media(_, MediaEvent::Digit(_)) | Input::Command(..));
        self.station.handle(Now { at: Time(self.now_ms), local: None }, input);
        let mut effects = 0;
        while let Some(effect) = self.station.poll_effect() {
            effects += 1;
            assert!(effects < 4096, "one input has too many effects");
            self.effect(&effect);
        }
        let [transactions, delayed, hunts, _] = self.station.backlog();
        assert!(transactions <= 96 && delayed <= 64 && hunts <= 17, "a queue exceeds its bound");
        if let Some(since) = self.strike_on_since {
            assert!(self.now_ms <= since + 8_000, "the strike is on for too long");
        }
    }

    pub fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Drive(OutputIndex(0), Drive::On) => {
                assert!(self.may_open, "the strike opens without being asked");
                self.strike_on_since.get_or_insert(self.now_ms);
            }
            Effect::Drive(OutputIndex(0), _) => self.strike_on_since = None,
            Effect::Scene(scene) if scene.calls.iter().any(|call| call.microphone) => {
                let up = self.station.status().lines.iter().any(|line| line.state == CallState::Established);
                assert!(up, "the microphone is open without a call");
            }
            _ => {}
        }
    }

    pub fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        let mut ticks = 0;
        while let Some(deadline) = self.station.next_deadline().filter(|deadline| deadline.at.0 <= end) {
            self.now_ms = self.now_ms.max(deadline.at.0);
            self.input(Input::Tick);
            ticks += 1;
            assert!(ticks < 20_000, "the core never comes to rest");
        }
        self.now_ms = end;
    }

    /// Whatever the inputs were, every line is idle in the end.
    pub fn rests(mut self) {
        self.input(Input::Shutdown);
        let end = self.now_ms + 120_000;
        while !self.station.is_at_rest() && self.now_ms < end {
            self.pass(1_000);
        }
        assert!(self.station.is_at_rest(), "it never comes to rest: {:?}", self.station.status().lines);
    }
}
