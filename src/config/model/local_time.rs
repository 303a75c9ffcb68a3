//! Local time, as rules with `hours` need it.

use serde::{Deserialize, Serialize};

/// Day of the week, for rules with `hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Weekday {
    /// `Mo`
    Monday,
    /// `Tu`
    Tuesday,
    /// `We`
    Wednesday,
    /// `Th`
    Thursday,
    /// `Fr`
    Friday,
    /// `Sa`
    Saturday,
    /// `Su`
    Sunday,
}

impl Weekday {
    /// All of them, from Monday.
    pub const ALL: [Weekday; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// The day before.
    pub fn yesterday(self) -> Weekday {
        let index = (self as usize + 6) % 7;
        Self::ALL.get(index).copied().unwrap_or(self)
    }
}

/// Local time of the station, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTime {
    /// Day of the week.
    pub weekday: Weekday,
    /// Minutes since midnight, 0 to 1439.
    pub minute_of_day: u16,
}
