//! How much sound waits in the card: as little as will do, and always the same.
//!
//! A card that moves its sound in long periods needs more than one that follows ours: what the microphone gives at once
//! is written at once, and nothing until the next time; what the loudspeaker takes at once must be there before.

use alsa::pcm::Frames;
use callbox_dsp::{ClockControl, DriftResampler};

use crate::sound::FRAME_MS;

/// Periods of lead that playback starts with, and to what it may grow after underruns.
const LEAD_PERIODS: (Frames, Frames) = (2, 4);
/// Periods without an underrun after which it is tried with one less: a minute.
const CALM_PERIODS: u32 = 6_000;
/// Periods over which the shortest lead is looked for: a second.
const LEAD_WINDOW: u32 = 100;
/// More lead than the target by so much is cut at once; half of it where it stays for a window: what a thread that came
/// late has written after an underrun. The rate takes minutes for so much, and has seconds for less.
const SURPLUS_PERIODS: Frames = 3;
/// Frames that a period of another clock may have more.
pub(super) const SPARE: usize = 8;

/// Steps in which a pointer moves; a late thread sees a long one now and then, a coarse card sees no other.
#[derive(Debug, Default)]
pub(super) struct Steps {
    last: [Frames; 4],
    next: usize,
}

impl Steps {
    pub(super) fn note(&mut self, frames: Frames) {
        if frames > 0
            && let Some(slot) = self.last.get_mut(self.next)
        {
            *slot = frames;
            self.next = (self.next + 1) % self.last.len();
        }
    }

    /// The step that comes regularly: the shortest of late.
    pub(super) fn regular(&self) -> Frames {
        self.last.into_iter().min().unwrap_or(0)
    }
}

/// Playback follows the clock of capture: its lead stays what it was, although the clocks may differ.
pub(super) struct Lead {
    periods: Frames,
    /// A period of ours, and the card's buffer.
    period: Frames,
    buffer: Frames,
    /// What comes from the microphone at once, and what goes to the loudspeaker at once, where that is more than ours.
    burst: Frames,
    step: Frames,
    /// Since the last underrun, or since the lead was shortened.
    calm_periods: u32,
    /// Since the stream was started.
    age_periods: u32,
    /// It was too short, and has not lasted for a window since.
    has_failed: bool,
    /// The shortest one of this window, in frames.
    shortest: Frames,
    window: u32,
    clock: ClockControl,
    resampler: DriftResampler,
    /// A period at the clock of playback.
    resampled: Vec<f32>,
    /// A period that was left out, into the next one of which it goes over.
    cut: Vec<f32>,
    is_cut: bool,
}

impl Lead {
    /// For periods of so many frames, a buffer, and the coarse periods of capture and playback, 0 where they are none.
    pub(super) fn new(period: usize, buffer: Frames, burst: Frames, step: Frames) -> Self {
        Self {
            periods: LEAD_PERIODS.0,
            period: Frames::try_from(period).unwrap_or(480),
            buffer,
            burst,
            step,
            calm_periods: 0,
            age_periods: 0,
            has_failed: false,
            shortest: Frames::MAX,
            window: 0,
            clock: ClockControl::new(1.0, 4.0),
            resampler: DriftResampler::new(),
            resampled: vec![0.0; period + SPARE],
            cut: vec![0.0; period],
            is_cut: false,
        }
    }

    /// Frames of silence that a stream starts with.
    pub(super) fn at_start(&self) -> Frames {
        let wanted = self.periods * self.period + self.burst + self.step;
        wanted.min(self.buffer - self.period).max(self.period)
    }

    /// It was too short. A single underrun right after a start says nothing of what follows: the thread's first frames
    /// wait for memory. `burst` is what comes at once as it was seen: some cards say another period than they have.
    pub(super) fn underrun(&mut self, burst: Frames) {
        if burst > 2 * self.period {
            self.burst = self.burst.max(burst);
        }
        let is_of_the_start = self.age_periods < LEAD_WINDOW && !self.has_failed;
        self.has_failed = true;
        if !is_of_the_start {
            self.periods = (self.periods + 1).min(LEAD_PERIODS.1);
            self.calm_periods = 0;
        }
        self.started();
    }

    /// The stream is started anew, with the whole lead.
    pub(super) fn started(&mut self) {
        self.age_periods = 0;
        self.measure_anew();
    }

    fn measure_anew(&mut self) {
        (self.shortest, self.window) = (Frames::MAX, 0);
        self.is_cut = false;
    }

    /// Takes a period that is to be written while `lead` frames wait; gives it at the clock of playback, or nothing
    /// where it is left out.
    pub(super) fn period(&mut self, lead: Frames, mono: &mut [f32]) -> Option<&[f32]> {
        if std::mem::take(&mut self.is_cut) {
            let count = mono.len() as f32;
            for (index, (sample, cut)) in mono.iter_mut().zip(&self.cut).enumerate() {
                *sample = cut + (*sample - cut) * (index as f32 / count);
            }
        }
        if self.note(lead) {
            self.cut.copy_from_slice(mono);
            self.is_cut = true;
            return None;
        }
        // More lead than wanted means that playback's clock is slower than capture's: it is given less.
        let ppm = self.clock.ppm();
        let given = self.resampler.given(mono.len(), ppm).min(self.resampled.len());
        let resampled = self.resampled.get_mut(..given)?;
        self.resampler.process(mono, resampled, ppm);
        Some(resampled)
    }

    /// Notes the lead before a period is written; gives whether that one is to be left out.
    fn note(&mut self, lead: Frames) -> bool {
        let period = self.period;
        // The period that is about to be written makes up for the one that was read; the first one of a burst finds what
        // is left after the wait for it.
        let target = self.at_start() - self.burst - period;
        self.age_periods = self.age_periods.saturating_add(1);
        self.has_failed &= self.age_periods < LEAD_WINDOW;
        if lead > target + self.burst + self.step + SURPLUS_PERIODS * period {
            self.measure_anew();
            return true;
        }
        self.calm_periods += 1;
        if self.calm_periods >= CALM_PERIODS && self.periods > LEAD_PERIODS.0 {
            self.periods -= 1;
            self.calm_periods = 0;
        }
        self.shortest = self.shortest.min(lead);
        self.window += 1;
        if self.window >= LEAD_WINDOW {
            if 2 * (self.shortest - target) > SURPLUS_PERIODS * period {
                self.measure_anew();
                return true;
            }
            let error_ms = (self.shortest - target) as f64 / period as f64 * f64::from(FRAME_MS);
            self.clock.note(error_ms, false);
            (self.shortest, self.window) = (Frames::MAX, 0);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: usize = 480;

    fn lead_of(burst: Frames, step: Frames) -> Lead {
        Lead::new(PERIOD, 100 * PERIOD as Frames, burst, step)
    }

    /// Ten seconds of a card with long periods: frames of sound that were left out, and the shortest lead on the way.
    fn with_long_periods(burst: usize, step: usize) -> (usize, i64) {
        let mut lead = lead_of(burst as Frames, step as Frames);
        let (mut waits, mut played, mut left_out, mut shortest) = (lead.at_start(), 0_usize, 0, i64::MAX);
        for now in (1..=1_000).map(|period| period * PERIOD) {
            // Playback takes in steps...
            while now - played >= step.max(PERIOD) {
                played += step.max(PERIOD);
                waits -= step.max(PERIOD) as Frames;
                shortest = shortest.min(waits);
            }
            // ...and capture gives in bursts.
            if now % burst.max(PERIOD) < PERIOD {
                for _ in 0..burst.max(PERIOD) / PERIOD {
                    match lead.period(waits, &mut [0.0; PERIOD]) {
                        Some(given) => waits += given.len() as Frames,
                        None => left_out += PERIOD,
                    }
                }
            }
        }
        (left_out, shortest)
    }

    #[test]
    fn a_card_that_says_another_period_than_it_has_is_believed_by_what_it_does() {
        let mut steps = Steps::default();
        [480, 480, 9_600, 480, 480].into_iter().for_each(|step| steps.note(step));
        assert_eq!(steps.regular(), 480, "a late thread is no coarse card");
        [6_000; 4].into_iter().for_each(|step| steps.note(step));
        let mut lead = lead_of(0, 0);
        lead.underrun(steps.regular());
        assert_eq!(lead.at_start(), 2 * 480 + 6_000);
        lead.underrun(steps.regular());
        assert!(lead.at_start() <= 3 * 480 + 6_000, "once");
    }

    #[test]
    fn a_card_with_long_periods_on_one_side_or_both_loses_nothing() {
        for (burst, step) in
            [(0, 0), (12 * PERIOD, 0), (0, 12 * PERIOD), (12 * PERIOD, 12 * PERIOD), (5 * PERIOD, 2 * PERIOD)]
        {
            let (left_out, shortest) = with_long_periods(burst, step);
            assert!(left_out == 0 && shortest >= 0, "{burst} and {step}: {left_out} left out, shortest {shortest}");
        }
        assert_eq!(lead_of(0, 0).at_start(), 2 * PERIOD as Frames, "a card without them keeps its delay");
    }

    /// Seconds of a card whose playback runs so much faster than its capture; gives the lead at the end, in periods.
    fn run(lead: &mut Lead, waits: f64, seconds: usize, ppm: f64) -> f64 {
        let mut waits = waits * PERIOD as f64;
        for _ in 0..seconds * 100 {
            waits += lead.period(waits as Frames, &mut [0.0; PERIOD]).map_or(0.0, |given| given.len() as f64);
            waits -= PERIOD as f64 * (1.0 + ppm * 1e-6);
        }
        waits / PERIOD as f64
    }

    #[test]
    fn clocks_that_differ_leave_the_lead_as_it_was() {
        for ppm in [0.0, 200.0, -200.0] {
            let at_the_end = run(&mut lead_of(0, 0), 1.0, 1_800, ppm);
            assert!((at_the_end - 1.0).abs() < 0.1, "{ppm} ppm: {at_the_end} periods");
        }
    }

    #[test]
    fn a_surplus_is_cut_at_once_and_an_underrun_is_paid_for_until_it_is_calm() {
        let mut lead = lead_of(0, 0);
        assert!(run(&mut lead, 7.0, 1, 0.0) <= 4.1);
        let mut lead = lead_of(0, 0);
        assert!(run(&mut lead, 4.0, 4, 0.0) <= 2.5);
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        run(&mut lead, 2.0, 61, 0.0);
        assert_eq!(lead.periods, LEAD_PERIODS.0);
    }

    #[test]
    fn the_underrun_of_a_start_is_forgiven_and_a_second_one_is_not() {
        let mut lead = lead_of(0, 0);
        run(&mut lead, 1.0, 2, 0.0);
        lead.started();
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.0);
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        // Another start.
        run(&mut lead, 1.0, 2, 0.0);
        lead.started();
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        run(&mut lead, 1.0, 2, 0.0);
        lead.underrun(0);
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.1, "none in the middle is forgiven");
    }

    #[test]
    fn what_is_cut_goes_over_into_what_follows() {
        let mut lead = lead_of(0, 0);
        assert!(lead.period(10 * PERIOD as Frames, &mut [0.5; PERIOD]).is_none());
        let mut next = [0.0; PERIOD];
        assert!(lead.period(PERIOD as Frames, &mut next).is_some());
        assert!((next[0] - 0.5).abs() < 1e-6 && next[PERIOD - 1] < 0.01);
    }
}
