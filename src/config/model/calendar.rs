//! `[calendar]`: public holidays.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The days that `PH` means in `hours`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calendar {
    pub holidays: Vec<Holiday>,
}

/// A public holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holiday {
    /// Each year.
    Yearly {
        month: i8,
        day: i8,
    },
    Once(Date),
}

/// Why a text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HolidayError {
    #[error("is not a day")]
    Form,
    #[error("does not exist")]
    NoSuchDay,
}

impl Calendar {
    pub fn is_holiday(&self, day: Date) -> bool {
        self.holidays.iter().any(|holiday| match holiday {
            Holiday::Yearly { month, day: of_month } => (day.month(), day.day()) == (*month, *of_month),
            Holiday::Once(once) => day == *once,
        })
    }
}

impl fmt::Display for Holiday {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yearly { month, day } => write!(formatter, "{month:02}-{day:02}"),
            Self::Once(date) => date.fmt(formatter),
        }
    }
}

impl FromStr for Holiday {
    type Err = HolidayError;

    /// Reads `12-25` or `2026-04-06`.
    fn from_str(text: &str) -> Result<Self, HolidayError> {
        let number = |part: &str, digits: usize| {
            let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { part.parse::<i16>().ok() } else { None }
        };
        let parts: Vec<&str> = text.split('-').collect();
        let (year, month, day) = match parts.as_slice() {
            [month, day] => (None, number(month, 2), number(day, 2)),
            [year, month, day] => (Some(number(year, 4).ok_or(HolidayError::Form)?), number(month, 2), number(day, 2)),
            _ => return Err(HolidayError::Form),
        };
        let (month, day) = month.zip(day).ok_or(HolidayError::Form)?;
        let (month, day) = i8::try_from(month).ok().zip(i8::try_from(day).ok()).ok_or(HolidayError::Form)?;
        // 29 February is a day of each leap year.
        const LEAP_YEAR: i16 = 2028;
        let date = Date::new(year.unwrap_or(LEAP_YEAR), month, day).map_err(|_| HolidayError::NoSuchDay)?;
        Ok(if year.is_some() { Self::Once(date) } else { Self::Yearly { month, day } })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_holiday_comes_each_year_or_once() {
        let calendar = Calendar { holidays: ["12-25", "02-29", "2026-04-06"].map(|day| day.parse().unwrap()).to_vec() };
        assert!(calendar.is_holiday(date(2026, 12, 25)) && calendar.is_holiday(date(2031, 12, 25)));
        assert!(calendar.is_holiday(date(2028, 2, 29)) && !calendar.is_holiday(date(2027, 2, 28)));
        assert!(calendar.is_holiday(date(2026, 4, 6)) && !calendar.is_holiday(date(2027, 4, 6)));
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        for text in ["02-30", "13-01", "00-10", "2026-02-29", "04-31"] {
            assert_eq!(text.parse::<Holiday>(), Err(HolidayError::NoSuchDay), "{text}");
        }
        for text in ["", "12", "12/25", "1-2", "25.12.", "2026-1-2", "26-12-25", "12-25-", "christmas", "-12-25"] {
            assert_eq!(text.parse::<Holiday>(), Err(HolidayError::Form), "{text}");
        }
    }
}
