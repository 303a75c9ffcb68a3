//! The announcement of a station to Home Assistant (Home Assistant, "MQTT discovery"): a retained message for each thing.

use serde_json::{Value, json};

use super::entities::{Entity, What};
use super::topics::Topics;
use crate::core::Gesture;

/// The words of `CallState` at the broker.
pub(super) const CALL_STATES: [&str; 7] = ["idle", "dialing", "alerting", "incoming", "established", "held", "ending"];

/// The event type of a gesture. A doorbell of Home Assistant has the type `ring`.
pub(super) fn event_type(gesture: Gesture) -> &'static str {
    match gesture {
        Gesture::Press => "ring",
        Gesture::Long => "long",
        Gesture::Double => "double",
    }
}

/// The topic and the message that announce a thing; `None` if nothing is to be announced.
pub(super) fn announcement(entity: &Entity, topics: &Topics, identifier: &str) -> Option<(String, Value)> {
    let discovery = topics.discovery.as_ref()?;
    let (component, fields) = component(entity, topics);
    let topic = format!("{discovery}/{component}/{}/{}/config", topics.id, entity.topic);
    let mut message = json!({
        "name": name(&entity.what),
        "unique_id": format!("{}:{}", topics.id, entity.topic),
        "availability_topic": topics.availability(),
        "qos": 1,
        "device": {
            "identifiers": [topics.id],
            "name": identifier,
            "manufacturer": "callbox",
            "model": "Intercom station",
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": { "name": "callbox", "sw_version": env!("CARGO_PKG_VERSION") },
    });
    if let (Some(message), Value::Object(fields)) = (message.as_object_mut(), fields) {
        message.extend(fields);
    }
    Some((topic, message))
}

/// What Home Assistant makes of a thing, with the fields of that component.
fn component(entity: &Entity, topics: &Topics) -> (&'static str, Value) {
    let state = topics.state(&entity.topic);
    let set = topics.set(&entity.topic);
    match &entity.what {
        What::Button { .. } => {
            // All of them, since a reload may give a button a further gesture.
            let types = [Gesture::Press, Gesture::Long, Gesture::Double].map(event_type);
            let event = topics.event(&entity.topic);
            ("event", json!({ "state_topic": event, "device_class": "doorbell", "event_types": types }))
        }
        What::Sensor { class, .. } => ("binary_sensor", json!({ "state_topic": state, "device_class": class.word() })),
        What::Door { .. } => ("binary_sensor", json!({ "state_topic": state, "device_class": "door" })),
        What::Relay { momentary: true, .. } => ("button", json!({ "command_topic": set, "payload_press": "PRESS" })),
        What::Relay { momentary: false, .. } => ("switch", json!({ "state_topic": state, "command_topic": set })),
        What::Mode { .. } => {
            ("switch", json!({ "state_topic": state, "command_topic": set, "icon": "mdi:home-clock" }))
        }
        What::Mute => ("switch", json!({ "state_topic": state, "command_topic": set, "icon": "mdi:microphone-off" })),
        What::Volume => (
            "number",
            json!({
                "state_topic": state, "command_topic": set, "min": 0, "max": 100, "step": 1,
                "unit_of_measurement": "%", "icon": "mdi:volume-high",
            }),
        ),
        What::CallState => (
            "sensor",
            json!({ "state_topic": state, "device_class": "enum", "options": CALL_STATES, "icon": "mdi:phone" }),
        ),
        What::LastCaller => ("sensor", json!({ "state_topic": state, "icon": "mdi:account-voice" })),
        What::LastEnd => ("sensor", json!({ "state_topic": state, "icon": "mdi:phone-hangup" })),
        What::Connectivity => ("binary_sensor", diagnostic(&state, "connectivity")),
        What::Problem => ("binary_sensor", diagnostic(&state, "problem")),
    }
}

fn diagnostic(state: &str, class: &str) -> Value {
    json!({ "state_topic": state, "device_class": class, "entity_category": "diagnostic" })
}

/// What people read.
fn name(what: &What) -> String {
    match what {
        What::Button { name } | What::Sensor { name, .. } | What::Relay { name, .. } => title(name),
        What::Door { name } => format!("Door {name}"),
        What::Mode { name } => format!("Mode {name}"),
        What::Mute => "Microphone off".into(),
        What::Volume => "Volume".into(),
        What::CallState => "Call".into(),
        What::LastCaller => "Last caller".into(),
        What::LastEnd => "Last end".into(),
        What::Connectivity => "Session".into(),
        What::Problem => "Fault".into(),
    }
}

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn announced(topic: &str, what: What) -> (String, Map<String, Value>) {
        let topics = Topics::new("callbox", "Front", Some("homeassistant".into()));
        let entity = Entity { topic: topic.into(), what };
        let (topic, message) = announcement(&entity, &topics, "Front").unwrap();
        (topic, message.as_object().cloned().unwrap())
    }

    #[test]
    fn a_bell_is_a_doorbell_and_a_strike_is_a_button_that_presses() {
        let (topic, bell) = announced("bell", What::Button { name: "bell".into() });
        assert_eq!(topic, "homeassistant/event/front/bell/config");
        assert_eq!(bell["event_types"], json!(["ring", "long", "double"]));
        assert_eq!(
            (&bell["device_class"], &bell["state_topic"]),
            (&json!("doorbell"), &json!("callbox/front/bell/event"))
        );
        assert_eq!(
            (&bell["availability_topic"], &bell["unique_id"]),
            (&json!("callbox/front/availability"), &json!("front:bell"))
        );
        let (topic, strike) = announced("strike", What::Relay { name: "strike".into(), momentary: true });
        assert_eq!(topic, "homeassistant/button/front/strike/config");
        assert_eq!((&strike["command_topic"], &strike["name"]), (&json!("callbox/front/strike/set"), &json!("Strike")));
        let (topic, _) = announced("gate", What::Relay { name: "gate".into(), momentary: false });
        assert_eq!(topic, "homeassistant/switch/front/gate/config");
    }

    #[test]
    fn without_discovery_nothing_is_announced() {
        let topics = Topics::new("callbox", "Front", None);
        assert!(announcement(&Entity { topic: "mute".into(), what: What::Mute }, &topics, "Front").is_none());
    }
}
