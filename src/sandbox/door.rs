//! The built-in station of the sandbox: a door with everything that a front panel can show.

use std::collections::BTreeMap;

use super::accounts::{Account, default_accounts};
use crate::config::{Action, Config, ConfigErrors, NumberPattern, parse};

/// The number of the station's account.
pub const STATION_NUMBER: &str = "door";

/// The configuration of the built-in station.
const DEFAULT: &str = include_str!("station.toml");

/// The configuration of the built-in station. Its bell calls the accounts in turn, and each of them may open the
/// strike. Of the default accounts the bell calls only the first two.
pub fn default_station(accounts: &[Account]) -> Result<Config, ConfigErrors> {
    let mut config = parse("station.toml (built in)", DEFAULT, &BTreeMap::new())?;
    if accounts != default_accounts() {
        let numbers: Vec<String> =
            accounts.iter().map(|account| account.number.clone()).filter(|number| number != STATION_NUMBER).collect();
        let steps =
            config.buttons.iter_mut().flat_map(|button| &mut button.press.rules).flat_map(|rule| &mut rule.steps);
        for step in steps {
            if let Action::Call(call) = &mut step.action
                && !numbers.is_empty()
            {
                call.numbers = numbers.iter().map(|number| number.as_str().into()).collect();
            }
        }
        for rule in &mut config.dtmf {
            rule.from = Some(numbers.iter().cloned().map(NumberPattern::Exact).collect());
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_station_is_a_valid_configuration() {
        let config = super::default_station(&super::default_accounts()).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.buttons.len(), 2);
    }

    #[test]
    fn in_a_household_the_bell_rings_its_accounts_and_they_may_open() {
        let account = |number: &str| super::Account { number: number.into(), name: "A".into(), password: "p".into() };
        let accounts = [account("201"), account("door"), account("202")];
        let config = super::default_station(&accounts).unwrap_or_else(|errors| panic!("{errors}"));
        let text = format!("{:?}", config.buttons[0].press);
        assert!(text.contains(r#"["201", "202"]"#), "{text}");
        assert!(config.dtmf[0].from.as_ref().unwrap().iter().any(|pattern| pattern.matches("202")));
    }
}
