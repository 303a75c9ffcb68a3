//! Opening hours: `Mo-Fr 07:00-19:00; Sa 08:00-12:00`, `22:00-06:00`.

use serde::{Deserialize, Serialize};

use super::local_time::{LocalTime, Weekday};

/// The times of the week at which a rule matches (docs/configuration.md, "Hours").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    spans: Vec<Span>,
    text: String,
}

/// A span of time that begins on each of some days, and may end on the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    days: Vec<Weekday>,
    start_minute: u16,
    end_minute: u16,
}

/// Why a text cannot be read as hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{part}\" is not a span of hours; write for example \"Mo-Fr 07:00-19:00; Sa 08:00-12:00\"")]
pub struct HoursError {
    part: String,
}

impl Hours {
    /// Whether this moment lies within the hours.
    pub fn contain(&self, now: LocalTime) -> bool {
        self.spans.iter().any(|span| span.contains(now))
    }

    /// Whether a rule with these hours, or with none, matches now. While the clock is not set (`now` is `None`), a rule
    /// with hours does not match.
    pub fn hold(hours: Option<&Self>, now: Option<LocalTime>) -> bool {
        hours.is_none_or(|hours| now.is_some_and(|now| hours.contain(now)))
    }

    /// Whether the other hours, taken together, cover all of these hours.
    pub(in crate::config) fn lie_in(&self, others: &[&Hours]) -> bool {
        Weekday::ALL.into_iter().all(|weekday| {
            (0..1440)
                .map(|minute_of_day| LocalTime { weekday, minute_of_day })
                .all(|moment| !self.contain(moment) || others.iter().any(|hours| hours.contain(moment)))
        })
    }

    /// The whole week.
    pub(in crate::config) fn always() -> Self {
        let span = Span { days: Weekday::ALL.to_vec(), start_minute: 0, end_minute: 1440 };
        Self { spans: vec![span], text: String::new() }
    }

    /// The hours as they were written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Span {
    fn contains(&self, now: LocalTime) -> bool {
        let minute = now.minute_of_day;
        if self.start_minute < self.end_minute {
            return self.days.contains(&now.weekday) && (self.start_minute..self.end_minute).contains(&minute);
        }
        // A span over midnight covers the evening of a day in the list and the morning after that day.
        (self.days.contains(&now.weekday) && minute >= self.start_minute)
            || (self.days.contains(&now.weekday.yesterday()) && minute < self.end_minute)
    }
}

impl std::str::FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let spans = text
            .split(';')
            .map(|part| parse_span(part.trim()).ok_or_else(|| HoursError { part: part.trim().to_owned() }))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { spans, text: text.to_owned() })
    }
}

fn parse_span(text: &str) -> Option<Span> {
    let (days, times) = match text.split_once(' ') {
        Some((days, times)) => (parse_days(days)?, times.trim()),
        None => (Weekday::ALL.to_vec(), text),
    };
    let (start, end) = times.split_once('-')?;
    let (start_minute, end_minute) = (parse_minute(start)?, parse_minute(end)?);
    (start_minute < 1440).then_some(Span { days, start_minute, end_minute })
}

fn parse_days(text: &str) -> Option<Vec<Weekday>> {
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(parse_day(part)?),
            Some((first, last)) => {
                let (first, last) = (parse_day(first)? as usize, parse_day(last)? as usize);
                let length = (last + 7 - first) % 7 + 1;
                days.extend(Weekday::ALL.iter().cycle().skip(first).take(length));
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
fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "00"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if hour.len() > 2 || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 1440).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(weekday: Weekday, hour: u16, minute: u16) -> LocalTime {
        LocalTime { weekday, minute_of_day: hour * 60 + minute }
    }

    #[test]
    fn the_concierge_is_there_on_working_days() {
        let hours: Hours = "Mo-Fr 07:00-19:00; Sa 08:00-12:00".parse().unwrap();
        assert!(hours.contain(at(Weekday::Monday, 7, 0)));
        assert!(hours.contain(at(Weekday::Friday, 18, 59)));
        assert!(!hours.contain(at(Weekday::Friday, 19, 0)));
        assert!(hours.contain(at(Weekday::Saturday, 8, 30)));
        assert!(!hours.contain(at(Weekday::Sunday, 8, 30)));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let hours: Hours = "Fr,Sa 22:00-06:00".parse().unwrap();
        assert!(hours.contain(at(Weekday::Friday, 23, 0)));
        assert!(hours.contain(at(Weekday::Sunday, 5, 59)));
        assert!(!hours.contain(at(Weekday::Friday, 5, 0)));
        assert!(!hours.contain(at(Weekday::Sunday, 22, 0)));
    }

    #[test]
    fn days_may_run_over_the_week_end() {
        let hours: Hours = "Sa-Mo 10:00-24:00".parse().unwrap();
        assert!(hours.contain(at(Weekday::Monday, 23, 59)));
        assert!(!hours.contain(at(Weekday::Tuesday, 10, 0)));
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
        for text in
            ["", "07:00", "8-", "25:00-26:00", "Mx 07:00-19:00", "T 8-9", "24:00-01:00", "8:5-9", "-8-9", "+8-9"]
        {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }
}
