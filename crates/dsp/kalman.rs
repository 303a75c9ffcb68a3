//! Predicts the echo and subtracts it: a partitioned-block frequency-domain Kalman filter (Enzner & Vary 2006; Kuech,
//! Mabande & Enzner 2014), with overlap-save. Some partitions in turn are constrained at each hop: circular convolution
//! fills their second half, which does not belong to the filter.

use wide::f32x8;

use crate::echo_delay::DelayTracker;
use crate::fft::Fft;
use crate::loudspeaker::Loudspeaker;
use crate::spectrum::{self, Reals, vectors};
use crate::{HOP, power};

/// Samples in a transform.
const BLOCK: usize = 2 * HOP;
/// Bins in a transform.
pub(super) const BINS: usize = HOP + 1;
const VECTORS: usize = vectors(BINS);
/// Partitions of 10 ms, which together are the length of the echo path.
const PARTITIONS: usize = 12;
/// Partitions that are constrained at each hop: the first ones, in which the path is strongest, and so many others in turn.
const CONSTRAINED: (usize, usize) = (2, 2);
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
/// Vectors of the bins that show a change of the path: 400 to 6000 Hz.
const CHANGE_VECTORS: std::ops::Range<usize> = 0..15;

type Spectrum = spectrum::Spectrum<VECTORS>;

/// The transforms of the last hops; age 0 is the newest.
struct Spectra {
    spectra: Vec<Spectrum>,
    newest: usize,
    last: [f32; HOP],
}

impl Spectra {
    fn new() -> Self {
        Self { spectra: vec![Spectrum::ZERO; HISTORY], newest: 0, last: [0.0; HOP] }
    }

    fn push(&mut self, fft: &mut Fft, hop: &[f32; HOP]) {
        self.newest = (self.newest + HISTORY - 1) % HISTORY;
        if let Some(spectrum) = self.spectra.get_mut(self.newest) {
            fft.spectrum(spectrum, |samples| {
                let (older, newer) = samples.split_at_mut(HOP);
                older.copy_from_slice(&self.last);
                newer.copy_from_slice(hop);
            });
        }
        self.last = *hop;
    }

    /// From this age on.
    fn from(&self, age: usize) -> impl Iterator<Item = &Spectrum> {
        self.spectra.iter().cycle().skip((self.newest + age) % HISTORY)
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
    /// For each partition.
    weights: Vec<Spectrum>,
    uncertainty: Vec<Reals<VECTORS>>,
    /// The partition that is constrained next.
    constrained: usize,
    noise: Reals<VECTORS>,
    cross: Spectrum,
    error_power: Reals<VECTORS>,
    echo_power: Reals<VECTORS>,
    error_spectrum: Spectrum,
    echo_spectrum: Spectrum,
    gain: Reals<VECTORS>,
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
        Self {
            delay: DelayTracker::new(),
            loudspeaker: Loudspeaker::new(),
            fft: Fft::new(BLOCK),
            far: Spectra::new(),
            slope: Spectra::new(),
            offset: 0,
            located: false,
            weights: vec![Spectrum::ZERO; PARTITIONS],
            uncertainty: vec![[f32x8::splat(UNCERTAIN * 0.5); VECTORS]; PARTITIONS],
            constrained: 0,
            noise: [f32x8::ZERO; VECTORS],
            cross: Spectrum::ZERO,
            error_power: [f32x8::ZERO; VECTORS],
            echo_power: [f32x8::ZERO; VECTORS],
            error_spectrum: Spectrum::ZERO,
            echo_spectrum: Spectrum::ZERO,
            gain: [f32x8::ZERO; VECTORS],
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
        transform(&mut self.fft, &self.prediction.error, &mut self.error_spectrum);
        transform(&mut self.fft, &self.prediction.echo, &mut self.echo_spectrum);
        self.adapt();
        self.constrain();
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
            self.be_uncertain();
        } else {
            let shift = wanted.saturating_sub(self.offset).min(PARTITIONS);
            self.weights.rotate_left(shift);
            self.uncertainty.rotate_left(shift);
            let rest = PARTITIONS - shift;
            self.weights.iter_mut().skip(rest).for_each(|weights| *weights = Spectrum::ZERO);
            self.uncertainty.iter_mut().skip(rest).for_each(|values| values.fill(f32x8::splat(UNCERTAIN)));
            for (partition, uncertainty) in self.uncertainty.iter_mut().enumerate() {
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
            self.uncertainty.iter_mut().flatten().for_each(|value| *value *= louder);
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
        self.weights.fill(Spectrum::ZERO);
        self.be_uncertain();
        self.prediction.error.copy_from_slice(microphone.get(..HOP).unwrap_or(&[0.0; HOP]));
    }

    /// As at the start: nothing is known about the path.
    fn be_uncertain(&mut self) {
        for (partition, uncertainty) in self.uncertainty.iter_mut().enumerate() {
            let least = f32x8::splat(UNCERTAIN * decay(partition));
            uncertainty.iter_mut().for_each(|value| *value = value.max(least));
        }
    }

    /// The Kalman step of each partition.
    fn adapt(&mut self) {
        let mut spread = [f32x8::ZERO; VECTORS];
        for (far, uncertainty) in self.far.from(self.offset).zip(&self.uncertainty) {
            for ((spread, far), uncertainty) in spread.iter_mut().zip(far.powers()).zip(uncertainty) {
                *spread = far.mul_add(*uncertainty, *spread);
            }
        }
        let errors = self.error_spectrum.powers();
        for (((gain, noise), spread), error) in self.gain.iter_mut().zip(&mut self.noise).zip(&spread).zip(errors) {
            *noise = 0.9 * *noise + 0.1 * error;
            // Half of the error's block is zeros, so it has half the power.
            *gain = 2.0 / (*spread + *noise + 1e-6);
        }
        for (expected, spread) in self.prediction.expected_error.chunks_mut(8).zip(&spread) {
            for (expected, spread) in expected.iter_mut().zip((0.5 * *spread).as_array()) {
                *expected = *spread;
            }
        }
        let parts = self.weights.iter_mut().zip(&mut self.uncertainty).zip(self.far.from(self.offset));
        for ((weights, uncertainty), far) in parts {
            let known = uncertainty.iter_mut().zip(&self.gain).zip(self.error_spectrum.parts());
            for (((re, im), far), ((uncertainty, gain), error)) in weights.parts_mut().zip(far.parts()).zip(known) {
                let step = *uncertainty * *gain;
                *re += step * (far.0 * error.0 + far.1 * error.1);
                *im += step * (far.0 * error.1 - far.1 * error.0);
                let told = 0.5 * step * (far.0 * far.0 + far.1 * far.1);
                let weight = *re * *re + *im * *im;
                *uncertainty = FORGETTING * (1.0 - told) * *uncertainty + (1.0 - FORGETTING) * weight;
            }
        }
    }

    /// Takes what came from circular convolution out of some partitions.
    fn constrain(&mut self) {
        let last = self.constrained;
        self.constrained = (last + CONSTRAINED.1) % (PARTITIONS - CONSTRAINED.0);
        let in_turn = (last..last + CONSTRAINED.1).map(|turn| CONSTRAINED.0 + turn % (PARTITIONS - CONSTRAINED.0));
        for partition in (0..CONSTRAINED.0).chain(in_turn) {
            let Some(weights) = self.weights.get_mut(partition) else { continue };
            let samples = self.fft.inverse(|bins| weights.give(bins));
            let mut first = [0.0; HOP];
            first.copy_from_slice(samples.get(..HOP).unwrap_or(&[0.0; HOP]));
            self.fft.spectrum(weights, |samples| {
                let (filter, circle) = samples.split_at_mut(HOP);
                filter.copy_from_slice(&first);
                circle.fill(0.0);
            });
        }
    }

    /// If the residual is coherent with the predicted echo, the path has changed.
    fn doubt(&mut self) {
        let pairs = self.error_spectrum.parts().zip(self.echo_spectrum.parts());
        let averages = self.cross.parts_mut().zip(&mut self.error_power).zip(&mut self.echo_power);
        for (((cross, error_power), echo_power), (error, echo)) in averages.zip(pairs) {
            *cross.0 = 0.9 * *cross.0 + 0.1 * (error.0 * echo.0 + error.1 * echo.1);
            *cross.1 = 0.9 * *cross.1 + 0.1 * (error.1 * echo.0 - error.0 * echo.1);
            *error_power = 0.9 * *error_power + 0.1 * (error.0 * error.0 + error.1 * error.1);
            *echo_power = 0.9 * *echo_power + 0.1 * (echo.0 * echo.0 + echo.1 * echo.1);
        }
        let apart = self.error_power.iter().zip(&self.echo_power).map(|(error, echo)| *error * *echo);
        let (together, apart) = (changes(self.cross.powers()), changes(apart));
        let excess = together / (apart + 1e-12) - 0.4;
        if excess <= 0.0 {
            return;
        }
        // The uncertainty grows with the mean power of the path over its partitions.
        self.gain.fill(f32x8::ZERO);
        for weights in &self.weights {
            for (sum, weight) in self.gain.iter_mut().zip(weights.powers()) {
                *sum += weight / PARTITIONS as f32;
            }
        }
        for (partition, uncertainty) in self.uncertainty.iter_mut().enumerate() {
            let more = 0.12 * excess * decay(partition);
            for (value, strength) in uncertainty.iter_mut().zip(&self.gain) {
                *value += more * *strength;
            }
        }
    }
}

/// The newest hop of the far end, filtered by the weights.
fn filtered(fft: &mut Fft, far: &Spectra, offset: usize, weights: &[Spectrum]) -> [f32; HOP] {
    let mut sum = Spectrum::ZERO;
    for (far, weights) in far.from(offset).zip(weights) {
        for ((sum, far), weight) in sum.parts_mut().zip(far.parts()).zip(weights.parts()) {
            *sum.0 += far.0 * weight.0 - far.1 * weight.1;
            *sum.1 += far.0 * weight.1 + far.1 * weight.0;
        }
    }
    let samples = fft.inverse(|bins| sum.give(bins));
    let mut hop = [0.0; HOP];
    hop.copy_from_slice(samples.get(HOP..BLOCK).unwrap_or(&[0.0; HOP]));
    hop
}

/// The spectrum of a hop that follows a hop of zeros.
fn transform(fft: &mut Fft, hop: &[f32; HOP], spectrum: &mut Spectrum) {
    fft.spectrum(spectrum, |samples| {
        let (zeros, newest) = samples.split_at_mut(HOP);
        zeros.fill(0.0);
        newest.copy_from_slice(hop);
    });
}

/// The sum over the bins that show a change.
fn changes(values: impl Iterator<Item = f32x8>) -> f32 {
    let shown = values.skip(CHANGE_VECTORS.start).take(CHANGE_VECTORS.len());
    shown.fold(f32x8::ZERO, |sum, value| sum + value).reduce_add()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The power of both halves of a partition, as samples.
    fn halves(path: &mut EchoPath, partition: usize) -> (f32, f32) {
        let weights = path.weights[partition];
        let samples = path.fft.inverse(|bins| weights.give(bins));
        (power(&samples[..HOP]), power(&samples[HOP..]))
    }

    #[test]
    fn no_partition_keeps_what_circular_convolution_leaves_in_it() {
        let mut path = EchoPath::new();
        let (mut random, mut last) = (1, [0.0; HOP]);
        for _ in 0..300 {
            let far: [f32; HOP] = std::array::from_fn(|_| 0.1 * crate::noise::random(&mut random));
            let microphone = last.map(|sample| 0.5 * sample);
            path.predict(&far, &microphone);
            last = far;
        }
        // Those of the last hop have nothing, and the others little, since their turn has come a few hops before.
        for partition in 0..PARTITIONS {
            let (filter, circle) = halves(&mut path, partition);
            let most = if partition < CONSTRAINED.0 { 1e-12 } else { 1e-6 };
            assert!(circle <= most, "{partition}: {filter} {circle}");
        }
    }
}
