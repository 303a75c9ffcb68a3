//! The topics of a station.

/// The topics of a station: below `PREFIX/ID`, and below `DISCOVERY` for Home Assistant.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    base: String,
    /// The station's identifier as a level of topics.
    pub(super) id: String,
    pub(super) discovery: Option<String>,
}

impl Topics {
    pub(super) fn new(prefix: &str, identifier: &str, discovery: Option<String>) -> Self {
        let id = level(identifier);
        Self { base: format!("{prefix}/{id}"), id, discovery }
    }

    pub(super) fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    pub(super) fn state(&self, name: &str) -> String {
        format!("{}/{name}/state", self.base)
    }

    /// Where presses appear.
    pub(super) fn event(&self, name: &str) -> String {
        format!("{}/{name}/event", self.base)
    }

    pub(super) fn set(&self, name: &str) -> String {
        format!("{}/{name}/set", self.base)
    }

    pub(super) fn result(&self, name: &str) -> String {
        format!("{}/{name}/result", self.base)
    }

    /// A filter for all commands (MQTT 3.1.1, section 4.7).
    pub(super) fn commands(&self) -> String {
        self.set("+")
    }

    /// Which thing a command is for.
    pub(super) fn commanded<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(self.base.as_str())?.strip_prefix('/')?.strip_suffix("/set")
    }

    /// Where Home Assistant says that it has started. The topic has a setting of its own there, so it may be the usual
    /// one although the discovery topics are not.
    pub(super) fn home_assistant(&self) -> Vec<String> {
        let Some(discovery) = &self.discovery else { return Vec::new() };
        let mut topics = vec!["homeassistant/status".to_owned(), format!("{discovery}/status")];
        topics.dedup();
        topics
    }
}

/// A text as a level of a topic: `a` to `z`, `0` to `9`, `_` and `-`.
fn level(text: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    let letters = text.chars().map(|letter| letter.to_ascii_lowercase());
    letters.map(|letter| if allowed(letter) { letter } else { '_' }).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_becomes_one_level_and_a_command_names_one_thing() {
        let topics = Topics::new("house/doors", "Front Door/+1", None);
        assert_eq!(topics.id, "front_door__1");
        assert_eq!(topics.commanded("house/doors/front_door__1/strike/set"), Some("strike"));
        for other in ["house/doors/front_door__1/strike/state", "house/doors/front_door__12/strike/set", "strike/set"] {
            assert_eq!(topics.commanded(other), None, "{other}");
        }
    }
}
