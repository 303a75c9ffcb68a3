//! What a sensor senses.

use serde::{Deserialize, Serialize};

/// What a sensor senses, by the classes that Home Assistant has for a `binary_sensor`. Its open state is "on" there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceClass {
    #[default]
    Door,
    CarbonMonoxide,
    Cold,
    GarageDoor,
    Gas,
    Heat,
    Light,
    Lock,
    Moisture,
    Motion,
    Moving,
    Occupancy,
    Opening,
    Power,
    Presence,
    Problem,
    Safety,
    Smoke,
    Sound,
    Tamper,
    Vibration,
    Window,
}

impl DeviceClass {
    /// All of them, with their words in `device_class`.
    pub const WORDS: [(&'static str, Self); 22] = [
        ("door", Self::Door),
        ("carbon_monoxide", Self::CarbonMonoxide),
        ("cold", Self::Cold),
        ("garage_door", Self::GarageDoor),
        ("gas", Self::Gas),
        ("heat", Self::Heat),
        ("light", Self::Light),
        ("lock", Self::Lock),
        ("moisture", Self::Moisture),
        ("motion", Self::Motion),
        ("moving", Self::Moving),
        ("occupancy", Self::Occupancy),
        ("opening", Self::Opening),
        ("power", Self::Power),
        ("presence", Self::Presence),
        ("problem", Self::Problem),
        ("safety", Self::Safety),
        ("smoke", Self::Smoke),
        ("sound", Self::Sound),
        ("tamper", Self::Tamper),
        ("vibration", Self::Vibration),
        ("window", Self::Window),
    ];

    /// Its word in `device_class`.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, class)| *class == self).map_or("", |(word, _)| word)
    }
}
