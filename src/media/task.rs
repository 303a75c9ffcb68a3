//! The task of one call: it takes commands, reports events, and moves packets in both directions.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::call_sound::{NetworkEnd, call_sound};
use super::identity::Identity;
use super::packets::Packet;
use super::peer::{Answered, Negotiated, Peer};
use super::peer_events::PeerEvent;
use super::reader::{Reader, Reporter};
use super::repeats::Repeats;
use super::sdp::{self, DescriptionError, Fingerprint, Origin, ReceiveMap, Remote, Setup};
use super::send::{Encoded, SendControl};
use super::telephone_events::{DigitReceiver, DigitSender};
use super::{MediaContext, MediaError};
use crate::core::{MediaCommand, MediaEvent, MediaId};
use crate::signaling::Candidate;

/// Number of the far end's candidates that can wait for its description (docs/workarounds.md, "webrtc: candidates
/// before the description fail").
const MAX_EARLY_CANDIDATES: usize = 64;
/// Number of the far end's candidates in one peer connection; those beyond are dropped.
const MAX_CANDIDATES: usize = 256;

/// Time limit for ICE and DTLS of a peer connection that replaced another one.
const REPLACED_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the media of one call until it is closed or the sender of its commands is dropped. `setup` is the DTLS role in
/// the offer that is to be answered, if there is one.
pub(super) async fn run(
    media: MediaId,
    context: Arc<MediaContext>,
    identity: Arc<Identity>,
    mut commands: mpsc::Receiver<MediaCommand>,
    events: mpsc::Sender<(MediaId, MediaEvent)>,
    setup: Option<Setup>,
) {
    let reporter = Reporter { media, events };
    // On the heap (docs/workarounds.md, "webrtc: its futures are large").
    let made = Box::pin(CallMedia::new(media, Arc::clone(&context), &identity, reporter.clone(), setup)).await;
    let (mut call, mut peer_events) = match made {
        Ok(made) => made,
        Err(error) => return reporter.report(MediaEvent::Failed(error.to_string())).await,
    };
    let mut has_sound = true;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(MediaCommand::Close) | None => break,
                Some(command) => {
                    if let Err(error) = Box::pin(call.command(command)).await {
                        let message = error.to_string();
                        let event = match &error {
                            MediaError::Description(why) => MediaEvent::Refused { code: why.sip_code(), message },
                            _ => MediaEvent::Failed(message),
                        };
                        reporter.report(event).await;
                    }
                    if let Some(events) = call.new_events.take() {
                        peer_events = events;
                    }
                }
            },
            Some(event) = peer_events.recv() => call.peer_event(event).await,
            () = call.peer.gate.closed.notified() => call.dtls_closed().await,
            () = sleep_until(call.connection_due.unwrap_or_else(tokio::time::Instant::now)), if call.connection_due.is_some() => {
                call.connection_due = None;
                if !call.connected {
                    reporter.report(MediaEvent::Disconnected).await;
                }
            }
            _ = call.wake.readable(), if has_sound => {
                // The content of the pipe has no meaning. Its end means that the sound is gone; it stays readable then.
                has_sound = !matches!(call.wake.try_read(&mut [0_u8; 64]), Ok(0));
                call.send_packets().await;
            }
        }
    }
    call.close().await;
}

pub(super) struct CallMedia {
    pub(super) media: MediaId,
    pub(super) context: Arc<MediaContext>,
    pub(super) peer: Peer,
    pub(super) reporter: Reporter,
    pub(super) encoded: Consumer<Encoded>,
    pub(super) tones: Consumer<char>,
    pub(super) began: Instant,
    pub(super) send_control: Arc<SendControl>,
    pub(super) wake: pipe::Receiver,
    pub(super) received: Arc<Mutex<Producer<Packet>>>,
    pub(super) sound: Option<Box<dyn crate::sound::CallSound>>,
    pub(super) receive_map: Arc<RwLock<ReceiveMap>>,
    pub(super) early_candidates: VecDeque<Candidate>,
    /// Number of candidates that the far end has trickled.
    pub(super) candidates: usize,
    /// The far end's DTLS certificate.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) identity: Arc<Identity>,
    /// The time by which a peer connection that replaced another one must be connected.
    pub(super) connection_due: Option<tokio::time::Instant>,
    /// The events of a peer connection that has just replaced another one.
    pub(super) new_events: Option<mpsc::Receiver<PeerEvent>>,
    pub(super) described: bool,
    pub(super) connected: bool,
    pub(super) reader: Option<JoinHandle<()>>,
    pub(super) digits: DigitSender,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) digit_timestamp: u32,
    pub(super) digit_sent: Option<Instant>,
    pub(super) talking: bool,
    pub(super) repeats: Repeats,
}

impl CallMedia {
    async fn new(
        media: MediaId,
        context: Arc<MediaContext>,
        identity: &Arc<Identity>,
        reporter: Reporter,
        setup: Option<Setup>,
    ) -> Result<(Self, mpsc::Receiver<PeerEvent>), MediaError> {
        let mut random = [0_u8; 10];
        getrandom::fill(&mut random).map_err(|error| MediaError::System(error.to_string()))?;
        let [s0, s1, s2, s3, t0, t1, t2, t3, q0, q1] = random;
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]).max(1);
        let (sound, network) = call_sound(context.rate_hz, context.in_band, Arc::clone(&context.meters))?;
        let NetworkEnd { received, encoded, tones, wake, control, began } = network;
        let wake = pipe::Receiver::from_owned_fd(wake).map_err(|error| MediaError::System(error.to_string()))?;
        let origin = Origin::new(u32::from_be_bytes([q0, q1, t0, t1]));
        let making = Peer::new(&context, identity.as_ref(), ssrc, Arc::clone(&control), origin, setup);
        // docs/workarounds.md, "webrtc: its futures are large".
        let (peer, events) = Box::pin(making).await?;
        let call = Self {
            media,
            context,
            peer,
            reporter,
            received: Arc::new(Mutex::new(received)),
            encoded,
            tones,
            began,
            send_control: control,
            wake,
            sound: Some(sound),
            receive_map: Arc::default(),
            early_candidates: VecDeque::new(),
            candidates: 0,
            fingerprint: None,
            identity: Arc::clone(identity),
            connection_due: None,
            new_events: None,
            described: false,
            connected: false,
            reader: None,
            digits: DigitSender::default(),
            sequence: u16::from_be_bytes([q0, q1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            digit_timestamp: 0,
            digit_sent: None,
            talking: false,
            repeats: Repeats::default(),
        };
        Ok((call, events))
    }

    async fn command(&mut self, command: MediaCommand) -> Result<(), MediaError> {
        match command {
            MediaCommand::Offer => {
                let sdp = self.peer.offer().await?;
                self.reporter.report(MediaEvent::LocalOffer { sdp: sdp.into() }).await;
            }
            MediaCommand::RestartIce => {
                let sdp = self.peer.restart().await?;
                self.reporter.report(MediaEvent::LocalOffer { sdp: sdp.into() }).await;
            }
            MediaCommand::Answer { offer } => self.answer(&offer, false).await?,
            MediaCommand::AnswerUpdate { offer } => self.answer(&offer, true).await?,
            MediaCommand::ApplyAnswer { answer } => self.apply_answer(&answer).await?,
            MediaCommand::AddCandidate(candidate) => {
                if self.candidates >= MAX_CANDIDATES {
                    return Ok(());
                }
                self.candidates += 1;
                if self.described {
                    self.add_candidate(candidate).await;
                } else if self.early_candidates.len() < MAX_EARLY_CANDIDATES {
                    self.early_candidates.push_back(candidate);
                }
            }
            MediaCommand::SendDigits(digits) => self.digits.push(&digits),
            MediaCommand::Close => {}
        }
        Ok(())
    }

    async fn answer(&mut self, offer: &str, update: bool) -> Result<(), MediaError> {
        if update && sdp::wants_no_audio(offer) {
            // This is a fax, or a far end that wants silence. The call stays.
            let refusal = sdp::refuse_all(offer, &mut self.peer.origin);
            let sdp = refusal.ok_or(MediaError::Description(DescriptionError::NotSdp))?;
            self.reporter.report(MediaEvent::LocalAnswer { sdp: sdp.into(), far_end_holds: true }).await;
            return Ok(());
        }
        let remote = Remote::parse(offer)?;
        // An offer without a codec of ours is refused before anything is created for it (docs/workarounds.md, "webrtc:
        // no common codec is found too late").
        remote.codec(&self.context.config.codecs)?;
        let answered = if !update {
            self.peer.answer(&remote).await?
        } else if self.is_another(remote.fingerprint()) {
            self.replace_peer(&remote).await?
        } else {
            match self.peer.answer(&remote).await {
                // docs/workarounds.md, "webrtc: its reader of descriptions is strict".
                Err(MediaError::Library(_)) => self.replace_peer(&remote).await?,
                answered => answered?,
            }
        };
        self.fingerprint = Some(remote.fingerprint().clone());
        self.tell_unusable(remote.unusable_candidates()).await;
        self.negotiated(answered.negotiated).await;
        let event = MediaEvent::LocalAnswer { sdp: answered.sdp.into(), far_end_holds: answered.far_end_holds };
        self.reporter.report(event).await;
        Ok(())
    }

    /// A far end with another DTLS certificate is another endpoint, such as a process that was restarted. The library
    /// cannot follow it, so a new peer connection answers (docs/workarounds.md, "rtc: a new dtls certificate cannot be
    /// followed"). The old one stays until the answer is made.
    async fn replace_peer(&mut self, offer: &Remote) -> Result<Answered, MediaError> {
        let (control, origin) = (Arc::clone(&self.send_control), self.peer.origin);
        let making = Peer::new(&self.context, &self.identity, self.peer.ssrc, control, origin, offer.setup());
        let (mut peer, events) = Box::pin(making).await?;
        let answered = match peer.answer(offer).await {
            Ok(answered) => answered,
            Err(error) => {
                // docs/workarounds.md, "webrtc: a dropped connection leaks".
                peer.close().await;
                return Err(error);
            }
        };
        std::mem::replace(&mut self.peer, peer).close().await;
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        self.new_events = Some(events);
        self.connected = false;
        self.described = false;
        self.candidates = 0;
        self.connection_due = Some(tokio::time::Instant::now() + REPLACED_PATIENCE);
        Ok(answered)
    }

    fn is_another(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint.as_ref().is_some_and(|known| known != fingerprint)
    }

    async fn apply_answer(&mut self, answer: &str) -> Result<(), MediaError> {
        if !self.peer.is_offering() {
            return Ok(());
        }
        let remote = Remote::parse(answer)?;
        if self.is_another(remote.fingerprint()) {
            return Err(MediaError::AnotherEndpoint);
        }
        if let Some(negotiated) = self.peer.apply_answer(&remote).await? {
            self.fingerprint = Some(remote.fingerprint().clone());
            self.tell_unusable(remote.unusable_candidates()).await;
            self.negotiated(negotiated).await;
        }
        Ok(())
    }

    /// Called when both descriptions are known, so that sound can flow.
    async fn negotiated(&mut self, negotiated: Negotiated) {
        let Negotiated { codec, theirs, ours } = negotiated;
        let telephone_events = ours.has_events() && theirs.has_events();
        self.receive_map.write().unwrap_or_else(PoisonError::into_inner).negotiated([ours, theirs]);
        self.send_control.set_codec(codec);
        self.described = true;
        let early = std::mem::take(&mut self.early_candidates);
        for candidate in early {
            self.add_candidate(candidate).await;
        }
        if let Some(sound) = self.sound.take() {
            (self.context.attach)(self.media, Some(sound));
        }
        self.reporter.report(MediaEvent::Negotiated { telephone_events }).await;
    }

    async fn add_candidate(&mut self, candidate: Candidate) {
        let usable = self.peer.add_candidate(candidate).await;
        self.tell_unusable(u32::from(!usable)).await;
    }

    async fn tell_unusable(&mut self, count: u32) {
        if count > 0 {
            self.reporter.report(MediaEvent::UnusableCandidates(count)).await;
        }
    }

    async fn peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Candidate(candidate) => self.reporter.report(MediaEvent::LocalCandidate(candidate)).await,
            PeerEvent::CandidatesComplete => self.reporter.report(MediaEvent::CandidatesComplete).await,
            PeerEvent::Connected => self.transport_connected().await,
            PeerEvent::Disconnected | PeerEvent::Failed => {
                self.connected = false;
                self.reporter.report(MediaEvent::Disconnected).await;
            }
            PeerEvent::Track(track) => {
                // docs/workarounds.md, "webrtc: a track says again that it opens".
                if let Some(reader) = self.reader.take() {
                    reader.abort();
                }
                let reader = Reader {
                    received: Arc::clone(&self.received),
                    map: Arc::clone(&self.receive_map),
                    reporter: self.reporter.clone(),
                    digits: DigitReceiver::default(),
                    began: self.began,
                    reported: None,
                    packets: self.context.packets.clone(),
                };
                self.reader = Some(tokio::spawn(reader.run(track)));
            }
        }
    }

    /// Called when the library reports a connection. Sound can pass if DTLS has produced keys and has not been closed
    /// since.
    async fn transport_connected(&mut self) {
        let Some(protection) = self.peer.protection().await else { return };
        let closed = self.peer.gate.tell(|guard| {
            guard.keys_up(protection);
            guard.is_closed()
        });
        if !closed {
            self.connected = true;
            self.reporter.report(MediaEvent::Connected).await;
        }
    }

    /// Reports that DTLS is closed. The library itself treats a closed DTLS like a connected one (docs/workarounds.md,
    /// "rtc: a closed dtls counts as connected").
    async fn dtls_closed(&mut self) {
        self.connected = false;
        self.reporter.report(MediaEvent::Closed).await;
    }

    /// Closes the peer connection (docs/workarounds.md, "webrtc: a dropped connection leaks").
    async fn close(mut self) {
        (self.context.attach)(self.media, None);
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        self.peer.close().await;
    }
}
