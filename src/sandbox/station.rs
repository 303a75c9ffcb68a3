//! The station that comes with the sandbox: a door with everything that a front panel can show.

use std::collections::BTreeMap;

use crate::config::{Config, ConfigErrors, parse};

/// The number of the station's account.
pub const STATION_NUMBER: &str = "door";

/// The configuration of the sandbox's station.
const DEFAULT: &str = include_str!("station.toml");

/// The built-in station.
pub fn default_station() -> Result<Config, ConfigErrors> {
    parse("station.toml (built in)", DEFAULT, &BTreeMap::new())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_station_is_a_valid_configuration() {
        let config = super::default_station().unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.buttons.len(), 2);
    }
}
