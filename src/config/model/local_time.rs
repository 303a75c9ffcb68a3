//! Local time, for rules with `hours`.

use serde::{Deserialize, Serialize};

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// All days, from Monday.
    pub const ALL: [Weekday; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    pub fn yesterday(self) -> Weekday {
        let index = (self as usize + 6) % 7;
        Self::ALL.get(index).copied().unwrap_or(self)
    }
}

/// Local time of the station, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTime {
    pub weekday: Weekday,
    /// Minutes since midnight, 0 to 1439.
    pub minute_of_day: u16,
}
