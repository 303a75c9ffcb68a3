//! Decides what a running station takes over from a new configuration, and what waits for its next start.

use super::model::{Config, OutputKind, OutputPin};

/// Returns the configuration to go on with, and the keys whose change needs a restart.
///
/// Rules, times, volumes and the states that a lamp shows change at once. What an adapter got at its start does not
/// change.
pub fn reload(old: &Config, new: Config) -> (Config, Vec<&'static str>) {
    let mut waits = Vec::new();
    let mut config = new;
    // An adapter got each of these tables at its start.
    keep("[core]", &old.core, &mut config.core, &mut waits);
    keep("[media]", &old.media, &mut config.media, &mut waits);
    let volume = std::mem::replace(&mut config.audio.volume, old.audio.volume);
    keep("[audio]", &old.audio, &mut config.audio, &mut waits);
    config.audio.volume = volume;
    keep("[gpio]", &old.gpio, &mut config.gpio, &mut waits);
    keep("[sounds]", &old.sounds, &mut config.sounds, &mut waits);
    keep("[prompts]", &old.prompts, &mut config.prompts, &mut waits);
    if old.readers != config.readers {
        // Codes refer to readers by their index.
        keep("[[reader]]", &old.readers, &mut config.readers, &mut waits);
        keep("[[code]]", &old.codes, &mut config.codes, &mut waits);
    }
    keep("[control]", &old.control, &mut config.control, &mut waits);
    keep("[[hook]]", &old.hooks, &mut config.hooks, &mut waits);
    keep("[log]", &old.log, &mut config.log, &mut waits);
    let listens = |config: &Config| config.dtmf.iter().any(|rule| rule.in_band);
    if listens(&config) && !listens(old) {
        waits.push("in_band of [[dtmf]]");
    }
    if !same_wiring(old, &config) {
        // Actions refer to outputs and modes by their index, so they all stay as they were together with the wiring.
        waits.push(
            "pins of [[button]], [[sensor]] and [[output]], with their actions, [[door]], [[schedule]], [[dtmf]], [[answer]] and [modes]",
        );
        config.buttons.clone_from(&old.buttons);
        config.sensors.clone_from(&old.sensors);
        config.outputs.clone_from(&old.outputs);
        config.dtmf.clone_from(&old.dtmf);
        config.modes.clone_from(&old.modes);
        config.doors.clone_from(&old.doors);
        config.schedules.clone_from(&old.schedules);
        config.answers.clone_from(&old.answers);
        config.codes.clone_from(&old.codes);
    }
    (config, waits)
}

fn keep<T: Clone + PartialEq>(key: &'static str, old: &T, new: &mut T, waits: &mut Vec<&'static str>) {
    if old != new {
        waits.push(key);
        new.clone_from(old);
    }
}

fn same_wiring(old: &Config, new: &Config) -> bool {
    let buttons = |config: &Config| -> Vec<_> {
        config.buttons.iter().map(|button| (button.name.clone(), button.input.clone())).collect()
    };
    let sensors = |config: &Config| -> Vec<_> {
        config.sensors.iter().map(|sensor| (sensor.name.clone(), sensor.input.clone(), sensor.device_class)).collect()
    };
    let wired = |output: &OutputPin| {
        let is_relay = matches!(output.kind, OutputKind::Relay { .. });
        (output.name.clone(), output.pin.clone(), output.active, is_relay, output.pulse, output.momentary)
    };
    let outputs = |config: &Config| -> Vec<_> { config.outputs.iter().map(wired).collect() };
    buttons(old) == buttons(new) && sensors(old) == sensors(new) && outputs(old) == outputs(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const OLD: &str = "[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n\
                       [audio]\nvolume = 80\n\
                       [[button]]\nname = \"bell\"\npin = 17\npress = { call = \"100\" }\n";

    fn config(text: &str) -> Config {
        parse("callbox.toml", text, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn rules_and_volumes_change_live() {
        let new = OLD.replace("\"100\"", "\"200\"").replace("volume = 80", "volume = 40");
        let (merged, waits) = reload(&config(OLD), config(&new));
        assert_eq!(waits, Vec::<&str>::new());
        assert!(merged == config(&new));
    }

    #[test]
    fn listening_for_tones_begins_with_the_next_start_and_that_is_reported() {
        let code = "[[dtmf]]\ndigits = \"5#\"\nrun = { play = \"door_open\" }\n";
        let (with, without) = (format!("{OLD}{code}in_band = true\n"), format!("{OLD}{code}"));
        assert_eq!(reload(&config(&without), config(&with)).1, ["in_band of [[dtmf]]"]);
        assert_eq!(reload(&config(&with), config(&without)).1, Vec::<&str>::new());
    }

    #[test]
    fn what_an_adapter_was_started_with_stays_and_is_named() {
        let new = OLD
            .replace("volume = 80", "volume = 40\ncapture = \"hw:1\"")
            .replace("pin = 17", "pin = 18")
            .replace("core.example.com", "other.example.com");
        let (merged, waits) = reload(&config(OLD), config(&new));
        assert_eq!(waits.len(), 3, "{waits:?}");
        assert!(waits[0] == "[core]" && waits[1] == "[audio]" && waits[2].contains("[[button]]"));
        assert_eq!(merged.audio.volume, 40);
        assert!(merged.core == config(OLD).core && merged.buttons == config(OLD).buttons);
    }
}
