//! How much sound waits in the card: as little as will do, and always the same.

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

/// Playback follows the clock of capture: its lead stays what it was, although the clocks may differ.
pub(super) struct Lead {
    pub(super) periods: Frames,
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
    pub(super) fn new(period: usize) -> Self {
        Self {
            periods: LEAD_PERIODS.0,
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

    /// It was too short. A single underrun right after a start says nothing of what follows: the thread's first frames
    /// wait for memory.
    pub(super) fn underrun(&mut self) {
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
        if self.note(lead, Frames::try_from(mono.len()).unwrap_or(480)) {
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
    fn note(&mut self, lead: Frames, period: Frames) -> bool {
        // The period that is about to be written makes up for the one that was read.
        let target = (self.periods - 1) * period;
        self.age_periods = self.age_periods.saturating_add(1);
        self.has_failed &= self.age_periods < LEAD_WINDOW;
        if lead > target + SURPLUS_PERIODS * period {
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
            let at_the_end = run(&mut Lead::new(PERIOD), 1.0, 1_800, ppm);
            assert!((at_the_end - 1.0).abs() < 0.1, "{ppm} ppm: {at_the_end} periods");
        }
    }

    #[test]
    fn a_surplus_is_cut_at_once_and_an_underrun_is_paid_for_until_it_is_calm() {
        let mut lead = Lead::new(PERIOD);
        assert!(run(&mut lead, 7.0, 1, 0.0) <= 4.1);
        let mut lead = Lead::new(PERIOD);
        assert!(run(&mut lead, 4.0, 4, 0.0) <= 2.5);
        lead.underrun();
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        run(&mut lead, 2.0, 61, 0.0);
        assert_eq!(lead.periods, LEAD_PERIODS.0);
    }

    #[test]
    fn the_underrun_of_a_start_is_forgiven_and_a_second_one_is_not() {
        let mut lead = Lead::new(PERIOD);
        run(&mut lead, 1.0, 2, 0.0);
        lead.started();
        lead.underrun();
        assert_eq!(lead.periods, LEAD_PERIODS.0);
        lead.underrun();
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        // Another start.
        run(&mut lead, 1.0, 2, 0.0);
        lead.started();
        lead.underrun();
        assert_eq!(lead.periods, LEAD_PERIODS.0 + 1);
        run(&mut lead, 1.0, 2, 0.0);
        lead.underrun();
        lead.underrun();
        assert_eq!(lead.periods, LEAD_PERIODS.1, "none in the middle is forgiven");
    }

    #[test]
    fn what_is_cut_goes_over_into_what_follows() {
        let mut lead = Lead::new(PERIOD);
        assert!(lead.period(10 * PERIOD as Frames, &mut [0.5; PERIOD]).is_none());
        let mut next = [0.0; PERIOD];
        assert!(lead.period(PERIOD as Frames, &mut next).is_some());
        assert!((next[0] - 0.5).abs() < 1e-6 && next[PERIOD - 1] < 0.01);
    }
}
