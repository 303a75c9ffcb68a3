//! Echo cancellation, noise suppression and gain control on the capture path.
//!
//! `sonora` is a port of WebRTC's audio processing (AEC3, NS, AGC2). It allocates in each frame,
//! which the audio thread should not do; a canceller of our own replaces it (see ARCHITECTURE.md).

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression,
    NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use crate::config::{AudioConfig, Echo};

/// What the loop through loudspeaker lead and capture period takes, as a start for AEC3's search.
const LOOP_DELAY_MS: i32 = 40;

/// The capture path, with the playback as its reference.
pub(super) struct Processor {
    processing: Option<AudioProcessing>,
    scratch: Vec<f32>,
}

impl Processor {
    pub(super) fn new(config: &AudioConfig, frame: usize) -> Self {
        let wanted = config.echo == Echo::Full || config.noise_suppression || config.gain_control;
        let processing = wanted.then(|| {
            let stream = StreamConfig::new(config.rate_hz, 1);
            AudioProcessing::builder()
                .config(processing_config(config))
                .capture_config(stream)
                .render_config(stream)
                .build()
        });
        Self { processing, scratch: vec![0.0; frame] }
    }

    /// What the loudspeaker will play.
    pub(super) fn played(&mut self, frame: &[f32]) {
        if let Some(processing) = &mut self.processing {
            let _ = processing.process_render_f32(&[frame], &mut [&mut self.scratch]);
        }
    }

    /// What the microphone heard; the echo is taken out of it.
    pub(super) fn captured(&mut self, frame: &mut [f32]) {
        if let Some(processing) = &mut self.processing {
            // An error only says that the value was clamped.
            let _ = processing.set_stream_delay_ms(LOOP_DELAY_MS);
            if processing.process_capture_f32(&[&*frame], &mut [&mut self.scratch]).is_ok() {
                frame.copy_from_slice(&self.scratch);
            }
        }
    }
}

fn processing_config(config: &AudioConfig) -> Config {
    Config {
        echo_canceller: (config.echo == Echo::Full).then(EchoCanceller::default),
        noise_suppression: config
            .noise_suppression
            .then(|| NoiseSuppression { level: NoiseSuppressionLevel::Moderate, ..Default::default() }),
        gain_controller2: config.gain_control.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital { max_gain_db: 20.0, initial_gain_db: 6.0, ..Default::default() }),
            ..Default::default()
        }),
        high_pass_filter: Some(HighPassFilter::default()),
        pipeline: Pipeline { maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz, ..Default::default() },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Random;

    fn config(echo: Echo) -> AudioConfig {
        AudioConfig {
            capture: crate::config::PcmName::Alsa(String::new()),
            playback: crate::config::PcmName::Alsa(String::new()),
            rate_hz: 16_000,
            period_ms: 10,
            echo,
            noise_suppression: false,
            gain_control: false,
            capture_gain_db: 0,
            volume: 80,
        }
    }

    /// Level of what is sent, in the last of five seconds of a far end alone, in dB against its echo.
    fn residual_db(echo: Echo) -> f32 {
        let mut processor = Processor::new(&config(echo), 160);
        let mut random = Random::new(1);
        let mut played = vec![0.0_f32; 800];
        let (mut sent, mut echoed) = (0.0, 0.0);
        for frame in 0..500 {
            // Speech-like: bursts of noise.
            let level = if frame % 50 < 30 { 0.2 } else { 0.01 };
            let far: Vec<f32> = (0..160).map(|_| (random.below(20_001) as f32 / 10_000.0 - 1.0) * level).collect();
            // The echo comes 40 ms later, at half the level.
            let mut microphone: Vec<f32> = played[..160].iter().map(|sample| sample * 0.5).collect();
            played.drain(..160);
            played.extend(&far);
            let before: f32 = microphone.iter().map(|sample| sample * sample).sum();
            processor.played(&far);
            processor.captured(&mut microphone);
            if frame >= 400 {
                echoed += before;
                sent += microphone.iter().map(|sample| sample * sample).sum::<f32>();
            }
        }
        10.0 * (sent / echoed).log10()
    }

    #[test]
    fn the_canceller_takes_the_echo_out_and_off_means_off() {
        let (with, without) = (residual_db(Echo::Full), residual_db(Echo::Off));
        assert!(with < -25.0, "{with} dB");
        assert!(without > -3.0, "{without} dB");
    }
}
