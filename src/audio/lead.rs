//! Controls how much sound waits in the card: as little as possible, and always the same amount.
//!
//! A card that moves its sound in long periods needs more than a card that uses our period: what the microphone
//! delivers at once is written at once, and then nothing until the next time; what the loudspeaker takes at once must
//! be there before.

use alsa::pcm::Frames;
use callbox_dsp::{ClockControl, DriftResampler};

use crate::sound::FRAME_MS;

/// The lead that playback starts with, and the longest lead after underruns, in periods.
const LEAD_PERIODS: (Frames, Frames) = (2, 4);
/// Periods without an underrun after which the lead is shortened by one period: a minute.
const CALM_PERIODS: u32 = 6_000;
/// Periods over which the shortest lead is measured: a second.
const LEAD_WINDOW: u32 = 100;
/// If the lead exceeds the target by more than this, a period is left out at once. Half of this is enough if it lasts
/// for a whole window. A thread that came late writes such a surplus after an underrun. Adapting the rate would take
/// minutes to remove it; for a smaller surplus it takes seconds.
const SURPLUS_PERIODS: Frames = 3;
/// A smaller difference is none: capture and playback of one card have the same clock. If there is one after all, the
/// lead changes until it is noticed.
const SAME_CLOCK_PPM: f64 = 5.0;
/// How many frames longer a period can become at another clock.
pub(super) const SPARE: usize = 8;

/// The steps in which a pointer of the card moves. A late thread sees a long step now and then; on a card with long
/// periods, all steps are long, whatever period it reports (docs/workarounds.md, "alsa: a card may hide its period").
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

    /// The step that occurs regularly: the shortest of the recent steps.
    pub(super) fn regular(&self) -> Frames {
        self.last.into_iter().min().unwrap_or(0)
    }
}

/// Makes playback follow the clock of capture: the lead stays the same although the clocks may differ.
pub(super) struct Lead {
    periods: Frames,
    /// The length of one of our periods, and of the card's buffer.
    period: Frames,
    buffer: Frames,
    /// How much comes from the microphone at once, and how much goes to the loudspeaker at once; 0 if that is not more
    /// than one of our periods.
    burst: Frames,
    step: Frames,
    /// Periods since the last underrun, or since the lead was shortened.
    calm_periods: u32,
    /// Periods since the stream was started.
    age_periods: u32,
    /// The lead was too short, and since then it has not been long enough for a whole window.
    has_failed: bool,
    /// The shortest lead in this window.
    shortest: Frames,
    window: u32,
    clock: ClockControl,
    resampler: DriftResampler,
    /// A period that is resampled to the clock of playback.
    resampled: Vec<f32>,
    /// A period that was left out, and that is faded into the next one.
    cut: Vec<f32>,
    is_cut: bool,
}

impl Lead {
    /// `period` and `buffer` are in frames. `burst` and `step` are the long periods of capture and playback in frames,
    /// or 0.
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

    /// The frames of silence that a stream starts with.
    pub(super) fn at_start(&self) -> Frames {
        let wanted = self.periods * self.period + self.burst + self.step;
        wanted.min(self.buffer - self.period).max(self.period)
    }

    /// Notes that the lead was too short. A single underrun right after a start is ignored, because the thread's first
    /// frames wait for memory. `burst` is how much comes at once as it was observed: some cards report a period that
    /// they do not have (docs/workarounds.md, "alsa: a card may hide its period").
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

    /// Notes that the stream was started again, with the whole lead.
    pub(super) fn started(&mut self) {
        self.age_periods = 0;
        self.measure_anew();
    }

    fn measure_anew(&mut self) {
        (self.shortest, self.window) = (Frames::MAX, 0);
        self.is_cut = false;
    }

    /// Takes a period to write while `lead` frames wait. Returns it at the clock of playback, or `None` if it is left
    /// out.
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
        // A longer lead than wanted means that the clock of playback is slower than that of capture, so playback gets
        // less.
        let ppm = match self.clock.ppm() {
            ppm if ppm.abs() < SAME_CLOCK_PPM => self.resampler.align(mono.len()),
            ppm => ppm,
        };
        let given = self.resampler.given(mono.len(), ppm).min(self.resampled.len());
        let resampled = self.resampled.get_mut(..given)?;
        self.resampler.process(mono, resampled, ppm);
        Some(resampled)
    }

    /// Notes the lead before a period is written. Returns whether this period is to be left out.
    fn note(&mut self, lead: Frames) -> bool {
        let period = self.period;
        // The period that is about to be written replaces the one that was just read. The first period of a burst finds
        // what remains after the wait for the burst.
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

    /// Ten seconds of a card with long periods. Returns the frames of sound that were left out, and the shortest lead.
    fn with_long_periods(burst: usize, step: usize) -> (usize, i64) {
        let mut lead = lead_of(burst as Frames, step as Frames);
        let (mut waits, mut played, mut left_out, mut shortest) = (lead.at_start(), 0_usize, 0, i64::MAX);
        for now in (1..=1_000).map(|period| period * PERIOD) {
            // Playback takes its sound in steps.
            while now - played >= step.max(PERIOD) {
                played += step.max(PERIOD);
                waits -= step.max(PERIOD) as Frames;
                shortest = shortest.min(waits);
            }
            // Capture delivers its sound in bursts.
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
        assert_eq!(steps.regular(), 480, "a late thread is not a card with long periods");
        [6_000; 4].into_iter().for_each(|step| steps.note(step));
        let mut lead = lead_of(0, 0);
        lead.underrun(steps.regular());
        assert_eq!(lead.at_start(), 2 * 480 + 6_000);
        lead.underrun(steps.regular());
        assert!(lead.at_start() <= 3 * 480 + 6_000, "the burst is added once");
    }

    #[test]
    fn a_card_with_long_periods_on_one_side_or_both_loses_nothing() {
        for (burst, step) in
            [(0, 0), (12 * PERIOD, 0), (0, 12 * PERIOD), (12 * PERIOD, 12 * PERIOD), (5 * PERIOD, 2 * PERIOD)]
        {
            let (left_out, shortest) = with_long_periods(burst, step);
            assert!(left_out == 0 && shortest >= 0, "{burst} and {step}: {left_out} left out, shortest {shortest}");
        }
        assert_eq!(lead_of(0, 0).at_start(), 2 * PERIOD as Frames, "a card without long periods keeps its delay");
    }

    /// Runs a card whose playback is faster than its capture by `ppm`. Returns the lead at the end, in periods.
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
        // The stream is started again.
        run(&mut lead, 1.0, 2, 0.0);
        lead.started();
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        run(&mut lead, 1.0, 2, 0.0);
        lead.underrun(0);
        lead.underrun(0);
        assert_eq!(lead.periods, LEAD_PERIODS.1, "no underrun in the middle is forgiven");
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
