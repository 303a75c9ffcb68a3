//! Predicts the echo and subtracts it: a partitioned-block frequency-domain Kalman filter (Enzner & Vary 2006; Kuech,
//! Mabande & Enzner 2014), with overlap-save and a constrained gradient.

use realfft::num_complex::Complex32;

use crate::echo_delay::DelayTracker;
use crate::fft::Fft;
use crate::loudspeaker::Loudspeaker;
use crate::{HOP, power};

/// Samples in a transform.
const BLOCK: usize = 2 * HOP;
/// Bins in a transform.
pub(super) const BINS: usize = HOP + 1;
/// Partitions of 10 ms, which together are the length of the echo path.
const PARTITIONS: usize = 12;
/// Transforms of the far end that are kept: the length of the path, and up to 150 ms of delay before it.
const HISTORY: usize = PARTITIONS + 15;
/// How much is forgotten in a hop, as a factor of power.
const FORGETTING: f32 = 0.9995 * 0.9995;
/// The initial uncertainty of a weight.
const UNCERTAIN: f32 = 3.0;
/// Samples in the window before the peak of the delay.
const LEAD: usize = 64;
/// A prediction is wrong if its error has more than this factor of the microphone's power, for this many hops.
const LOST_ABOVE: f32 = 1.4;
const LOST_HOPS: u32 = 3;
/// Hops over which the coupling is measured, and the power of the loudspeaker above which a hop counts.
const COUPLING_HOPS: u32 = 20;
const SPEAKS: f32 = 1e-6;
/// The power at the microphone divided by the power at the loudspeaker, for which [`UNCERTAIN`] is right.
const USUAL_COUPLING: f32 = 1.0;
/// At this level the converter of the microphone clips.
const CLIPPED: f32 = 0.98;
/// Bins that show a change of the path: 300 to 6000 Hz.
const CHANGE_BINS: std::ops::Range<usize> = 6..120;

/// The transforms of the last hops; age 0 is the newest.
struct Spectra {
    bins: Vec<Complex32>,
    newest: usize,
    last: [f32; HOP],
}

impl Spectra {
    fn new() -> Self {
        Self { bins: vec![Complex32::default(); HISTORY * BINS], newest: 0, last: [0.0; HOP] }
    }

    fn push(&mut self, fft: &mut Fft, hop: &[f32; HOP]) {
        self.newest = (self.newest + HISTORY - 1) % HISTORY;
        let from = self.newest * BINS;
        if let Some(bins) = self.bins.get_mut(from..from + BINS) {
            fft.forward(bins, |samples| {
                let (older, newer) = samples.split_at_mut(HOP);
                older.copy_from_slice(&self.last);
                newer.copy_from_slice(hop);
            });
        }
        self.last = *hop;
    }

    fn get(&self, age: usize) -> &[Complex32] {
        let from = (self.newest + age) % HISTORY * BINS;
        self.bins.get(from..from + BINS).unwrap_or_default()
    }
}

/// The result of a prediction, for one hop.
pub(super) struct Prediction {
    /// The microphone's signal without the predicted echo.
    pub(super) error: [f32; HOP],
    pub(super) echo: [f32; HOP],
    /// The power of `error` that the filter itself expects.
    pub(super) expected_error: [f32; BINS],
}

pub(super) struct EchoPath {
    delay: DelayTracker,
    loudspeaker: Loudspeaker,
    fft: Fft,
    far: Spectra,
    slope: Spectra,
    /// Hops between the far end and the first partition.
    offset: usize,
    located: bool,
    weights: Vec<Complex32>,
    uncertainty: Vec<f32>,
    noise: [f32; BINS],
    cross: [Complex32; BINS],
    error_power: [f32; BINS],
    echo_power: [f32; BINS],
    error_bins: Vec<Complex32>,
    echo_bins: Vec<Complex32>,
    step: Vec<Complex32>,
    gain: [f32; BINS],
    /// The power of microphone, error and echo, smoothed over 50 ms.
    powers: [f32; 3],
    /// The power that was played and heard in the first hops with speech, and the number of hops that are still
    /// missing.
    coupling: ([f32; 2], u32),
    lost_hops: u32,
    prediction: Prediction,
}

/// Later reflections are weaker, by 2 dB for each partition.
fn decay(partition: usize) -> f32 {
    10.0_f32.powf(-0.2 * partition.saturating_sub(1) as f32)
}

impl EchoPath {
    pub(super) fn new() -> Self {
        let zeros = || vec![Complex32::default(); BINS];
        Self {
            delay: DelayTracker::new(),
            loudspeaker: Loudspeaker::new(),
            fft: Fft::new(BLOCK),
            far: Spectra::new(),
            slope: Spectra::new(),
            offset: 0,
            located: false,
            weights: vec![Complex32::default(); PARTITIONS * BINS],
            uncertainty: vec![UNCERTAIN * 0.5; PARTITIONS * BINS],
            noise: [0.0; BINS],
            cross: [Complex32::default(); BINS],
            error_power: [0.0; BINS],
            echo_power: [0.0; BINS],
            error_bins: zeros(),
            echo_bins: zeros(),
            step: zeros(),
            gain: [0.0; BINS],
            powers: [0.0; 3],
            coupling: ([0.0; 2], COUPLING_HOPS),
            lost_hops: 0,
            prediction: Prediction { error: [0.0; HOP], echo: [0.0; HOP], expected_error: [0.0; BINS] },
        }
    }

    /// Takes a hop of the far end and one of the microphone.
    pub(super) fn predict(&mut self, far: &[f32], microphone: &[f32]) -> &Prediction {
        if let Some(delay) = self.delay.delay() {
            self.locate(delay);
        }
        self.delay.hear(far, microphone);

        let (mut played, mut slope) = ([0.0; HOP], [0.0; HOP]);
        self.loudspeaker.play(far, &mut played, &mut slope);
        self.measure_coupling(&played, microphone);
        self.far.push(&mut self.fft, &played);
        self.slope.push(&mut self.fft, &slope);

        let mut echo = filtered(&mut self.fft, &self.far, self.offset, &self.weights);
        let loudest = microphone.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
        if loudest >= CLIPPED {
            // The converter clipped the echo: the part above this level is explained, and nothing is learned from it.
            echo.iter_mut().for_each(|sample| *sample = sample.clamp(-loudest, loudest));
        }
        self.prediction.echo = echo;
        for ((error, microphone), echo) in self.prediction.error.iter_mut().zip(microphone).zip(&echo) {
            *error = microphone - echo;
        }
        self.notice_loss(microphone);
        let slope_echo = filtered(&mut self.fft, &self.slope, self.offset, &self.weights);
        self.loudspeaker.learn(&self.prediction.error, &slope_echo);
        transform(&mut self.fft, &self.prediction.error, &mut self.error_bins);
        transform(&mut self.fft, &self.prediction.echo, &mut self.echo_bins);
        self.adapt();
        self.doubt();
        &self.prediction
    }

    /// Moves the window of partitions to the echo.
    fn locate(&mut self, delay: usize) {
        let wanted = delay.saturating_sub(LEAD) / HOP;
        let middle = self.offset * HOP + HOP / 2;
        let moved = (delay as f32 - LEAD as f32 - middle as f32).abs() > 1.2 * HOP as f32;
        if self.located && !moved {
            return;
        }
        if self.located {
            // The path has moved as a whole: its shape stays, but it is uncertain now.
            for (partition, uncertainty) in self.uncertainty.chunks_exact_mut(BINS).enumerate() {
                let least = UNCERTAIN * decay(partition);
                uncertainty.iter_mut().for_each(|value| *value = value.max(least));
            }
        } else {
            let shift = wanted.saturating_sub(self.offset).min(PARTITIONS) * BINS;
            self.weights.rotate_left(shift);
            self.uncertainty.rotate_left(shift);
            let rest = PARTITIONS * BINS - shift;
            self.weights.iter_mut().skip(rest).for_each(|weight| *weight = Complex32::default());
            self.uncertainty.iter_mut().skip(rest).for_each(|value| *value = UNCERTAIN);
            for (partition, uncertainty) in self.uncertainty.chunks_exact_mut(BINS).enumerate() {
                uncertainty.iter_mut().for_each(|value| *value *= decay(partition));
            }
        }
        self.offset = wanted.min(HISTORY - PARTITIONS);
        self.located = true;
    }

    /// The initial uncertainty fits a loudspeaker that is about as loud at the microphone as its signal. A louder one
    /// needs more uncertainty; otherwise its path is learned too late.
    fn measure_coupling(&mut self, played: &[f32; HOP], microphone: &[f32]) {
        let (powers, hops) = &mut self.coupling;
        let [far, heard] = powers;
        let now = power(played);
        if *hops == 0 || now < SPEAKS {
            return;
        }
        *far += now;
        *heard += power(microphone);
        *hops -= 1;
        if *hops == 0 {
            let louder = (*heard / *far / USUAL_COUPLING).clamp(1.0, 100.0);
            self.uncertainty.iter_mut().for_each(|value| *value *= louder);
        }
    }

    /// If a prediction adds power instead of removing some, it belongs to another path: a buffer has slipped, or the
    /// door was moved. Sound from the near end cannot cause this.
    fn notice_loss(&mut self, microphone: &[f32]) {
        let power = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
        let now = [power(microphone), power(&self.prediction.error), power(&self.prediction.echo)];
        for (average, now) in self.powers.iter_mut().zip(now) {
            *average = 0.8 * *average + 0.2 * now;
        }
        let [heard, left, echo] = self.powers;
        let lost = left > LOST_ABOVE * heard && echo > 0.1 * heard;
        self.lost_hops = if lost { self.lost_hops + 1 } else { 0 };
        if self.lost_hops < LOST_HOPS {
            return;
        }
        self.lost_hops = 0;
        self.weights.fill(Complex32::default());
        for (partition, uncertainty) in self.uncertainty.chunks_exact_mut(BINS).enumerate() {
            let least = UNCERTAIN * decay(partition);
            uncertainty.iter_mut().for_each(|value| *value = value.max(least));
        }
        self.prediction.error.copy_from_slice(microphone.get(..HOP).unwrap_or(&[0.0; HOP]));
    }

    /// The Kalman step of each partition.
    fn adapt(&mut self) {
        let spread = &mut self.prediction.expected_error;
        spread.fill(0.0);
        for (partition, uncertainty) in self.uncertainty.chunks_exact(BINS).enumerate() {
            let far = self.far.get(self.offset + partition);
            for ((spread, far), uncertainty) in spread.iter_mut().zip(far).zip(uncertainty) {
                *spread += far.norm_sqr() * uncertainty;
            }
        }
        for (index, gain) in self.gain.iter_mut().enumerate() {
            let (Some(noise), Some(spread), Some(error)) =
                (self.noise.get_mut(index), spread.get_mut(index), self.error_bins.get(index))
            else {
                continue;
            };
            *noise = 0.9 * *noise + 0.1 * error.norm_sqr();
            // Half of the error's block is zeros, so it has half the power.
            *gain = 2.0 / (*spread + *noise + 1e-6);
            *spread *= 0.5;
        }
        let parts = self.weights.chunks_exact_mut(BINS).zip(self.uncertainty.chunks_exact_mut(BINS));
        for (partition, (weights, uncertainty)) in parts.enumerate() {
            let far = self.far.get(self.offset + partition);
            let step = self.fft.inverse(|bins| {
                let values = bins.iter_mut().zip(far).zip(&self.error_bins).zip(uncertainty.iter()).zip(&self.gain);
                for ((((bin, far), error), uncertainty), gain) in values {
                    *bin = far.conj() * error * (uncertainty * gain);
                }
            });
            // Only the first half belongs to the filter; the rest comes from circular convolution.
            let mut first = [0.0; HOP];
            first.copy_from_slice(step.get(..HOP).unwrap_or(&[0.0; HOP]));
            self.fft.forward(&mut self.step, |samples| {
                let (filter, circle) = samples.split_at_mut(HOP);
                filter.copy_from_slice(&first);
                circle.fill(0.0);
            });
            let values = weights.iter_mut().zip(uncertainty).zip(&self.step).zip(far).zip(&self.gain);
            for ((((weight, uncertainty), step), far), gain) in values {
                *weight += step;
                let told = 0.5 * *uncertainty * gain * far.norm_sqr();
                *uncertainty = FORGETTING * (1.0 - told) * *uncertainty + (1.0 - FORGETTING) * weight.norm_sqr();
            }
        }
    }

    /// If the residual is coherent with the predicted echo, the path has changed.
    fn doubt(&mut self) {
        let smooth = |average: &mut f32, value: f32| *average = 0.9 * *average + 0.1 * value;
        let averages = self.cross.iter_mut().zip(&mut self.error_power).zip(&mut self.echo_power);
        for (((cross, error_power), echo_power), (error, echo)) in
            averages.zip(self.error_bins.iter().zip(&self.echo_bins))
        {
            *cross = *cross * 0.9 + error * echo.conj() * 0.1;
            smooth(error_power, error.norm_sqr());
            smooth(echo_power, echo.norm_sqr());
        }
        let together = self.cross.get(CHANGE_BINS).unwrap_or_default().iter().map(Complex32::norm_sqr);
        let error_power = self.error_power.get(CHANGE_BINS).unwrap_or_default();
        let echo_power = self.echo_power.get(CHANGE_BINS).unwrap_or_default();
        let apart = error_power.iter().zip(echo_power).map(|(error, echo)| error * echo);
        let (together, apart) = (together.sum::<f32>(), apart.sum::<f32>());
        let excess = together / (apart + 1e-12) - 0.4;
        if excess <= 0.0 {
            return;
        }
        // The uncertainty grows with the mean power of the path over its partitions.
        self.gain.fill(0.0);
        for weights in self.weights.chunks_exact(BINS) {
            for (sum, weight) in self.gain.iter_mut().zip(weights) {
                *sum += weight.norm_sqr() / PARTITIONS as f32;
            }
        }
        for (partition, uncertainty) in self.uncertainty.chunks_exact_mut(BINS).enumerate() {
            let more = 0.12 * excess * decay(partition);
            for (value, strength) in uncertainty.iter_mut().zip(&self.gain) {
                *value += more * strength;
            }
        }
    }
}

/// The newest hop of the far end, filtered by the weights.
fn filtered(fft: &mut Fft, far: &Spectra, offset: usize, weights: &[Complex32]) -> [f32; HOP] {
    let samples = fft.inverse(|bins| {
        bins.fill(Complex32::default());
        for (partition, weights) in weights.chunks_exact(BINS).enumerate() {
            for ((bin, far), weight) in bins.iter_mut().zip(far.get(offset + partition)).zip(weights) {
                *bin += far * weight;
            }
        }
    });
    let mut hop = [0.0; HOP];
    hop.copy_from_slice(samples.get(HOP..BLOCK).unwrap_or(&[0.0; HOP]));
    hop
}

/// The bins of a hop that follows a hop of zeros.
fn transform(fft: &mut Fft, hop: &[f32; HOP], bins: &mut [Complex32]) {
    fft.forward(bins, |samples| {
        let (zeros, newest) = samples.split_at_mut(HOP);
        zeros.fill(0.0);
        newest.copy_from_slice(hop);
    });
}
