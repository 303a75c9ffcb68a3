//! A setting that is changed for a while. After that, the next visitor finds the station as it is configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::api::Lasting;
use crate::core::time::Time;

/// A change that is made while there is no call lasts this long.
const WITHOUT_A_CALL: Duration = Duration::from_secs(60);

/// How long a change lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Until {
    /// Until the next change.
    ToldOtherwise,
    /// Until there is no call any more.
    EndOfCalls,
    At(Time),
}

impl Until {
    /// For a change that is made now. `keep`: it lasts until the next change.
    pub(super) fn new(keep: bool, in_a_call: bool, now: Time) -> Self {
        match (keep, in_a_call) {
            (true, _) => Self::ToldOtherwise,
            (false, true) => Self::EndOfCalls,
            (false, false) => Self::At(now + WITHOUT_A_CALL),
        }
    }

    /// The same, as people read it.
    pub(super) fn lasting(self) -> Lasting {
        match self {
            Self::ToldOtherwise => Lasting::UntilToldOtherwise,
            Self::EndOfCalls => Lasting::UntilTheEndOfTheCall,
            Self::At(_) => Lasting::ForAMinute,
        }
    }
}

/// A setting: the value of the configuration, or another value for a while.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Setting<T> {
    changed: Option<(T, Until)>,
}

impl<T: Copy + PartialEq> Setting<T> {
    pub(super) fn value(&self, configured: T) -> T {
        self.changed.map_or(configured, |(value, _)| value)
    }

    /// Sets another value for a while. The configured value ends the change.
    pub(super) fn change(&mut self, value: T, until: Until, configured: T) {
        self.changed = (value != configured).then_some((value, until));
    }

    pub(super) fn reset(&mut self) {
        self.changed = None;
    }

    /// How long the value stays different from the configured one; `None` if it is the configured one.
    pub(super) fn lasting(&self) -> Option<Lasting> {
        self.changed.map(|(_, until)| until.lasting())
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self.changed {
            Some((_, Until::At(at))) => Some(at),
            _ => None,
        }
    }

    /// Ends the change if its time is over.
    pub(super) fn settle(&mut self, in_a_call: bool, now: Time) {
        let over = match self.changed {
            Some((_, Until::EndOfCalls)) => !in_a_call,
            Some((_, Until::At(at))) => now >= at,
            Some((_, Until::ToldOtherwise)) | None => false,
        };
        if over {
            self.changed = None;
        }
    }
}
