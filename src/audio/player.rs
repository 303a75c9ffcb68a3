//! What the station itself plays: a sign, the tone that repeats, and announcements.
//!
//! A sign is a short sound that is heard at once and replaces the sign before it. An announcement follows the one that is
//! being played. While either is heard at the loudspeaker, the tone is silent there.

use super::gate::Gate;
use super::sounds::SoundBank;
use crate::config::{PlayTo, Playable, Sound};

/// An amplifier that wakes up with the card swallows its first moment. An announcement begins after so many frames.
const LEAD_IN_FRAMES: u32 = 20;
/// Sounds that may fade out in one frame: a sign, an announcement and a tone.
const MAX_FADING: usize = 3;

/// A sound that is being played.
#[derive(Clone, Copy)]
struct Playing {
    what: Playable,
    position: usize,
    to: PlayTo,
}

impl Playing {
    fn new(what: Playable, to: PlayTo) -> Self {
        Self { what, position: 0, to }
    }
}

pub(super) struct Player {
    sounds: SoundBank,
    sign: Option<Playing>,
    tone: Option<Playing>,
    tone_gate: Gate,
    announcement: Option<Playing>,
    /// It begins when the announcement before it is over.
    next: Option<Playing>,
    /// Sounds that were interrupted: they have one more frame to fade out.
    fading: [Option<Playing>; MAX_FADING],
    /// The number of frames since the card began to run, up to the length of the lead-in.
    ran: u32,
    /// One sound alone.
    frame: Vec<f32>,
    near: Vec<f32>,
    far: Vec<f32>,
}

impl Player {
    pub(super) fn new(sounds: SoundBank, frame: usize) -> Self {
        Self {
            sounds,
            sign: None,
            tone: None,
            tone_gate: Gate::default(),
            announcement: None,
            next: None,
            fading: [None; MAX_FADING],
            ran: 0,
            frame: vec![0.0; frame],
            near: vec![0.0; frame],
            far: vec![0.0; frame],
        }
    }

    /// Plays a sign once, in place of the one before it. `to_calls`: the calls hear it too.
    pub(super) fn sign(&mut self, sound: Sound, to_calls: bool) {
        let to = if to_calls { PlayTo::Both } else { PlayTo::Near };
        let old = self.sign.replace(Playing::new(Playable::Sound(sound), to));
        self.fade(old);
    }

    /// Repeats this tone at the loudspeaker from now on.
    pub(super) fn set_tone(&mut self, sound: Option<Sound>) {
        let tone = sound.map(|sound| Playing::new(Playable::Sound(sound), PlayTo::Near));
        let old = std::mem::replace(&mut self.tone, tone);
        // A tone under another sound was not audible, so it does not fade.
        if !self.tone_gate.is_closed() {
            self.fade(old);
        }
        self.tone_gate = if self.tone_is_alone() { Gate::OPEN } else { Gate::default() };
    }

    /// Plays this after the announcement that is being played; `None` ends that one, and the one that waits.
    pub(super) fn announce(&mut self, what: Option<(Playable, PlayTo)>) {
        match what {
            Some((what, to)) if self.announcement.is_some() => self.next = Some(Playing::new(what, to)),
            Some((what, to)) => self.announcement = Some(Playing::new(what, to)),
            None => {
                self.next = None;
                let old = self.announcement.take().filter(|old| old.position > 0);
                self.fade(old);
            }
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.sign.is_none()
            && self.tone.is_none()
            && self.announcement.is_none()
            && self.fading.iter().all(Option::is_none)
    }

    /// The card has stopped.
    pub(super) fn rest(&mut self) {
        self.ran = 0;
    }

    /// What the loudspeaker plays in this frame.
    pub(super) fn near(&self) -> &[f32] {
        &self.near
    }

    /// What the calls hear of it in this frame.
    pub(super) fn far(&self) -> &[f32] {
        &self.far
    }

    /// Makes the next frame.
    pub(super) fn render(&mut self) {
        self.near.fill(0.0);
        self.far.fill(0.0);
        for fading in std::mem::take(&mut self.fading) {
            let Some(mut playing) = fading else { continue };
            self.read(&mut playing, true);
            self.mix(Gate::OPEN, false, playing.to);
        }
        let alone = self.tone_is_alone();
        if let Some(mut playing) = self.sign {
            let over = self.read(&mut playing, false);
            self.mix(Gate::OPEN, true, playing.to);
            self.sign = (!over).then_some(playing);
        }
        self.render_announcement();
        let mut gate = self.tone_gate;
        if let Some(mut playing) = self.tone
            && (alone || !gate.is_closed())
        {
            self.read(&mut playing, true);
            gate = self.mix(gate, alone, playing.to);
            self.tone = Some(playing);
        }
        self.tone_gate = gate;
        self.ran = self.ran.saturating_add(1).min(LEAD_IN_FRAMES);
    }

    fn render_announcement(&mut self) {
        let Some(mut playing) = self.announcement else { return };
        if playing.position == 0 && self.ran < LEAD_IN_FRAMES {
            return;
        }
        let over = self.read(&mut playing, false);
        self.mix(Gate::OPEN, true, playing.to);
        self.announcement = if over { self.next.take() } else { Some(playing) };
    }

    fn tone_is_alone(&self) -> bool {
        self.sign.is_none() && !self.announcement.is_some_and(|announcement| announcement.to.is_near())
    }

    fn fade(&mut self, old: Option<Playing>) {
        if let Some(slot) = self.fading.iter_mut().find(|slot| slot.is_none()) {
            *slot = old;
        }
    }

    /// Fills `frame` with the next samples of a sound. Returns whether the sound is over.
    fn read(&mut self, playing: &mut Playing, repeat: bool) -> bool {
        self.frame.fill(0.0);
        for to in &mut self.frame {
            let mut sample = self.sounds.sample(playing.what, playing.position);
            if sample.is_none() && repeat {
                playing.position = 0;
                sample = self.sounds.sample(playing.what, 0);
            }
            let Some(sample) = sample else { return true };
            *to = sample;
            playing.position += 1;
        }
        false
    }

    /// Adds `frame` to what is heard here, or by the calls, or both. Returns the gate as it is afterwards.
    fn mix(&mut self, gate: Gate, open: bool, to: PlayTo) -> Gate {
        // Each side goes through a gate in the same state.
        let (mut of_near, mut of_far) = (gate, gate);
        if to.is_far() {
            of_far.add(&mut self.far, &self.frame, open);
        }
        if to.is_near() {
            of_near.add(&mut self.near, &self.frame, open);
        }
        if to.is_near() { of_near } else { of_far }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Prompt, PromptIndex};

    const FRAME: usize = 480;
    const PROMPT: Playable = Playable::Prompt(PromptIndex(0));

    /// A player with one prompt: 1000 samples, each a little louder than the one before it.
    fn player() -> Player {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompt.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        (1..=1000_i16).for_each(|index| writer.write_sample(index * 16).unwrap());
        writer.finalize().unwrap();
        let prompt = Prompt { name: "one".into(), path, length: Default::default() };
        Player::new(SoundBank::new(48_000, &[], &[prompt]).unwrap(), FRAME)
    }

    /// What both sides hear in so many frames.
    fn heard(player: &mut Player, frames: usize) -> (Vec<f32>, Vec<f32>) {
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for _ in 0..frames {
            player.render();
            near.extend_from_slice(player.near());
            far.extend_from_slice(player.far());
        }
        (near, far)
    }

    fn loud(samples: &[f32]) -> usize {
        samples.iter().filter(|sample| **sample != 0.0).count()
    }

    #[test]
    fn an_announcement_is_heard_whole_by_those_whom_it_is_for() {
        for to in [PlayTo::Near, PlayTo::Far, PlayTo::Both] {
            let mut player = player();
            player.announce(Some((PROMPT, to)));
            let (near, far) = heard(&mut player, 30);
            assert_eq!((loud(&near) == 1000, loud(&far) == 1000), (to.is_near(), to.is_far()), "{to:?}");
            let first = (if to.is_near() { &near } else { &far }).iter().position(|sample| *sample != 0.0);
            let lead_in = usize::try_from(LEAD_IN_FRAMES).unwrap() * FRAME;
            assert_eq!(first, Some(lead_in), "an amplifier has time to wake up");
            assert!(player.is_quiet());
        }
    }

    #[test]
    fn announcements_follow_each_other_and_a_card_that_runs_needs_no_lead_in() {
        let mut player = player();
        heard(&mut player, 30);
        player.announce(Some((PROMPT, PlayTo::Near)));
        player.announce(Some((PROMPT, PlayTo::Near)));
        let (near, _) = heard(&mut player, 10);
        assert_eq!(near.first().copied(), Some(16.0 / 32_768.0));
        assert_eq!(loud(&near), 2000);
        player.rest();
        player.announce(Some((PROMPT, PlayTo::Near)));
        assert_eq!(loud(&heard(&mut player, 20).0), 0, "it was at rest");
    }

    #[test]
    fn an_announcement_that_ends_early_fades_and_the_one_that_waits_is_not_played() {
        let mut player = player();
        heard(&mut player, 30);
        player.announce(Some((PROMPT, PlayTo::Near)));
        player.announce(Some((PROMPT, PlayTo::Near)));
        heard(&mut player, 1);
        player.announce(None);
        let (near, _) = heard(&mut player, 5);
        assert!(near[0] > 0.2 && near[FRAME - 1].abs() < 0.01 && near[FRAME..].iter().all(|sample| *sample == 0.0));
        assert!(player.is_quiet());
    }

    #[test]
    fn the_tone_is_silent_under_an_announcement_at_the_loudspeaker_alone() {
        for (to, is_silent) in [(PlayTo::Near, true), (PlayTo::Far, false)] {
            let mut player = player();
            heard(&mut player, 30);
            player.announce(Some((PROMPT, to)));
            player.set_tone(Some(Sound::Ringback));
            player.render();
            let prompt = |index: usize| (index + 1) as f32 * 16.0 / 32_768.0;
            let alone = player.near().iter().enumerate().all(|(index, sample)| (sample - prompt(index)).abs() < 1e-6);
            assert_eq!(alone, is_silent, "{to:?}");
        }
    }
}
