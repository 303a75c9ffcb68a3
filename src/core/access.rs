//! The lock after wrong door codes (docs/configuration.md, "`[access]`").
//!
//! A far end that guesses codes is locked out for a while. If many far ends guess, codes are off for all of them. The
//! counts survive calls and restarts, and each lock is longer than the one before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::AccessConfig;
use crate::core::api::WrongCodes;
use crate::core::time::Time;

/// The number of far ends that are remembered.
const MAX_FAR_ENDS: usize = 64;
/// All far ends together may make this many times as many mistakes as one of them; then codes are off for everybody.
/// There is such a limit because numbers can be forged. It is higher because a house has several residents.
const STATION_FACTOR: u32 = 4;
/// A far end that makes a mistake now and then, but never too many in one window, has room for this many times
/// `wrong_codes` mistakes …
const SLOW_ROOM: u32 = 4;
/// … of which one is forgiven in this time. So even a patient guesser has only 48 tries a day.
const SLOW_PACE: Duration = Duration::from_secs(1800);
/// The longest lock.
const LONGEST_LOCK: Duration = Duration::from_secs(3600);
/// After this time without a mistake, the first lock is as short as at the beginning.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Who types codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typist<'a> {
    /// The far end with this number.
    FarEnd(&'a str),
    /// Whoever stands at the reader of this name.
    Reader(&'a str),
}

impl WrongCodes {
    /// No wrong codes of this typist yet.
    fn of(typist: Typist<'_>, now: Time) -> Self {
        let (number, reader) = match typist {
            Typist::FarEnd(number) => (Some(number.into()), None),
            Typist::Reader(name) => (None, Some(name.to_owned())),
        };
        Self { number, reader, newest: now, ..Self::default() }
    }

    fn is_of(&self, typist: Typist<'_>) -> bool {
        match typist {
            Typist::FarEnd(number) => self.number.as_deref() == Some(number),
            Typist::Reader(name) => self.reader.as_deref() == Some(name),
        }
    }

    fn is_locked(&self, now: Time) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    fn is_forgotten(&self, now: Time) -> bool {
        now.since(self.newest) >= FORGOTTEN_AFTER
    }

    /// Counts one more mistake; returns for how long codes are off from now on. `limit` is the number of mistakes in
    /// one window that lock.
    fn add(&mut self, limit: u32, config: &AccessConfig, now: Time) -> Option<Duration> {
        if self.is_forgotten(now) {
            self.locks = 0;
        }
        // The count of all far ends has more room by some factor, and gets it back faster by the same factor.
        let pace = SLOW_PACE * config.wrong_codes / limit.max(1);
        self.debt = self.debt.saturating_sub(now.since(self.newest)) + pace;
        let patient = self.debt > pace * limit.saturating_mul(SLOW_ROOM);
        self.newest = now;
        self.at.retain(|at| now.since(*at) < config.window);
        self.at.push_back(now);
        if u32::try_from(self.at.len()).unwrap_or(u32::MAX) < limit && !patient {
            return None;
        }
        if !patient {
            // The lock is the price of these mistakes. They do not count as slow guesses as well.
            self.debt = self.debt.saturating_sub(pace * limit);
        }
        self.at.clear();
        let lock = config.lock.saturating_mul(1_u32.checked_shl(self.locks).unwrap_or(u32::MAX)).min(LONGEST_LOCK);
        self.locks = self.locks.saturating_add(1).min(31);
        self.locked_until = Some(now + lock);
        Some(lock)
    }
}

/// Counts wrong codes, and knows whose codes are off.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Access {
    far_ends: Vec<WrongCodes>,
    everybody: WrongCodes,
}

impl Access {
    /// Whether the codes of this typist are off.
    pub(super) fn is_locked(&self, typist: Typist<'_>, now: Time) -> bool {
        self.locked_until(typist, now).is_some()
    }

    /// Until when the codes of this typist are off; `None` if they are not.
    pub(super) fn locked_until(&self, typist: Typist<'_>, now: Time) -> Option<Time> {
        let counts = [Some(&self.everybody), self.far_end(typist)];
        counts.into_iter().flatten().filter(|one| one.is_locked(now)).filter_map(|one| one.locked_until).max()
    }

    fn far_end(&self, typist: Typist<'_>) -> Option<&WrongCodes> {
        self.far_ends.iter().find(|far_end| far_end.is_of(typist))
    }

    /// Counts a wrong code; returns for how long codes of this typist are off from now on. `could_match`: the typist may
    /// use at least one code. A far end that may use none cannot lock out others.
    pub(super) fn wrong(
        &mut self,
        typist: Typist<'_>,
        could_match: bool,
        config: &AccessConfig,
        now: Time,
    ) -> Option<Duration> {
        if self.far_end(typist).is_none() {
            if self.far_ends.len() >= MAX_FAR_ENDS {
                // Those that are locked out stay.
                let free = self.far_ends.iter().enumerate().filter(|(_, one)| !one.is_locked(now));
                let oldest = free.min_by_key(|(_, one)| one.newest).map(|(index, _)| index);
                oldest.map(|index| self.far_ends.remove(index));
            }
            if self.far_ends.len() < MAX_FAR_ENDS {
                self.far_ends.push(WrongCodes::of(typist, now));
            }
        }
        let one = self.far_ends.iter_mut().find(|far_end| far_end.is_of(typist));
        let was_locked = one.as_ref().is_some_and(|far_end| far_end.locks > 0 && !far_end.is_forgotten(now));
        let of_one = one.and_then(|far_end| far_end.add(config.wrong_codes, config, now));
        let all = config.wrong_codes.saturating_mul(STATION_FACTOR);
        // A far end that has had a lock of its own is dealt with. One number must not turn codes off for a whole house.
        let of_all = (could_match && !was_locked).then(|| self.everybody.add(all, config, now)).flatten();
        of_one.max(of_all)
    }

    /// The counts that must outlive the process.
    pub(super) fn remembered(&self) -> Vec<WrongCodes> {
        let everybody = Some(&self.everybody).filter(|everybody| **everybody != WrongCodes::default());
        self.far_ends.iter().chain(everybody).cloned().collect()
    }

    /// Takes over what a previous process has counted. Its clock may have been another one, so locks are limited to the
    /// longest lock from now.
    pub(super) fn recall(&mut self, remembered: Vec<WrongCodes>, now: Time) {
        for mut one in remembered.into_iter().take(MAX_FAR_ENDS + 1) {
            one.locked_until = one.locked_until.map(|until| until.min(now + LONGEST_LOCK));
            one.at.truncate(1024);
            one.at.iter_mut().for_each(|at| *at = (*at).min(now));
            one.newest = one.newest.min(now);
            match (&one.number, &one.reader) {
                (None, None) => self.everybody = one,
                _ => self.far_ends.push(one),
            }
        }
        self.far_ends.truncate(MAX_FAR_ENDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: AccessConfig =
        AccessConfig { wrong_codes: 5, window: Duration::from_secs(600), lock: Duration::from_secs(60) };

    fn err(access: &mut Access, number: &str, times: u32, now: Time) -> Option<Duration> {
        (0..times).filter_map(|_| access.wrong(Typist::FarEnd(number), true, &CONFIG, now)).last()
    }

    #[test]
    fn five_wrong_codes_lock_a_far_end_and_each_lock_is_longer() {
        let mut access = Access::default();
        let mut now = Time(0);
        let mut locks = Vec::new();
        for _ in 0..8 {
            assert_eq!(err(&mut access, "100", 4, now), None);
            let lock = err(&mut access, "100", 1, now).expect("the fifth");
            assert!(access.is_locked(Typist::FarEnd("100"), now) && !access.is_locked(Typist::FarEnd("101"), now));
            locks.push(lock.as_secs());
            now = now + lock;
            assert!(!access.is_locked(Typist::FarEnd("100"), now));
            // Without this pause, the count of all far ends together could lock as well.
            now = now + CONFIG.window;
        }
        assert_eq!(locks, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        now = now + FORGOTTEN_AFTER;
        assert_eq!(err(&mut access, "100", 5, now), Some(CONFIG.lock));
    }

    #[test]
    fn slow_guesses_do_not_lock_and_many_guessers_do() {
        let mut access = Access::default();
        for guess in 0..20_u32 {
            let now = Time(u64::from(guess) * 151_000);
            assert_eq!(access.wrong(Typist::FarEnd("100"), true, &CONFIG, now), None, "four in ten minutes");
        }
        let mut access = Access::default();
        for number in 0..19 {
            assert_eq!(access.wrong(Typist::FarEnd(&number.to_string()), true, &CONFIG, Time(0)), None);
        }
        assert_eq!(access.wrong(Typist::FarEnd("x"), true, &CONFIG, Time(0)), Some(CONFIG.lock));
        assert!(access.is_locked(Typist::FarEnd("somebody else"), Time(1)));
    }

    /// Ten thousand codes take half a year, even if a machine calls all day and never makes too many mistakes at once.
    #[test]
    fn patience_finds_no_code_either() {
        let mut access = Access::default();
        let (mut now, mut tries) = (Time(0), 0);
        let days = 30;
        while now < Time(days * 86_400_000) {
            now = now + Duration::from_secs(151);
            if !access.is_locked(Typist::FarEnd("100"), now) {
                access.wrong(Typist::FarEnd("100"), true, &CONFIG, now);
                tries += 1;
            }
        }
        assert!(tries < 60 * days, "{tries}");
    }

    #[test]
    fn one_number_does_not_turn_codes_off_for_the_house() {
        let mut access = Access::default();
        let mut now = Time(0);
        while now < Time(30 * 86_400_000) {
            now = now + Duration::from_secs(5);
            if !access.is_locked(Typist::FarEnd("100"), now) {
                access.wrong(Typist::FarEnd("100"), true, &CONFIG, now);
            }
            assert!(!access.is_locked(Typist::FarEnd("101"), now), "after {} s", now.0 / 1000);
        }
    }

    #[test]
    fn those_who_may_use_no_code_lock_nobody_else_out() {
        let mut access = Access::default();
        for _ in 0..1000 {
            access.wrong(Typist::FarEnd("stranger"), false, &CONFIG, Time(0));
        }
        assert!(
            access.is_locked(Typist::FarEnd("stranger"), Time(1)) && !access.is_locked(Typist::FarEnd("100"), Time(1))
        );
    }

    #[test]
    fn a_crowd_does_not_push_out_those_who_are_locked() {
        let mut access = Access::default();
        err(&mut access, "100", 5, Time(0));
        for number in 0..1000 {
            access.wrong(Typist::FarEnd(&format!("9{number}")), false, &CONFIG, Time(1));
        }
        assert!(access.is_locked(Typist::FarEnd("100"), Time(2)));
        assert!(access.remembered().len() <= MAX_FAR_ENDS + 1);
    }

    #[test]
    fn a_restart_forgives_nothing() {
        let mut access = Access::default();
        err(&mut access, "100", 5, Time(1_000));
        err(&mut access, "101", 4, Time(1_000));
        let mut next = Access::default();
        next.recall(access.remembered(), Time(2_000));
        assert!(
            next.is_locked(Typist::FarEnd("100"), Time(3_000)) && !next.is_locked(Typist::FarEnd("100"), Time(61_000))
        );
        assert_eq!(err(&mut next, "101", 1, Time(3_000)), Some(CONFIG.lock));
        // A clock that was wrong must not lock anybody out for years.
        let mut wrong = access.remembered();
        wrong[0].locked_until = Some(Time(u64::MAX));
        next.recall(wrong, Time(0));
        assert!(!next.is_locked(Typist::FarEnd("100"), Time(3_600_000)));
    }
}
