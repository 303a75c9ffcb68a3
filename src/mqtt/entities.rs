//! What a station has that a system of the house can show or move, each under a name of its own.

use crate::config::{Config, DeviceClass, OutputKind};

/// One thing at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    /// Its level in topics, unique in the station.
    pub(super) topic: String,
    pub(super) what: What,
}

/// What a thing is. The names are those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Button { name: String },
    Sensor { name: String, class: DeviceClass },
    Door { name: String },
    Relay { name: String, momentary: bool },
    Mode { name: String },
    Mute,
    Volume,
    CallState,
    LastCaller,
    LastEnd,
    Connectivity,
    Problem,
}

/// All things of a station.
#[derive(Debug, Clone)]
pub(super) struct Entities(Vec<Entity>);

impl Entities {
    pub(super) fn of(config: &Config) -> Self {
        let mut entities = Self(Vec::new());
        for output in &config.outputs {
            if let OutputKind::Relay { .. } = output.kind {
                let what = What::Relay { name: output.name.clone(), momentary: output.momentary };
                entities.add(&output.name, "output", what);
            }
        }
        for button in &config.buttons {
            entities.add(&button.name, "button", What::Button { name: button.name.clone() });
        }
        for sensor in &config.sensors {
            let what = What::Sensor { name: sensor.name.clone(), class: sensor.device_class };
            entities.add(&sensor.name, "sensor", what);
        }
        for door in &config.doors {
            entities.add(&door.name, "door", What::Door { name: door.name.clone() });
        }
        for mode in &config.modes {
            entities.add(&mode.name, "mode", What::Mode { name: mode.name.clone() });
        }
        let own = [
            ("mute", What::Mute),
            ("volume", What::Volume),
            ("call_state", What::CallState),
            ("last_caller", What::LastCaller),
            ("last_end", What::LastEnd),
            ("connectivity", What::Connectivity),
            ("problem", What::Problem),
        ];
        for (name, what) in own {
            entities.add(name, "station", what);
        }
        entities
    }

    /// Adds a thing under its own name. If another thing has that name, its kind is put before it.
    fn add(&mut self, name: &str, kind: &str, what: What) {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let name: String = name.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect();
        let longer = (0..).map(|further| format!("{kind}_{name}{}", "_".repeat(further)));
        let mut names = std::iter::once(name.clone()).chain(longer);
        if let Some(topic) = names.find(|name| self.find(name).is_none()) {
            self.0.push(Entity { topic, what });
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entity> {
        self.0.iter()
    }

    /// The thing of this level.
    pub(super) fn find(&self, topic: &str) -> Option<&Entity> {
        self.0.iter().find(|entity| entity.topic == topic)
    }

    /// The button of this name in the configuration.
    pub(super) fn button(&self, button: &str) -> Option<&Entity> {
        self.0.iter().find(|entity| matches!(&entity.what, What::Button { name } if name == button))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_of_the_same_name_are_told_apart_by_their_kind() {
        let text = "[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n\
                    [[button]]\nname = \"front\"\npin = 1\npress = { call = \"100\" }\n\
                    [[sensor]]\nname = \"leaf\"\npin = 2\n\
                    [[output]]\nname = \"front\"\npin = 3\nkind = \"relay\"\n\
                    [[output]]\nname = \"mute\"\npin = 4\nkind = \"relay\"\n\
                    [[output]]\nname = \"lamp\"\npin = 5\nkind = \"led\"\n\
                    [[door]]\nname = \"front\"\ncontact = \"leaf\"\nopened_by = [\"front\"]\n";
        let config =
            crate::config::parse("x.toml", text, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"));
        let entities = Entities::of(&config);
        let topics: Vec<&str> = entities.iter().map(|entity| entity.topic.as_str()).take(6).collect();
        assert_eq!(topics, ["front", "mute", "button_front", "leaf", "door_front", "station_mute"]);
    }
}
