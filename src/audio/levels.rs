//! The levels of loudspeaker and microphone: what is wanted, and how much of it the card does.

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};

/// No card, or a card without a kernel number.
const NONE: i32 = -1;

/// A level in millibel, 1/100 dB: the unit of alsa-lib's mixer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Millibel(pub(super) i32);

impl Millibel {
    /// The level as a factor of amplitude.
    fn factor(self) -> f32 {
        10.0_f32.powf(self.0 as f32 / 2000.0)
    }
}

/// The level of a volume of 0 to 100, relative to full volume. It follows a square law, which sounds like even steps.
/// `None` is silence.
pub(super) fn volume_level(volume: u8) -> Option<Millibel> {
    (volume > 0).then(|| Millibel((4000.0 * (f32::from(volume.min(100)) / 100.0).log10()).round() as i32))
}

/// The numbers of the open cards: [playback, capture].
pub(super) type CardNumbers = [Option<i32>; 2];

/// The station writes what is wanted, the mixer thread writes what the card does, and the audio thread does the rest in
/// software.
pub(super) struct Levels {
    volume: AtomicU8,
    capture_gain: Millibel,
    card_playback: AtomicI32,
    card_capture: AtomicI32,
    numbers: [AtomicI32; 2],
    /// How often a card was opened or lost. Each time, the levels that it was set to are forgotten.
    openings: AtomicU64,
}

impl Levels {
    pub(super) fn new(volume: u8, capture_gain_db: i32) -> Self {
        Self {
            volume: AtomicU8::new(volume),
            capture_gain: Millibel(capture_gain_db.saturating_mul(100)),
            card_playback: AtomicI32::new(0),
            card_capture: AtomicI32::new(0),
            numbers: [AtomicI32::new(NONE), AtomicI32::new(NONE)],
            openings: AtomicU64::new(0),
        }
    }

    /// The volume, 0 to 100.
    pub(super) fn volume(&self) -> u8 {
        self.volume.load(Ordering::Relaxed)
    }

    /// Sets the volume, and returns whether it has changed.
    pub(super) fn set_volume(&self, volume: u8) -> bool {
        self.volume.swap(volume, Ordering::Relaxed) != volume
    }

    pub(super) fn wanted_capture(&self) -> Millibel {
        self.capture_gain
    }

    /// Notes that a card was opened or lost: it does nothing for the levels yet.
    pub(super) fn opened(&self, numbers: CardNumbers) {
        self.card_playback.store(0, Ordering::Relaxed);
        self.card_capture.store(0, Ordering::Relaxed);
        for (to, number) in self.numbers.iter().zip(numbers) {
            to.store(number.unwrap_or(NONE), Ordering::Relaxed);
        }
        self.openings.fetch_add(1, Ordering::Release);
    }

    /// The open cards, and how often a card was opened or lost.
    pub(super) fn numbers(&self) -> (CardNumbers, u64) {
        let openings = self.openings.load(Ordering::Acquire);
        let number = |of: &AtomicI32| Some(of.load(Ordering::Relaxed)).filter(|number| *number != NONE);
        let [playback, capture] = &self.numbers;
        ([number(playback), number(capture)], openings)
    }

    /// Notes how much of the volume the card does.
    pub(super) fn card_does_playback(&self, level: Millibel) {
        self.card_playback.store(level.0, Ordering::Relaxed);
    }

    /// Notes how much of the microphone's gain the card does.
    pub(super) fn card_does_capture(&self, level: Millibel) {
        self.card_capture.store(level.0, Ordering::Relaxed);
    }

    /// The part of the volume that is applied in software, as a factor. It never exceeds 1: until the card has followed
    /// a higher volume, playback stays quieter.
    pub(super) fn playback_factor(&self) -> f32 {
        let card = self.card_playback.load(Ordering::Relaxed);
        volume_level(self.volume()).map_or(0.0, |wanted| Millibel((wanted.0 - card).min(0)).factor())
    }

    /// The part of the gain that is applied in software, as a factor.
    pub(super) fn capture_factor(&self) -> f32 {
        Millibel(self.capture_gain.0 - self.card_capture.load(Ordering::Relaxed)).factor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f32, other: f32) -> bool {
        (one - other).abs() < 1e-3
    }

    #[test]
    fn without_a_mixer_software_does_it_all() {
        let levels = Levels::new(50, 20);
        assert!(near(levels.playback_factor(), 0.25));
        assert!(near(levels.capture_factor(), 10.0));
        levels.set_volume(0);
        assert_eq!(levels.playback_factor(), 0.0);
    }

    #[test]
    fn software_does_what_the_steps_of_the_card_leave() {
        let levels = Levels::new(50, 20);
        // -12.04 dB is wanted, and the card has steps of 1.5 dB.
        levels.card_does_playback(Millibel(-1_200));
        levels.card_does_capture(Millibel(1_950));
        assert!(near(levels.playback_factor(), 0.9952));
        assert!(near(levels.capture_factor(), 1.0593));
    }

    #[test]
    fn a_card_that_is_still_low_is_not_amplified_and_one_that_was_opened_again_does_nothing_yet() {
        let levels = Levels::new(50, 0);
        levels.card_does_playback(Millibel(-1_200));
        levels.set_volume(100);
        assert_eq!(levels.playback_factor(), 1.0);
        levels.opened([Some(0), None]);
        levels.set_volume(50);
        assert!(near(levels.playback_factor(), 0.25));
        assert_eq!(levels.numbers().0, [Some(0), None]);
    }
}
