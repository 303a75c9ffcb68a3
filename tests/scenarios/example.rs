//! The examples of docs/examples, with the files that they name.

use std::collections::BTreeMap;
use std::path::Path;

use callbox::config::{ButtonIndex, Config, Playable, PromptIndex, load_reviewed};
use callbox::core::*;
use callbox::signaling::{EventBody, Request, RequestBody};

use crate::door::*;

/// A door that is configured as an example is.
pub struct Example {
    pub door: Door,
    config: Config,
}

/// Makes the files that an example names, and reads it: without an error and without a warning.
fn config(name: &str) -> Config {
    let text = std::fs::read_to_string(format!("{}/docs/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let quoted = text.split('"').skip(1).step_by(2);
    let hash = callbox::code_hash::Work::new([7; 16]).unwrap();
    for (index, file) in quoted.filter(|text| text.contains('/') && !text.contains("://")).enumerate() {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if file.ends_with(".wav") {
            std::fs::copy(wav(2), &path).unwrap();
        } else {
            write_secret(&path, &hash.hash(&format!("code{index}")).unwrap().to_string());
        }
    }
    let file = folder.path().join("callbox.toml");
    std::fs::write(&file, text).unwrap();
    let (config, warnings) = load_reviewed(&file, &BTreeMap::new()).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    assert!(warnings.is_empty(), "{name}: {warnings:?}");
    config
}

fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Example {
    /// A station that is registered and idle, at this day and minute.
    pub fn new(name: &str, (year, month, day): (i16, i8, i8), hour: u16) -> Self {
        let config = config(name);
        let mut door = Door::configured(config.clone());
        door.local = Some(LocalTime { date: jiff::civil::date(year, month, day), minute_of_day: hour * 60 });
        door.connect();
        door.input(Input::Audio(AudioEvent::Ready));
        for index in 0..config.sensors.len() {
            let pin = Pin::Sensor(SensorIndex(index));
            door.input(Input::Level { pin, active: false, debounced: false });
        }
        door.sounds.clear();
        door.sent.clear();
        Self { door, config }
    }

    pub fn button(&mut self, name: &str, held_ms: u64) {
        let index = self.config.buttons.iter().position(|button| button.name == name).unwrap();
        let pin = Pin::Button(ButtonIndex(index));
        self.door.input(Input::Edge { pin, active: true });
        self.door.advance(held_ms);
        self.door.input(Input::Edge { pin, active: false });
        self.door.advance(600);
    }

    pub fn sensor(&mut self, name: &str, active: bool) {
        let index = self.config.sensors.iter().position(|sensor| sensor.name == name).unwrap();
        self.door.input(Input::Edge { pin: Pin::Sensor(SensorIndex(index)), active });
        self.door.advance(600);
    }

    /// Somebody types at a reader. The adapter finds the code of this holder.
    pub fn types(&mut self, reader: &str, text: &str, holder: Option<&str>) {
        let reader =
            callbox::config::ReaderIndex(self.config.readers.iter().position(|one| one.name == reader).unwrap());
        for symbol in text.chars() {
            let key = ReaderKey::Symbol(callbox::secret::DtmfDigit(symbol));
            self.door.input(Input::Key { reader, key });
        }
        self.door.input(Input::Key { reader, key: ReaderKey::Enter });
        let Some((check, _, codes)) = self.door.checks.pop() else { return };
        let of = |code: &callbox::config::CodeIndex| holder.is_some_and(|name| self.config.codes[code.0].name == name);
        let matched = codes.into_iter().filter(of).collect();
        self.door.input(Input::CodeChecked { check, matched });
        self.door.advance(100);
    }

    pub fn is_on(&self, output: &str) -> bool {
        let index = self.config.outputs.iter().position(|one| one.name == output).unwrap();
        self.door.drives.get(&index).is_some_and(|drive| *drive != Drive::Off)
    }

    /// The names of the prompts and sounds that were announced since the last time.
    pub fn played(&mut self) -> Vec<String> {
        let announced = std::mem::take(&mut self.door.announced);
        let name = |what: &Playable| match what {
            Playable::Prompt(PromptIndex(index)) => self.config.prompts[*index].name.clone(),
            Playable::Sound(sound) => sound.name().to_owned(),
        };
        announced.iter().flatten().map(|(what, _)| name(what)).collect()
    }

    /// The calls that go out now, acknowledged.
    pub fn called(&mut self) -> Vec<(String, Request)> {
        let requests = self.door.take("outgoing_call");
        requests.iter().for_each(|request| self.door.ack(request));
        let number = |request: Request| match &request.body {
            RequestBody::OutgoingCall { number, .. } => (number.to_string(), request),
            body => panic!("{body:?}"),
        };
        requests.into_iter().map(number).collect()
    }

    pub fn numbers(&mut self) -> Vec<String> {
        self.called().into_iter().map(|(number, _)| number).collect()
    }

    /// It rings, and nobody comes.
    pub fn nobody_comes(&mut self, request: &Request) {
        self.door.event_of(request, EventBody::Ringing {});
        self.door.hung_up(request, 480);
        self.door.advance(1_000);
    }
}
