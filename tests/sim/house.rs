//! No output is driven but by a rule whose conditions hold now, and a schedule runs when its moment has come, once. It is
//! judged from the clock, the pins and the commands alone.

use callbox::config::{LocalTime, ModeChange, ModeIndex, OutputIndex, SensorIndex};
use callbox::core::{Command, Drive, Fact, Input, Pin};
use jiff::SignedDuration;
use jiff::civil::{DateTime, Time, time};

/// The modes of the configuration.
pub const AWAY: usize = 0;
pub const NIGHT: usize = 1;
/// What a motion switches on while nobody is at home.
pub const SIREN: OutputIndex = OutputIndex(4);
/// What a motion switches on in the night.
pub const PORCH: OutputIndex = OutputIndex(3);
/// What the schedule switches on.
const VALVE: OutputIndex = OutputIndex(5);
/// The sensor that sees motion.
pub const MOTION: Pin = Pin::Sensor(SensorIndex(1));
/// `for_ms` of the rules for the siren and for the porch, and the `cooldown_s` of both.
pub const SIREN_AFTER_MS: u64 = 20_000;
pub const PORCH_AFTER_MS: u64 = 500;
const COOLDOWN_MS: u64 = 60_000;
/// The moment of the schedule, and its jitter.
const MOMENT: Time = time(3, 0, 0, 0);
const JITTER_MS: u64 = 600_000;
/// Debounce and a tick. What is closer to a limit than this is not judged.
const SLACK_MS: u64 = 100;
/// Local time has minutes, and a process without anything to do looks at it once a minute.
const MINUTE_MS: u64 = 61_000;
/// A clock that goes back further than this was wrong before. What the schedule does on the next day is not judged then.
const WRONG_CLOCK: SignedDuration = SignedDuration::from_hours(20);
const UNCLEAR: SignedDuration = SignedDuration::from_hours(26);

/// What is known of the house, over all processes.
#[derive(Debug, Clone, Default)]
pub struct House {
    /// The local time, unless it is not set or the server's is another one.
    local: Option<LocalTime>,
    server_differs: bool,
    /// What was chosen by hand, for each mode.
    by_hand: [Option<bool>; 2],
    /// The mode as the station told it, and since when the truth is another one.
    told: [bool; 2],
    untold_since: [Option<u64>; 2],
    motion: Option<Motion>,
    /// When a motion last switched something on.
    siren_at: Option<u64>,
    porch_at: Option<u64>,
    /// The newest moment of the schedule that was seen to pass, or was done.
    seen: Option<DateTime>,
    /// A moment has passed and its run has not begun: since when the station could have begun it.
    waits_since: Option<u64>,
    /// The moment may have been done before the clock went back.
    may_be_done: bool,
    is_running: bool,
    /// The latest local time that was shown.
    latest: Option<DateTime>,
    /// Until then nobody can say which moments have passed.
    unclear_until: Option<DateTime>,
}

/// The newest motion.
#[derive(Debug, Clone, Copy)]
struct Motion {
    since: u64,
    until: Option<u64>,
    /// The modes at its beginning.
    modes: [bool; 2],
}

impl House {
    /// The process has died. What it knew by hand is kept.
    pub fn died(&mut self) {
        self.server_differs = false;
        self.motion = None;
        (self.siren_at, self.porch_at) = (None, None);
    }

    /// A process has started: it tells changes of modes, and not what they are.
    pub fn started(&mut self, now: u64, local: Option<LocalTime>) {
        self.clock(now, local);
        if self.waits_since.is_some() && self.seen > self.local.map(LocalTime::date_time) {
            // The moment that a wrong clock brought comes again.
            self.waits_since = None;
            self.seen = self.seen.and_then(|seen| seen.checked_sub(jiff::Span::new().days(1)).ok());
        }
        self.waits_since = self.waits_since.map(|_| now);
        self.told = [self.is_on(AWAY), self.is_on(NIGHT)];
        self.untold_since = [None, None];
    }

    fn clock(&mut self, now: u64, local: Option<LocalTime>) {
        self.local = local.filter(|_| !self.server_differs);
        let Some(local) = self.local.map(LocalTime::date_time) else {
            // Nothing can begin while nobody knows what time it is.
            self.waits_since = self.waits_since.map(|_| now);
            return;
        };
        let day = if local.time() < MOMENT { local.date().yesterday().unwrap() } else { local.date() };
        let newest = day.to_datetime(MOMENT);
        if self.latest.is_some_and(|latest| latest.duration_since(local) > WRONG_CLOCK) {
            // A run that waits counts as one of the latest time.
            let from = self.latest.filter(|_| self.waits_since.is_some()).unwrap_or(local);
            self.unclear_until = Some(from.checked_add(UNCLEAR).unwrap());
            (self.latest, self.seen) = (Some(local), Some(newest));
        }
        self.latest = self.latest.max(Some(local));
        if self.seen.is_some_and(|seen| newest > seen) {
            let waits_since = self.waits_since.filter(|_| !self.may_be_done);
            self.waits_since = waits_since.or(Some(now));
            self.may_be_done = self.unclear_until > Some(local);
        }
        self.seen = self.seen.max(Some(newest));
    }

    /// The local time that conditions are judged by.
    pub fn local(&self) -> Option<LocalTime> {
        self.local
    }

    pub fn is_on(&self, mode: usize) -> bool {
        let by_hours = || {
            let night = |local: LocalTime| !(6 * 60 + 30..22 * 60).contains(&local.minute_of_day);
            mode == NIGHT && self.local.is_some_and(night)
        };
        self.by_hand[mode].unwrap_or_else(by_hours)
    }

    pub fn input(&mut self, now: u64, local: Option<LocalTime>, input: &Input) {
        self.is_running = false;
        if let Input::ServerTime { ahead_ms } = input {
            self.server_differs = ahead_ms.unsigned_abs() > 120_000;
        }
        self.clock(now, local);
        match input {
            Input::Edge { pin: MOTION, active: true } => {
                self.motion = Some(Motion { since: now, until: None, modes: [self.is_on(AWAY), self.is_on(NIGHT)] });
            }
            Input::Edge { pin: MOTION, active: false } => {
                self.motion = self.motion.map(|motion| Motion { until: Some(now), ..motion });
            }
            Input::Command(_, _, Command::Mode { mode: ModeIndex(mode), change }) => self.choose(*mode, *change),
            _ => {}
        }
    }

    fn choose(&mut self, mode: usize, change: ModeChange) {
        self.by_hand[mode] = match change {
            ModeChange::On => Some(true),
            ModeChange::Off => Some(false),
            ModeChange::Toggle => Some(!self.is_on(mode)),
            ModeChange::Auto => None,
        };
    }

    /// Whether the rule of the code holds.
    pub fn code_holds(&self) -> bool {
        self.local.is_some_and(|local| (6 * 60..23 * 60).contains(&local.minute_of_day))
    }

    pub fn fact(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Press { button, .. } if button == "key" => self.choose(AWAY, ModeChange::Toggle),
            Fact::Mode { mode, on, .. } => {
                let index = if mode == "away" { AWAY } else { NIGHT };
                self.told[index] = *on;
            }
            Fact::Schedule { .. } => {
                self.is_running = true;
                if self.local.is_none() {
                    return Err("the schedule runs, though nobody knows what time it is".into());
                }
                if self.waits_since.take().is_none() && self.unclear_until <= self.latest {
                    return Err("the schedule runs, and its moment has not come since the last time".into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The station drives an output. Says what is wrong with it.
    pub fn drives(&mut self, now: u64, output: OutputIndex, drive: Drive) -> Result<(), String> {
        if drive == Drive::Off {
            return Ok(());
        }
        let (holds, after_ms, last) = match output {
            SIREN => (self.is_on(AWAY), SIREN_AFTER_MS, &mut self.siren_at),
            PORCH => (self.is_on(NIGHT), PORCH_AFTER_MS, &mut self.porch_at),
            VALVE if !self.is_running => return Err("the valve opens, and no schedule runs".into()),
            VALVE if self.is_on(AWAY) => return Err("the valve opens, though everybody is away".into()),
            _ => return Ok(()),
        };
        if !holds {
            return Err(format!("output {} goes on, and its mode is off", output.0));
        }
        let stayed =
            |motion: Motion| now >= motion.since + after_ms && motion.until.is_none_or(|until| now < until + SLACK_MS);
        if !self.motion.is_some_and(stayed) {
            return Err(format!("output {} goes on, and there is no motion for {after_ms} ms", output.0));
        }
        if last.replace(now).is_some_and(|before| now < before + COOLDOWN_MS) {
            return Err(format!("output {} goes on again within its cooldown", output.0));
        }
        Ok(())
    }

    /// To be called after every input. `in_call`: the lines are not free.
    pub fn wrong(&mut self, now: u64, in_call: bool) -> Result<(), String> {
        for mode in [AWAY, NIGHT] {
            let differs = self.told[mode] != self.is_on(mode);
            let since = self.untold_since[mode].filter(|_| differs).unwrap_or(now);
            self.untold_since[mode] = differs.then_some(since);
            if now > since + MINUTE_MS {
                return Err(format!(
                    "mode {mode} is {} for {} s, and not told",
                    self.is_on(mode),
                    (now - since) / 1000
                ));
            }
        }
        if in_call {
            self.waits_since = self.waits_since.map(|_| now);
        }
        if !self.may_be_done && self.waits_since.is_some_and(|since| now > since + JITTER_MS + MINUTE_MS) {
            return Err("the moment of the schedule has come, and it does not run".into());
        }
        Ok(())
    }

    /// To be called when a motion has stayed for a while. Says whether something had to go on, and has not.
    pub fn stayed(&self, now: u64) -> Result<(), String> {
        let Some(Motion { since, until: None, modes }) = self.motion else { return Ok(()) };
        let stays_ms = now - since;
        let (what, after_ms, last) = match modes {
            _ if modes != [self.is_on(AWAY), self.is_on(NIGHT)] => return Ok(()),
            [true, _] => ("siren", SIREN_AFTER_MS, self.siren_at),
            [false, true] => ("porch light", PORCH_AFTER_MS, self.porch_at),
            [false, false] => return Ok(()),
        };
        if !(after_ms + SLACK_MS..after_ms + 4 * SLACK_MS).contains(&stays_ms) {
            return Ok(());
        }
        let rested = last.is_none_or(|at| now > at + COOLDOWN_MS + after_ms);
        let went_on = last.is_some_and(|at| at + stays_ms > now);
        if rested && !went_on { Err(format!("motion for {stays_ms} ms, and the {what} stays off")) } else { Ok(()) }
    }
}
