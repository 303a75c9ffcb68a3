//! Waits that differ between stations, so that two hundred of them do not ask a server at the same moment.

use crate::core::Random;

/// A sequence for the waits of one task, with a seed of the system.
pub(crate) fn random_waits() -> Random {
    let mut seed = [0; 8];
    // Without random numbers the waits are the same everywhere.
    let _ = getrandom::fill(&mut seed);
    Random::new(u64::from_ne_bytes(seed))
}
