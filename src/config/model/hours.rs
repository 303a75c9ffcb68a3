//! Opening hours: `Mo-Fr 07:00-19:00; Sa 08:00-12:00`, `22:00-06:00`, `Mo-Fr 08:00-18:00; PH off`.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::local_time::{LocalTime, Weekday};

const MINUTES_OF_A_DAY: u16 = 1440;

/// The times of the week at which a rule matches (docs/configuration.md, "Hours").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    spans: Vec<Span>,
    /// Times that are taken out of the spans (`We 12:00-13:00 off`).
    breaks: Vec<Span>,
    /// Days on which no span begins (`PH off`).
    closed: Vec<Days>,
    text: String,
}

/// A span of time that begins on each of some days, and may end on the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    days: Days,
    start_minute: u16,
    end_minute: u16,
}

/// Days of the week, and public holidays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Days {
    weekdays: Vec<Weekday>,
    /// Public holidays too (`PH`).
    holidays: bool,
}

/// A day, as hours see it.
#[derive(Debug, Clone, Copy)]
struct Day {
    weekday: Weekday,
    is_holiday: bool,
}

/// Why a text cannot be read as hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{part}\" is not a span of hours; write for example \"Mo-Fr 07:00-19:00; Sa 08:00-12:00; PH off\"")]
pub struct HoursError {
    part: String,
}

impl Hours {
    /// Whether this moment lies within the hours.
    pub fn contain(&self, now: LocalTime, calendar: &Calendar) -> bool {
        let day = |date| Day { weekday: Weekday::of(date), is_holiday: calendar.is_holiday(date) };
        let today = day(now.date);
        let yesterday = now.date.yesterday().map_or(today, day);
        self.hold_at(yesterday, today, now.minute_of_day)
    }

    /// Whether hours, or none, hold now. While the clock is not set (`now` is `None`), hours do not hold.
    pub fn hold(hours: Option<&Self>, now: Option<LocalTime>, calendar: &Calendar) -> bool {
        hours.is_none_or(|hours| now.is_some_and(|now| hours.contain(now, calendar)))
    }

    fn hold_at(&self, yesterday: Day, today: Day, minute: u16) -> bool {
        // Where the hours say something of holidays, nothing else counts there.
        let mention_holidays = self.mention_holidays();
        let fits = |days: &Days, day: Day| {
            if day.is_holiday && mention_holidays { days.holidays } else { days.weekdays.contains(&day.weekday) }
        };
        let is_closed = |day| self.closed.iter().any(|days| fits(days, day));
        let any = |spans: &[Span], day, minute| spans.iter().any(|span| fits(&span.days, day) && span.covers(minute));
        // A span over midnight belongs to the day on which it begins.
        let moments = [(today, minute), (yesterday, minute + MINUTES_OF_A_DAY)];
        let holds = |(day, minute)| !is_closed(day) && any(&self.spans, day, minute);
        let pauses = |(day, minute)| any(&self.breaks, day, minute);
        moments.into_iter().any(holds) && !moments.into_iter().any(pauses)
    }

    fn mention_holidays(&self) -> bool {
        let days = self.spans.iter().chain(&self.breaks).map(|span| &span.days).chain(&self.closed);
        days.into_iter().any(|days| days.holidays)
    }

    /// Whether the other hours, taken together, cover all of these hours, on working days and on holidays.
    pub(in crate::config) fn lie_in(&self, others: &[&Hours]) -> bool {
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        Weekday::ALL.into_iter().all(|weekday| {
            kinds.iter().all(|(holiday_yesterday, holiday_today)| {
                let yesterday = Day { weekday: weekday.yesterday(), is_holiday: *holiday_yesterday };
                let today = Day { weekday, is_holiday: *holiday_today };
                let hold = |hours: &Hours, minute| hours.hold_at(yesterday, today, minute);
                (0..MINUTES_OF_A_DAY)
                    .all(|minute| !hold(self, minute) || others.iter().any(|hours| hold(hours, minute)))
            })
        })
    }

    /// Whether there is no moment in these hours.
    pub(in crate::config) fn are_empty(&self) -> bool {
        self.lie_in(&[])
    }

    /// The whole week.
    pub(in crate::config) fn always() -> Self {
        let span = Span { days: Days::all(), start_minute: 0, end_minute: MINUTES_OF_A_DAY };
        Self { spans: vec![span], breaks: Vec::new(), closed: Vec::new(), text: String::new() }
    }

    /// The hours as they were written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Span {
    /// Whether a minute lies in the span. It counts from the midnight at which the span's day begins.
    fn covers(&self, minute: u16) -> bool {
        let over_midnight = self.end_minute <= self.start_minute;
        let end = if over_midnight { self.end_minute + MINUTES_OF_A_DAY } else { self.end_minute };
        (self.start_minute..end).contains(&minute)
    }
}

impl Days {
    /// Each day, whatever day it is.
    pub(super) fn all() -> Self {
        Self { weekdays: Weekday::ALL.to_vec(), holidays: false }
    }

    /// Whether a date is one of the days. A public holiday that is not one of them by `PH` counts by its weekday.
    pub(super) fn include(&self, date: Date, calendar: &Calendar) -> bool {
        self.weekdays.contains(&Weekday::of(date)) || self.holidays && calendar.is_holiday(date)
    }

    /// Parses a list of days: `Mo-Fr,PH`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        parse_days(text)
    }
}

impl std::str::FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let mut hours = Self { spans: Vec::new(), breaks: Vec::new(), closed: Vec::new(), text: text.to_owned() };
        for part in text.split(';').map(str::trim) {
            let error = || HoursError { part: part.to_owned() };
            match part.strip_suffix(" off") {
                None => hours.spans.push(parse_span(part).ok_or_else(error)?),
                Some(rest) => match parse_days(rest) {
                    Some(days) => hours.closed.push(days),
                    None => hours.breaks.push(parse_span(rest).ok_or_else(error)?),
                },
            }
        }
        Ok(hours)
    }
}

fn parse_span(text: &str) -> Option<Span> {
    let (days, times) = match text.split_once(' ') {
        Some((days, times)) => (parse_days(days)?, times.trim()),
        None => (Days::all(), text),
    };
    let (start, end) = times.split_once('-')?;
    let (start_minute, end_minute) = (parse_minute(start)?, parse_minute(end)?);
    (start_minute < MINUTES_OF_A_DAY).then_some(Span { days, start_minute, end_minute })
}

fn parse_days(text: &str) -> Option<Days> {
    let mut days = Days { weekdays: Vec::new(), holidays: false };
    for part in text.split(',') {
        match part.split_once('-') {
            None if part.trim().eq_ignore_ascii_case("ph") => days.holidays = true,
            None => days.weekdays.push(parse_day(part)?),
            Some((first, last)) => {
                let (first, last) = (parse_day(first)? as usize, parse_day(last)? as usize);
                let length = (last + 7 - first) % 7 + 1;
                days.weekdays.extend(Weekday::ALL.iter().cycle().skip(first).take(length));
            }
        }
    }
    Some(days)
}

/// Parses the English name of a day, or at least its first two letters.
fn parse_day(text: &str) -> Option<Weekday> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let index = NAMES.iter().position(|name| text.len() >= 2 && name.starts_with(&text))?;
    Weekday::ALL.get(index).copied()
}

/// Parses `07:00`, `7:00` or `7` into minutes since midnight; `24:00` is accepted.
pub(super) fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "00"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if hour.len() > 2 || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_A_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(weekday: Weekday, hour: u16, minute: u16) -> LocalTime {
        LocalTime::in_some_week(weekday, hour * 60 + minute)
    }

    fn contain(hours: &Hours, now: LocalTime) -> bool {
        hours.contain(now, &Calendar::default())
    }

    #[test]
    fn the_concierge_is_there_on_working_days() {
        let hours: Hours = "Mo-Fr 07:00-19:00; Sa 08:00-12:00".parse().unwrap();
        assert!(contain(&hours, at(Weekday::Monday, 7, 0)));
        assert!(contain(&hours, at(Weekday::Friday, 18, 59)));
        assert!(!contain(&hours, at(Weekday::Friday, 19, 0)));
        assert!(contain(&hours, at(Weekday::Saturday, 8, 30)));
        assert!(!contain(&hours, at(Weekday::Sunday, 8, 30)));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let hours: Hours = "Fr,Sa 22:00-06:00".parse().unwrap();
        assert!(contain(&hours, at(Weekday::Friday, 23, 0)));
        assert!(contain(&hours, at(Weekday::Sunday, 5, 59)));
        assert!(!contain(&hours, at(Weekday::Friday, 5, 0)));
        assert!(!contain(&hours, at(Weekday::Sunday, 22, 0)));
    }

    #[test]
    fn days_may_run_over_the_week_end() {
        let hours: Hours = "Sa-Mo 10:00-24:00".parse().unwrap();
        assert!(contain(&hours, at(Weekday::Monday, 23, 59)));
        assert!(!contain(&hours, at(Weekday::Tuesday, 10, 0)));
    }

    #[test]
    fn hours_may_be_written_as_people_write_them() {
        let usual: Hours = "Mo-Fr 08:00-17:00".parse().unwrap();
        for text in ["Mon-Fri 8-17", "monday-friday 8:00-17", "MO-FR 08:00-17:00"] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!(hours.spans, usual.spans, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused_and_quoted() {
        for text in [
            "",
            "07:00",
            "8-",
            "25:00-26:00",
            "Mx 07:00-19:00",
            "T 8-9",
            "24:00-01:00",
            "8:5-9",
            "-8-9",
            "+8-9",
            "off",
            "Mo",
            "PH",
            "Mooff",
            "Mo of",
            "PH-Mo off",
            "Mo 8-9 10-11",
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }

    /// A Wednesday that is a holiday, in a week without others.
    fn calendar() -> Calendar {
        Calendar { holidays: vec!["2026-11-25".parse().unwrap()] }
    }

    fn on_that_wednesday(text: &str, hour: u16) -> bool {
        text.parse::<Hours>().unwrap().contain(at(Weekday::Wednesday, hour, 0), &calendar())
    }

    #[test]
    fn a_holiday_is_a_day_as_any_other_unless_the_hours_mention_it() {
        assert!(on_that_wednesday("Mo-Fr 08:00-18:00", 9));
        assert!(!on_that_wednesday("Mo-Fr 08:00-18:00; PH off", 9));
        assert!(!on_that_wednesday("Mo-Fr 08:00-18:00; PH 10:00-14:00", 9));
        assert!(on_that_wednesday("Mo-Fr 08:00-18:00; PH 10:00-14:00", 10));
        assert!(on_that_wednesday("Sa,Su,ph 10:00-14:00", 10));
        assert!(!on_that_wednesday("PH 10:00-14:00; PH 12:00-13:00 off", 12));
        let hours: Hours = "Sa,Su,PH 10:00-14:00".parse().unwrap();
        assert!(hours.contain(at(Weekday::Sunday, 10, 0), &calendar()));
        assert!(!hours.contain(at(Weekday::Tuesday, 10, 0), &calendar()));
    }

    #[test]
    fn a_night_into_and_out_of_a_holiday_belongs_to_the_day_it_begins_on() {
        let hours: Hours = "Mo-Fr 22:00-06:00; PH off".parse().unwrap();
        let contain = |weekday, hour| hours.contain(at(weekday, hour, 0), &calendar());
        assert!(contain(Weekday::Wednesday, 5), "it began on Tuesday");
        assert!(!contain(Weekday::Wednesday, 23) && !contain(Weekday::Thursday, 5));
        assert!(contain(Weekday::Thursday, 23));
    }

    #[test]
    fn what_is_off_is_taken_out() {
        let hours: Hours = "08:00-18:00; We 12:00-14:00 off; Su off".parse().unwrap();
        assert!(contain(&hours, at(Weekday::Wednesday, 11, 59)) && contain(&hours, at(Weekday::Wednesday, 14, 0)));
        assert!(!contain(&hours, at(Weekday::Wednesday, 12, 0)) && contain(&hours, at(Weekday::Monday, 12, 0)));
        assert!(!contain(&hours, at(Weekday::Sunday, 12, 0)));
        let nights: Hours = "22:00-06:00; We off; Fr 03:00-04:00 off".parse().unwrap();
        assert!(contain(&nights, at(Weekday::Wednesday, 5, 0)) && !contain(&nights, at(Weekday::Thursday, 5, 0)));
        assert!(!contain(&nights, at(Weekday::Friday, 3, 0)) && contain(&nights, at(Weekday::Friday, 4, 0)));
        assert!("Mo 8-9; Mo off".parse::<Hours>().unwrap().are_empty() && !hours.are_empty());
    }
}
