//! Echo cancellation, noise suppression and gain on the capture path.
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
    gain: f32,
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
        Self { processing, scratch: vec![0.0; frame], gain: 10.0_f32.powf(config.capture_gain_db as f32 / 20.0) }
    }

    /// What the loudspeaker will play.
    pub(super) fn played(&mut self, frame: &[f32]) {
        if let Some(processing) = &mut self.processing {
            let _ = processing.process_render_f32(&[frame], &mut [&mut self.scratch]);
        }
    }

    /// What the microphone heard; the echo is taken out of it.
    pub(super) fn captured(&mut self, frame: &mut [f32]) {
        for sample in frame.iter_mut() {
            *sample *= self.gain;
        }
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
