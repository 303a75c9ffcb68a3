//! `[[schedule]]`: what happens at certain times by itself.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};

use super::action::Trigger;
use super::calendar::Calendar;
use super::hours::Days;
use super::local_time::LocalTime;

/// The furthest day on which the next moment is looked for. Each combination of day and holiday comes within a year.
const HORIZON_DAYS: usize = 400;

/// Something that runs at certain times (docs/configuration.md, "`[[schedule]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Unique among schedules.
    pub name: String,
    pub when: Occurrences,
    /// Each run is up to this much later, so that not all stations do it at once.
    pub jitter: Duration,
    pub run: Trigger,
}

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occurrences {
    /// `every = "72h"`: so long after the last time.
    Every(Duration),
    /// `at = "Mo 03:00"`
    At(Moments),
}

/// A time of day on certain days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moments {
    days: Days,
    minute_of_day: u16,
    text: String,
}

/// Why a text cannot be read as the times of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OccurrencesError {
    #[error("is not a length of time; write for example \"72h\", \"15m\" or \"3d\"")]
    Length,
    #[error("is not a moment; write for example \"03:00\", \"Mo 03:00\" or \"Mo-Fr,PH 03:00\"")]
    Moment,
}

impl Occurrences {
    /// The first time after another one at which the schedule is due, in local time; `None` if there is none.
    pub fn next_after(&self, after: DateTime, calendar: &Calendar) -> Option<DateTime> {
        match self {
            Self::Every(length) => after.checked_add(SignedDuration::try_from(*length).ok()?).ok(),
            Self::At(moments) => moments.next_after(after, calendar),
        }
    }

    /// Reads `72h`, `15m`, `30s` or `3d`.
    ///
    /// # Errors
    ///
    /// It is not such a length, or nothing.
    pub fn every(text: &str) -> Result<Self, OccurrencesError> {
        let text = text.trim();
        let unit = text.chars().last().ok_or(OccurrencesError::Length)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(OccurrencesError::Length),
        };
        let number = text.strip_suffix(unit).ok_or(OccurrencesError::Length)?;
        let is_number = !number.is_empty() && number.len() <= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = if is_number { number.parse().ok() } else { None }.ok_or(OccurrencesError::Length)?;
        if number == 0 { Err(OccurrencesError::Length) } else { Ok(Self::Every(Duration::from_secs(number * seconds))) }
    }
}

impl std::fmt::Display for Occurrences {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(length) => match length.as_secs() {
                seconds if seconds % 3600 == 0 => write!(formatter, "every {} h", seconds / 3600),
                seconds if seconds % 60 == 0 => write!(formatter, "every {} min", seconds / 60),
                seconds => write!(formatter, "every {seconds} s"),
            },
            Self::At(moments) => write!(formatter, "at {}", moments.text),
        }
    }
}

impl Moments {
    fn next_after(&self, after: DateTime, calendar: &Calendar) -> Option<DateTime> {
        let (hour, minute) = (i8::try_from(self.minute_of_day / 60).ok()?, i8::try_from(self.minute_of_day % 60).ok()?);
        let time = Time::new(hour, minute, 0, 0).ok()?;
        let days = after.date().series(1.day()).take(HORIZON_DAYS);
        let mut moments = days.filter(|date| self.days.include(*date, calendar)).map(|date| date.to_datetime(time));
        moments.find(|moment| *moment > after)
    }
}

impl FromStr for Moments {
    type Err = OccurrencesError;

    fn from_str(text: &str) -> Result<Self, OccurrencesError> {
        let (days, time) = text.trim().rsplit_once(' ').map_or((None, text.trim()), |(days, time)| (Some(days), time));
        let days = days.map_or(Some(Days::all()), |days| Days::parse(days.trim()));
        let minute_of_day = super::hours::parse_minute(time).filter(|minute| *minute < 1440);
        match (days, minute_of_day) {
            (Some(days), Some(minute_of_day)) => Ok(Self { days, minute_of_day, text: text.trim().to_owned() }),
            _ => Err(OccurrencesError::Moment),
        }
    }
}

impl LocalTime {
    /// The same as one value.
    pub fn date_time(self) -> DateTime {
        let (hour, minute) = (self.minute_of_day / 60, self.minute_of_day % 60);
        let parts = i8::try_from(hour).ok().zip(i8::try_from(minute).ok());
        let time = parts.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok()).unwrap_or(Time::midnight());
        self.date.to_datetime(time)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn next(text: &str, after: DateTime) -> Option<DateTime> {
        let calendar = Calendar { holidays: vec!["12-25".parse().unwrap()] };
        Occurrences::At(text.parse().unwrap()).next_after(after, &calendar)
    }

    #[test]
    fn the_next_moment_is_found_on_the_days_that_it_names() {
        // A Friday.
        let now = date(2026, 11, 27).at(12, 0, 0, 0);
        assert_eq!(next("03:00", now), Some(date(2026, 11, 28).at(3, 0, 0, 0)));
        assert_eq!(next("12:01", now), Some(date(2026, 11, 27).at(12, 1, 0, 0)));
        assert_eq!(next("12:00", now), Some(date(2026, 11, 28).at(12, 0, 0, 0)), "it is after that");
        assert_eq!(next("Mo 03:00", now), Some(date(2026, 11, 30).at(3, 0, 0, 0)));
        assert_eq!(next("PH 08:30", now), Some(date(2026, 12, 25).at(8, 30, 0, 0)));
    }

    #[test]
    fn lengths_are_read_with_their_unit() {
        for (text, seconds) in [("72h", 259_200), ("15m", 900), ("30s", 30), ("3d", 259_200)] {
            assert_eq!(Occurrences::every(text), Ok(Occurrences::Every(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "h", "72", "72 h", "-1h", "1.5h", "0s", "9999999h", "5x", "5hh"] {
            assert_eq!(Occurrences::every(text), Err(OccurrencesError::Length), "{text}");
        }
        for text in ["", "Mo", "24:00", "Mo 25:00", "Xx 03:00", "Mo 03:00-04:00"] {
            assert_eq!(text.parse::<Moments>(), Err(OccurrencesError::Moment), "{text}");
        }
    }
}
