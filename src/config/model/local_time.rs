//! Local time, for rules with `hours`.

use jiff::civil::{Date, date};
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

    pub fn of(date: Date) -> Self {
        use jiff::civil::Weekday as Day;
        match date.weekday() {
            Day::Monday => Self::Monday,
            Day::Tuesday => Self::Tuesday,
            Day::Wednesday => Self::Wednesday,
            Day::Thursday => Self::Thursday,
            Day::Friday => Self::Friday,
            Day::Saturday => Self::Saturday,
            Day::Sunday => Self::Sunday,
        }
    }

    pub fn yesterday(self) -> Weekday {
        let index = (self as usize + 6) % 7;
        Self::ALL.get(index).copied().unwrap_or(self)
    }
}

/// Local time of the station, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTime {
    pub date: Date,
    /// Minutes since midnight, 0 to 1439.
    pub minute_of_day: u16,
}

impl LocalTime {
    /// A moment of a certain week, for trials and tests: that of Monday, 23 November 2026.
    pub fn in_some_week(weekday: Weekday, minute_of_day: u16) -> Self {
        let monday = date(2026, 11, 23);
        let days = (0..7).scan(monday, |day, _| {
            let today = *day;
            *day = day.tomorrow().unwrap_or(monday);
            Some(today)
        });
        Self {
            date: days.zip(Weekday::ALL).find(|(_, day)| *day == weekday).map_or(monday, |(day, _)| day),
            minute_of_day,
        }
    }

    pub fn weekday(self) -> Weekday {
        Weekday::of(self.date)
    }
}
