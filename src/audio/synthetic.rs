//! The built-in microphone for machines without a sound card: a calm melody that the far end easily recognises, and
//! never takes for a voice.

use super::card::{Card, CardError, Pace, Xruns};

/// Notes of one second each, in hertz: A4, C#5, E5, and a rest.
const MELODY_HZ: [f32; 4] = [440.0, 554.37, 659.25, 0.0];
/// -20 dBFS.
const LEVEL: f32 = 0.1;

pub(super) struct Synthetic {
    pace: Pace,
    rate_hz: f32,
    sample: u64,
}

impl Synthetic {
    pub(super) fn new(rate_hz: u32) -> Self {
        Self { pace: Pace::new(), rate_hz: rate_hz as f32, sample: 0 }
    }

    fn next(&mut self) -> f32 {
        let rate = self.rate_hz as u64;
        let (note, within) = (self.sample / rate, self.sample % rate);
        self.sample += 1;
        let hertz = MELODY_HZ.get(usize::try_from(note % 4).unwrap_or(0)).copied().unwrap_or_default();
        let time = within as f32 / self.rate_hz;
        // Each note fades in and out, so that it does not click.
        (std::f32::consts::TAU * hertz * time).sin() * LEVEL * (std::f32::consts::PI * time).sin()
    }
}

impl Card for Synthetic {
    fn read(&mut self, frame: &mut [f32]) -> Result<(), CardError> {
        self.pace.wait();
        for sample in frame {
            *sample = self.next();
        }
        Ok(())
    }

    fn write(&mut self, _: &[f32]) -> Result<(), CardError> {
        Ok(())
    }

    fn rest(&mut self) -> Result<(), CardError> {
        Ok(())
    }

    fn look(&mut self) -> Result<(), CardError> {
        Ok(())
    }

    fn take_xruns(&mut self) -> Xruns {
        Xruns::default()
    }
}
