//! Media proof: "established" is one thing, heard another.
//!
//! A call is alive while packets of any kind come from the far end or ICE has a consented pair
//! (RFC 7675). The peer connection says [`super::MediaEvent::Disconnected`] after 2 s of nothing at
//! all, and [`super::MediaEvent::Received`] while sound comes. A dead call is repaired in steps, each
//! with a deadline; one that cannot be repaired ends with a cause, never as a silent zombie.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::{Call, Direction, Phase, Update};
use super::cause::Cause;
use super::effect::{Effect, MediaCommand};
use super::fact::{Fact, MissingSound, RepairOutcome, RepairStep};
use super::station::Station;
use super::time::Time;
use crate::config::{CallAction, LineChoice, Order, Sound};

/// ICE of a new call has this long before the first repair.
const SETUP_PATIENCE: Duration = Duration::from_secs(5);
/// ICE of a call on hold is let go for this long: nobody misses it yet.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);
/// DTLS was closed: the hangup that goes with it has this long.
const CLOSED_PATIENCE: Duration = Duration::from_secs(1);
/// Each step of a repair has this long.
pub(super) const STEP_PATIENCE: Duration = Duration::from_secs(5);
/// From both descriptions to a new peer connection: what DTLS loses on a bad network comes again after a second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(8);
/// An update that met one of the far end is tried again so often before the next step.
const MAX_GLARES: u32 = 2;
/// So often a new description gives its step the whole time again: on a bad network signaling takes most of it.
const MAX_NEGOTIATIONS: u32 = 3;
/// A dead call without a session waits so long for one: repairs need it.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(60);
/// Connected, and no sound for so long in one direction: it is asked for once.
const SILENCE: Duration = Duration::from_secs(5);

/// What is known of the media of a call that is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Proof {
    step: Step,
    /// ICE is lost since then, or was never there since the call is up.
    lost_at: Time,
    was_connected: bool,
    /// The newest sound from the far end.
    sound_at: Time,
    /// The server does not hear us since then (`ice_media`).
    unheard_since: Option<Time>,
    /// How often the step's update has met one of the far end.
    glares: u32,
    /// Offers and answers exchanged in this step.
    negotiations: u32,
    /// The one `update` for a silent call is spent.
    asked: bool,
    /// It could not be sent yet: again at this time.
    ask_at: Option<Time>,
    /// What people are told.
    missing: Option<MissingSound>,
}

/// Where a repair stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Step {
    /// Nothing to repair, or not yet.
    Watching,
    /// A repair needs the session, which is lost.
    WaitingForSession { until: Time },
    /// The far end has closed DTLS. Most do so when they hang up, so the word of the server has some time to come.
    Closed { until: Time },
    /// A step is in work.
    Repairing { step: RepairStep, until: Time },
}

impl Proof {
    pub(super) fn new(connected: bool, now: Time) -> Self {
        Self {
            step: Step::Watching,
            lost_at: now,
            was_connected: connected,
            sound_at: now,
            unheard_since: None,
            glares: 0,
            negotiations: 0,
            asked: false,
            ask_at: None,
            missing: None,
        }
    }

    /// When something is due. The silence of a call on hold proves nothing; its consent does.
    pub(super) fn deadline(&self, connected: bool, on_hold: bool) -> Option<Time> {
        match self.step {
            Step::WaitingForSession { until } | Step::Closed { until } | Step::Repairing { until, .. } => Some(until),
            Step::Watching if connected && on_hold => None,
            Step::Watching if connected => self.silence_at(),
            Step::Watching if on_hold => Some(self.lost_at + HOLD_PATIENCE),
            Step::Watching if self.was_connected => Some(self.lost_at),
            Step::Watching => Some(self.lost_at + SETUP_PATIENCE),
        }
    }

    /// When the next thing about silence is due: it is told, or asked about.
    fn silence_at(&self) -> Option<Time> {
        let told_down = matches!(self.missing, Some(MissingSound::Downlink | MissingSound::Both));
        let told_up = matches!(self.missing, Some(MissingSound::Uplink | MissingSound::Both));
        let down = (!told_down).then_some(self.sound_at + SILENCE);
        let up = self.unheard_since.filter(|_| !told_up).map(|since| since + SILENCE);
        let ask = self.ask_at.filter(|_| self.missing.is_some() && !self.asked);
        [down, up, ask].into_iter().flatten().min()
    }

    fn missing_now(&self, now: Time) -> Option<MissingSound> {
        let downlink = now.since(self.sound_at) >= SILENCE;
        let uplink = self.unheard_since.is_some_and(|since| now.since(since) >= SILENCE);
        match (downlink, uplink) {
            (true, true) => Some(MissingSound::Both),
            (true, false) => Some(MissingSound::Downlink),
            (false, true) => Some(MissingSound::Uplink),
            (false, false) => None,
        }
    }

    /// Which direction of a connected call is silent.
    pub(super) fn missing(&self) -> Option<MissingSound> {
        self.missing
    }

    /// The repair that is in work.
    pub(super) fn repairing(&self) -> Option<RepairStep> {
        match self.step {
            Step::Repairing { step, .. } => Some(step),
            Step::Watching | Step::WaitingForSession { .. } | Step::Closed { .. } => None,
        }
    }
}

impl Station {
    fn proof(&mut self, line: usize) -> Option<&mut Proof> {
        match self.lines.call_mut(line) {
            Some(Call { phase: Phase::Established { proof, .. }, .. }) => Some(proof),
            _ => None,
        }
    }

    /// ICE and DTLS came up, or went.
    pub(super) fn media_connected(&mut self, line: usize, connected: bool) {
        let now = self.now.at;
        let Some(call) = self.lines.call_mut(line) else { return };
        if call.connected == connected {
            // A restart of ICE that never lost the old pair ends here too.
            if connected {
                self.repaired(line);
            }
            return;
        }
        call.connected = connected;
        let call_id = call.id.0.clone();
        self.fact(Fact::Media { call_id, connected });
        if connected {
            self.repaired(line);
        } else if let Some(proof) = self.proof(line) {
            proof.lost_at = now;
            self.run_proof(line);
        }
    }

    /// DTLS of the call is over: no sound passes any more, whatever ICE says.
    pub(super) fn media_closed(&mut self, line: usize) {
        let until = self.now.at + CLOSED_PATIENCE;
        let Some(call) = self.lines.call_mut(line) else { return };
        if std::mem::replace(&mut call.connected, false) {
            let call_id = call.id.0.clone();
            self.fact(Fact::Media { call_id, connected: false });
        }
        match self.proof(line) {
            Some(Proof { step: Step::Repairing { step: RepairStep::NewPeerConnection, .. }, .. }) => {
                self.repair_refused(line);
            }
            Some(proof) => proof.step = Step::Closed { until },
            None => {}
        }
    }

    fn repaired(&mut self, line: usize) {
        let now = self.now.at;
        let Some(proof) = self.proof(line) else { return };
        proof.was_connected = true;
        proof.sound_at = now;
        let step = std::mem::replace(&mut proof.step, Step::Watching);
        self.settle_missing(line);
        if let Step::Repairing { step, .. } = step {
            self.tell_repair(line, step, RepairOutcome::Worked);
        }
    }

    /// Sound came from the far end.
    pub(super) fn sound_received(&mut self, line: usize) {
        let now = self.now.at;
        let Some(proof) = self.proof(line) else { return };
        proof.sound_at = now;
        self.settle_missing(line);
    }

    /// The server's word whether it hears us (`ice_media`).
    pub(super) fn server_hears(&mut self, line: usize, receiving: bool) {
        let now = self.now.at;
        let Some(proof) = self.proof(line) else { return };
        proof.unheard_since = (!receiving).then(|| proof.unheard_since.unwrap_or(now));
        self.settle_missing(line);
    }

    fn settle_missing(&mut self, line: usize) {
        let now = self.now.at;
        let Some(proof) = self.proof(line) else { return };
        let missing = proof.missing_now(now);
        if proof.missing.is_some() && proof.missing != missing {
            self.tell_missing(line, missing);
        }
    }

    fn tell_missing(&mut self, line: usize, missing: Option<MissingSound>) {
        let Some(proof) = self.proof(line) else { return };
        proof.missing = missing;
        if let Some(call) = self.lines.call(line) {
            let call_id = call.id.0.clone();
            self.fact(Fact::Silence { call_id, missing });
        }
    }

    /// The call comes back from hold: what it proved before is stale.
    pub(super) fn proof_starts_again(&mut self, line: usize) {
        let now = self.now.at;
        let Some(call) = self.lines.call_mut(line) else { return };
        let connected = call.connected;
        if let Phase::Established { proof, .. } = &mut call.phase {
            let asked = proof.asked;
            let unheard_since = (call.server_hears_us == Some(false)).then_some(now);
            *proof = Proof { asked, unheard_since, ..Proof::new(connected, now) };
        }
    }

    /// An address of this machine is gone: the pair may be dead before ICE knows.
    pub(super) fn address_lost(&mut self, line: usize) {
        let up = self.session.is_up();
        let until = self.now.at + OFFLINE_PATIENCE;
        let Some(proof) = self.proof(line) else { return };
        if up {
            self.repair(line, RepairStep::IceRestart);
        } else {
            proof.step = Step::WaitingForSession { until };
        }
    }

    /// The session is back: a repair that needs it begins.
    pub(super) fn repair_after_reconnect(&mut self, line: usize) {
        let Some(call) = self.lines.call(line) else { return };
        let connected = call.connected;
        let Phase::Established { proof, .. } = &call.phase else { return };
        let waits = matches!(proof.step, Step::WaitingForSession { .. });
        let interrupted = matches!(proof.step, Step::Repairing { .. });
        if connected && !waits && !interrupted {
            return;
        }
        // A call that was set up while the session was lost has its first patience yet.
        if waits || interrupted || proof.was_connected {
            self.repair(line, RepairStep::IceRestart);
        }
    }

    /// The far end's offer went down with the socket: it is answered first, and our own follows where
    /// that has not helped.
    pub(super) fn answer_before_repair(&mut self, line: usize, offer: String) {
        let retry = self.after_glare();
        self.reinvited(line, offer);
        let connected = self.lines.call(line).is_some_and(|call| call.connected);
        let Some(proof) = self.proof(line) else { return };
        if connected && proof.step == Step::Watching {
            return;
        }
        proof.step = Step::Repairing { step: RepairStep::IceRestart, until: retry + STEP_PATIENCE };
        proof.glares = 0;
        if let Some(call) = self.lines.call_mut(line) {
            call.update = Update::RetryAt(retry);
        }
        self.tell_repair(line, RepairStep::IceRestart, RepairOutcome::Started);
    }

    /// Does what is due on a line.
    pub(super) fn run_proof(&mut self, line: usize) {
        let now = self.now.at;
        let Some(call) = self.lines.call(line) else { return };
        let (connected, on_hold) = (call.connected, call.is_on_hold());
        let Phase::Established { proof, .. } = &call.phase else { return };
        if proof.deadline(connected, on_hold).is_none_or(|deadline| now < deadline) {
            return;
        }
        match proof.step {
            Step::Watching if connected => self.ask_for_sound(line),
            Step::Watching if self.session.is_up() => self.repair(line, RepairStep::IceRestart),
            Step::Watching => {
                let until = proof.lost_at + OFFLINE_PATIENCE;
                if let Some(proof) = self.proof(line) {
                    proof.step = Step::WaitingForSession { until: until.max(now + STEP_PATIENCE) };
                }
            }
            Step::WaitingForSession { .. } if connected => {
                if let Some(proof) = self.proof(line) {
                    proof.step = Step::Watching;
                }
            }
            Step::WaitingForSession { .. } => self.give_up(line),
            Step::Closed { .. } => self.media_broke(line),
            // The pair never went.
            Step::Repairing { step: RepairStep::IceRestart, .. } if connected => {
                if let Some(proof) = self.proof(line) {
                    proof.step = Step::Watching;
                }
                self.tell_repair(line, RepairStep::IceRestart, RepairOutcome::Worked);
            }
            Step::Repairing { step, .. } => self.step_failed(line, step),
        }
    }

    /// ICE is connected and no sound comes: a far end may be muted. Asked for once, then only told.
    fn ask_for_sound(&mut self, line: usize) {
        let now = self.now.at;
        let Some(proof) = self.proof(line) else { return };
        proof.ask_at = None;
        let missing = proof.missing_now(now);
        if proof.missing != missing {
            self.tell_missing(line, missing);
        }
        if missing.is_none() {
            return;
        }
        let Some(call) = self.lines.call_mut(line) else { return };
        let (media, idle) = (call.media, call.update == Update::Idle);
        let Phase::Established { proof, .. } = &mut call.phase else { return };
        if !idle || !self.session.is_up() {
            proof.ask_at = Some(now + SILENCE);
            return;
        }
        if std::mem::replace(&mut proof.asked, true) {
            return;
        }
        call.update = Update::Preparing;
        if let Some(media) = media {
            self.push(Effect::Media(media, MediaCommand::Offer));
        }
    }

    /// The `update` for a silent call met one of the far end: it is not spent.
    pub(super) fn ask_again(&mut self, line: usize, at: Time) {
        if let Some(proof) = self.proof(line)
            && proof.asked
            && proof.step == Step::Watching
        {
            proof.asked = false;
            proof.ask_at = Some(at + Duration::from_millis(1));
        }
    }

    /// A repair's offer was refused, or its peer connection cannot go on: the next step, now.
    pub(super) fn repair_refused(&mut self, line: usize) {
        let step = self.proof(line).and_then(|proof| proof.repairing());
        if let Some(step) = step {
            self.step_failed(line, step);
        }
    }

    /// Two updates met, and ours comes again at `retry`: its step waits for that, but not for ever.
    pub(super) fn repair_delayed(&mut self, line: usize, retry: Time) {
        let Some(proof) = self.proof(line) else { return };
        proof.glares += 1;
        let stuck = proof.glares > MAX_GLARES;
        match &mut proof.step {
            Step::Repairing { .. } if stuck => self.repair_refused(line),
            Step::Repairing { until, .. } => *until = retry + STEP_PATIENCE,
            Step::Watching | Step::WaitingForSession { .. } | Step::Closed { .. } => {}
        }
    }

    /// Both descriptions of a call that is up are exchanged, whoever offered: ICE starts only now.
    pub(super) fn negotiated(&mut self, line: usize) {
        let now = self.now.at;
        let Some(proof) = self.proof(line) else { return };
        if let Step::Repairing { step, until } = &mut proof.step
            && proof.negotiations < MAX_NEGOTIATIONS
        {
            let patience = if *step == RepairStep::IceRestart { STEP_PATIENCE } else { CONNECT_PATIENCE };
            proof.negotiations += 1;
            *until = (now + patience).max(*until);
        }
    }

    /// The peer connection of a call that is up cannot go on: a new one.
    pub(super) fn media_broke(&mut self, line: usize) {
        match self.proof(line).and_then(|proof| proof.repairing()) {
            Some(RepairStep::NewPeerConnection) => self.step_failed(line, RepairStep::NewPeerConnection),
            _ if self.session.is_up() => self.repair(line, RepairStep::NewPeerConnection),
            _ => {
                let until = self.now.at + OFFLINE_PATIENCE;
                if let Some(proof) = self.proof(line) {
                    proof.step = Step::WaitingForSession { until };
                }
                if let Some(call) = self.lines.call_mut(line) {
                    call.connected = false;
                }
            }
        }
    }

    fn step_failed(&mut self, line: usize, step: RepairStep) {
        self.tell_repair(line, step, RepairOutcome::Failed);
        if !self.session.is_up() {
            let until = self.now.at + OFFLINE_PATIENCE;
            if let Some(proof) = self.proof(line) {
                proof.step = Step::WaitingForSession { until };
            }
            return;
        }
        match step {
            RepairStep::IceRestart => self.repair(line, RepairStep::NewPeerConnection),
            RepairStep::NewPeerConnection | RepairStep::Redial => self.redial_or_end(line),
        }
    }

    fn repair(&mut self, line: usize, step: RepairStep) {
        let until = self.now.at + STEP_PATIENCE;
        let Some(proof) = self.proof(line) else { return };
        proof.step = Step::Repairing { step, until };
        proof.glares = 0;
        proof.negotiations = 0;
        self.tell_repair(line, step, RepairOutcome::Started);
        match step {
            RepairStep::IceRestart => self.restart_ice(line),
            RepairStep::NewPeerConnection | RepairStep::Redial => self.replace_media(line),
        }
    }

    /// A new peer connection in place of the old one.
    fn replace_media(&mut self, line: usize) {
        let media = self.new_media(MediaCommand::Offer);
        let Some(call) = self.lines.call_mut(line) else { return };
        let old = call.media.replace(media);
        call.connected = false;
        call.candidates.clear();
        call.update = Update::Preparing;
        if let Some(old) = old {
            self.push(Effect::Media(old, MediaCommand::Close));
        }
    }

    /// The last step: hang up, and call once more if it was us who called.
    fn redial_or_end(&mut self, line: usize) {
        let Some(call) = self.lines.call(line) else { return };
        // Somebody who is served by another call wants no second one.
        let alone = self.lines.active().all(|(other, _)| other == line);
        let again = call.direction == Direction::Outgoing && !call.redial && alone && !self.shutting_down;
        let (number, origin, ring) = (call.number.clone(), call.origin.clone(), call.ring);
        if !again {
            return self.give_up(line);
        }
        self.tell_repair(line, RepairStep::Redial, RepairOutcome::Started);
        self.hang_up(line, Cause::new(408, "no media, and no repair helped: called once more"));
        let action = CallAction { numbers: vec![number], line: LineChoice::Any, ring, order: Order::Serial };
        self.play(Sound::Connecting, false);
        self.redial(&origin, &action);
    }

    fn give_up(&mut self, line: usize) {
        self.hang_up(line, Cause::new(408, "no media: ICE found no way to the far end"));
        self.play(Sound::NoConnection, false);
    }

    fn tell_repair(&mut self, line: usize, step: RepairStep, outcome: RepairOutcome) {
        if let Some(call) = self.lines.call(line) {
            let call_id = call.id.0.clone();
            self.fact(Fact::Repair { call_id, step, outcome });
        }
    }
}
