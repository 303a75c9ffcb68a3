//! `callbox hooks test`: sends each hook a request that says so, once.

use std::time::Instant;

use super::delivery::Delivery;
use crate::config::Config;
use crate::control::EventRecord;
use crate::core::{By, Fact};
use crate::signaling::Connector;
use crate::station::wall_clock_ms;

/// What the receivers are told.
const TEXT: &str = "callbox hooks test";

/// Tries all hooks, one after the other, and hands the result of each to `tell`: the words for a person. Returns whether
/// all receivers have taken their request.
///
/// # Errors
///
/// `core.ca_file` cannot be used.
pub async fn test(config: &Config, by: By, mut tell: impl FnMut(Result<String, String>)) -> Result<bool, String> {
    let connector = Connector::to_receiver(&config.core).map_err(|error| error.to_string())?;
    let record = EventRecord { at_ms: wall_clock_ms(), fact: Fact::Custom { text: TEXT.into(), by } };
    let body = serde_json::to_vec(&record).map_err(|error| error.to_string())?;
    let mut all_taken = true;
    for (index, hook) in config.hooks.iter().enumerate() {
        let name = format!("hook[{index}] to {}", hook.url.host_str().unwrap_or_default());
        let began = Instant::now();
        let result = Delivery::new(hook, connector.clone()).try_once(body.clone().into()).await;
        all_taken &= result.is_ok();
        tell(match result {
            Ok(status) => Ok(format!("{name}: it answers {status} in {} ms", began.elapsed().as_millis())),
            Err(problem) => Err(format!("{name}: {problem}")),
        });
    }
    Ok(all_taken)
}
