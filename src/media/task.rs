//! The task of one call: commands in, events out, packets both ways.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::shared::marshal::Marshal;
use rtrb::{Consumer, Producer};
use tokio::net::unix::pipe;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::call_sound::{NetworkEnd, call_sound, milliseconds};
use super::dtmf::{DigitReceiver, DigitSender};
use super::packets::Packet;
use super::peer::{Answered, Identity, Peer, PeerEvent, payload_list};
use super::repeats::Repeats;
use super::rtpdump::{CallPacket, RecordedPacket};
use super::sdp::{Payload, PayloadMap};
use super::send::{Encoded, SendControl};
use super::{MediaContext, MediaError};
use crate::config::Codec;
use crate::core::{MediaCommand, MediaEvent, MediaId};
use crate::signaling::Candidate;

/// Candidates of the far end that wait for its description.
const MAX_EARLY_CANDIDATES: usize = 64;
/// Candidates of the far end in one peer connection; those beyond are dropped.
const MAX_CANDIDATES: usize = 256;
/// Shortest time between two words that sound comes in.
const RECEIVED_INTERVAL: Duration = Duration::from_secs(1);

/// ICE and DTLS of a peer connection that took the place of another one.
const REPLACED_PATIENCE: Duration = Duration::from_secs(5);
/// A gateway makes tones of the digits that we send as events, and its line sends an echo of them.
const DEAF_AFTER_DIGIT: Duration = Duration::from_secs(2);

/// Tells the station what a call's media does.
#[derive(Clone)]
struct Reporter {
    media: MediaId,
    events: mpsc::Sender<(MediaId, MediaEvent)>,
}

impl Reporter {
    async fn report(&self, event: MediaEvent) {
        let _ = self.events.send((self.media, event)).await;
    }
}

/// Runs one call's media until it is closed or its sender is dropped.
pub(super) async fn run(
    media: MediaId,
    context: Arc<MediaContext>,
    identity: Arc<Identity>,
    mut commands: mpsc::Receiver<MediaCommand>,
    events: mpsc::Sender<(MediaId, MediaEvent)>,
) {
    let reporter = Reporter { media, events };
    // On the heap: the library's futures are large.
    let made = Box::pin(CallMedia::new(media, Arc::clone(&context), &identity, reporter.clone())).await;
    let (mut call, mut peer_events) = match made {
        Ok(made) => made,
        Err(error) => return reporter.report(MediaEvent::Failed(error.to_string())).await,
    };
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(MediaCommand::Close) | None => break,
                Some(command) => {
                    // The library rolls a re-offer that it cannot answer back.
                    let reoffer = matches!(command, MediaCommand::AnswerUpdate { .. });
                    if let Err(error) = Box::pin(call.command(command)).await {
                        let words = error.to_string();
                        let event = if reoffer { MediaEvent::UpdateRefused(words) } else { MediaEvent::Failed(words) };
                        reporter.report(event).await;
                    }
                    if let Some(events) = call.new_events.take() {
                        peer_events = events;
                    }
                }
            },
            Some(event) = peer_events.recv() => call.peer_event(event).await,
            () = sleep_until(call.proof_due.unwrap_or_else(tokio::time::Instant::now)), if call.proof_due.is_some() => {
                call.proof_due = None;
                if !call.connected {
                    reporter.report(MediaEvent::Disconnected).await;
                }
            }
            _ = call.wake.readable() => {
                // The bytes are only an alarm clock.
                let _ = call.wake.try_read(&mut [0_u8; 64]);
                call.send_packets().await;
            }
        }
    }
    call.close().await;
}

struct CallMedia {
    media: MediaId,
    context: Arc<MediaContext>,
    peer: Peer,
    reporter: Reporter,
    encoded: Consumer<Encoded>,
    tones: Consumer<char>,
    began: Instant,
    send_control: Arc<SendControl>,
    wake: pipe::Receiver,
    received: Arc<Mutex<Producer<Packet>>>,
    sound: Option<Box<dyn crate::sound::CallSound>>,
    receive_map: Arc<RwLock<PayloadMap>>,
    send_map: PayloadMap,
    early_candidates: VecDeque<Candidate>,
    /// Candidates that the far end has trickled.
    candidates: usize,
    /// The far end's DTLS certificate.
    fingerprint: Option<String>,
    identity: Arc<Identity>,
    /// A peer connection that took the place of another one must be connected by then.
    proof_due: Option<tokio::time::Instant>,
    /// Of a peer connection that took the place of another one.
    new_events: Option<mpsc::Receiver<PeerEvent>>,
    described: bool,
    connected: bool,
    reader: Option<JoinHandle<()>>,
    digits: DigitSender,
    sequence: u16,
    timestamp: u32,
    digit_timestamp: u32,
    digit_sent: Option<Instant>,
    talking: bool,
    repeats: Repeats,
}

impl CallMedia {
    async fn new(
        media: MediaId,
        context: Arc<MediaContext>,
        identity: &Arc<Identity>,
        reporter: Reporter,
    ) -> Result<(Self, mpsc::Receiver<PeerEvent>), MediaError> {
        let mut random = [0_u8; 10];
        getrandom::fill(&mut random).map_err(|error| MediaError::System(error.to_string()))?;
        let [s0, s1, s2, s3, t0, t1, t2, t3, q0, q1] = random;
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]).max(1);
        let (sound, network) = call_sound(context.rate_hz, context.in_band)?;
        let NetworkEnd { received, encoded, tones, wake, control, began } = network;
        let (peer, events) = Box::pin(Peer::new(&context, identity.as_ref(), ssrc, Arc::clone(&control))).await?;
        let wake = pipe::Receiver::from_owned_fd(wake).map_err(|error| MediaError::System(error.to_string()))?;
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
            receive_map: Arc::new(RwLock::new(PayloadMap::default())),
            send_map: PayloadMap::default(),
            early_candidates: VecDeque::new(),
            candidates: 0,
            fingerprint: None,
            identity: Arc::clone(identity),
            proof_due: None,
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
                self.reporter.report(MediaEvent::LocalOffer { sdp }).await;
            }
            MediaCommand::RestartIce => {
                let sdp = self.peer.restart().await?;
                self.reporter.report(MediaEvent::LocalOffer { sdp }).await;
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
                    self.peer.add_candidate(candidate).await;
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
        let common = super::sdp::Remote::parse(offer)
            .map_err(|error| MediaError::Sdp(error.to_string()))?
            .payloads()
            .preferred(&self.context.config.codecs);
        if common.is_none() {
            let none = MediaEvent::UpdateRefused("no codec that both sides know".into());
            self.reporter.report(if update { none } else { MediaEvent::NoCommonCodec }).await;
            return Ok(());
        }
        let fingerprint = super::sdp::fingerprint(offer);
        let answered = if update && self.is_another(fingerprint.as_deref()) {
            self.replace_peer(offer).await?
        } else {
            self.peer.answer(offer).await?
        };
        self.fingerprint = fingerprint.or(self.fingerprint.take());
        self.negotiated(answered.send, answered.receive, answered.theirs).await;
        let event = MediaEvent::LocalAnswer { sdp: answered.sdp, far_end_holds: answered.far_end_holds };
        self.reporter.report(event).await;
        Ok(())
    }

    /// A far end with another DTLS certificate is another endpoint (a process that started again): the
    /// library cannot follow it, so a new peer connection answers. The old one stays until that has worked.
    async fn replace_peer(&mut self, offer: &str) -> Result<Answered, MediaError> {
        let control = Arc::clone(&self.send_control);
        let (mut peer, events) = Box::pin(Peer::new(&self.context, &self.identity, self.peer.ssrc, control)).await?;
        let answered = match peer.answer(offer).await {
            Ok(answered) => answered,
            Err(error) => {
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
        self.proof_due = Some(tokio::time::Instant::now() + REPLACED_PATIENCE);
        Ok(answered)
    }

    fn is_another(&self, fingerprint: Option<&str>) -> bool {
        fingerprint.zip(self.fingerprint.as_deref()).is_some_and(|(theirs, known)| theirs != known)
    }

    async fn apply_answer(&mut self, answer: &str) -> Result<(), MediaError> {
        let fingerprint = super::sdp::fingerprint(answer);
        if self.peer.is_offering() && self.is_another(fingerprint.as_deref()) {
            return Err(MediaError::AnotherEndpoint);
        }
        self.fingerprint = self.fingerprint.take().or(fingerprint);
        if let Some(applied) = self.peer.apply_answer(answer).await? {
            if applied.send.is_none() {
                self.reporter.report(MediaEvent::NoCommonCodec).await;
            }
            self.negotiated(applied.send, applied.receive, applied.theirs).await;
        }
        Ok(())
    }

    /// Both descriptions are there: sound can flow.
    async fn negotiated(&mut self, send: Option<crate::config::Codec>, receive: PayloadMap, theirs: PayloadMap) {
        *self.receive_map.write().unwrap_or_else(PoisonError::into_inner) = receive;
        self.send_map = theirs;
        if let Some(codec) = send {
            self.send_control.set_codec(codec);
        }
        self.described = true;
        for candidate in std::mem::take(&mut self.early_candidates) {
            self.peer.add_candidate(candidate).await;
        }
        if let Some(sound) = self.sound.take() {
            (self.context.attach)(self.media, Some(sound));
        }
    }

    async fn peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Candidate(candidate) => self.reporter.report(MediaEvent::LocalCandidate(candidate)).await,
            PeerEvent::CandidatesComplete => self.reporter.report(MediaEvent::CandidatesComplete).await,
            PeerEvent::Connected => {
                self.connected = true;
                self.reporter.report(MediaEvent::Connected).await;
            }
            PeerEvent::Disconnected | PeerEvent::Failed => {
                self.connected = false;
                self.reporter.report(MediaEvent::Disconnected).await;
            }
            PeerEvent::Track(track) => {
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

    /// Sends what the audio thread has encoded; digits take the place of speech.
    async fn send_packets(&mut self) {
        let deaf = self.digit_sent.is_some_and(|at| at.elapsed() < DEAF_AFTER_DIGIT);
        while let Ok(digit) = self.tones.pop() {
            if !deaf {
                self.reporter.report(MediaEvent::Tone(digit)).await;
            }
        }
        while let Ok(encoded) = self.encoded.pop() {
            let at = self.timestamp;
            self.timestamp = self.timestamp.wrapping_add(encoded.ticks());
            if !self.connected {
                continue;
            }
            if !self.digits.is_sending() {
                self.digit_timestamp = at;
            }
            let event_type = self.send_map.payload_type(Payload::TelephoneEvent);
            if let (Some(event), Some(payload_type)) = (self.digits.step(), event_type) {
                self.digit_sent = Some(Instant::now());
                for _ in 0..event.copies {
                    let payload = Bytes::copy_from_slice(&event.payload);
                    let packet = self.packet(payload_type, self.digit_timestamp, event.marker, payload);
                    self.write(packet).await;
                }
                continue;
            }
            let speech = self.speech(&encoded, at);
            let again = self.repeats.pass(speech.as_ref(), self.send_control.twice());
            for packet in speech.into_iter().chain(again) {
                self.write(packet).await;
            }
        }
    }

    /// `None` in silence.
    fn speech(&mut self, encoded: &Encoded, timestamp: u32) -> Option<rtc::rtp::Packet> {
        if encoded.payload().is_empty() {
            // What follows a silence has the marker (RFC 3551, 4.1).
            self.talking = false;
            return None;
        }
        let payload_type = self.send_map.payload_type(Payload::Speech(encoded.codec))?;
        let marker = !std::mem::replace(&mut self.talking, true);
        Some(self.packet(payload_type, timestamp, marker, Bytes::copy_from_slice(encoded.payload())))
    }

    fn packet(&mut self, payload_type: u8, timestamp: u32, marker: bool, payload: Bytes) -> rtc::rtp::Packet {
        self.sequence = self.sequence.wrapping_add(1);
        rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                marker,
                payload_type,
                sequence_number: self.sequence,
                timestamp,
                ssrc: self.peer.ssrc,
                ..Default::default()
            },
            payload,
        }
    }

    async fn write(&mut self, packet: rtc::rtp::Packet) {
        // An error here means that the connection is closing; its text holds the whole packet.
        let _ = self.peer.track.write_rtp(packet).await;
    }

    async fn close(mut self) {
        (self.context.attach)(self.media, None);
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        self.peer.close().await;
    }
}

/// Takes packets off the far end's track.
struct Reader {
    received: Arc<Mutex<Producer<Packet>>>,
    map: Arc<RwLock<PayloadMap>>,
    reporter: Reporter,
    digits: DigitReceiver,
    began: Instant,
    /// When sound was last told of.
    reported: Option<Instant>,
    packets: broadcast::Sender<CallPacket>,
}

impl Reader {
    async fn run(mut self, track: Arc<dyn TrackRemote>) {
        while let Some(event) = track.poll().await {
            if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                self.packet(&packet).await;
            }
        }
    }

    async fn packet(&mut self, packet: &rtc::rtp::Packet) {
        let header = &packet.header;
        let payload = self.map.read().unwrap_or_else(PoisonError::into_inner).payload(header.payload_type);
        if self.packets.receiver_count() > 0
            && let Some(payload) = payload
        {
            self.record(packet, payload);
        }
        match payload {
            Some(Payload::TelephoneEvent) => {
                if let Some(digit) = self.digits.packet(header.timestamp, &packet.payload) {
                    self.reporter.report(MediaEvent::Digit(digit)).await;
                }
            }
            Some(Payload::Speech(codec)) => {
                let arrival_ms = milliseconds(self.began.elapsed());
                if let Some(packet) = Packet::new(codec, header, arrival_ms, &packet.payload) {
                    // A full ring means that the audio thread stands still: the packet is late anyway.
                    let _ = self.received.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
                }
                if self.reported.is_none_or(|at| at.elapsed() >= RECEIVED_INTERVAL) {
                    self.reported = Some(Instant::now());
                    self.reporter.report(MediaEvent::Received).await;
                }
            }
            None => {}
        }
    }

    /// Somebody records: with the payload type of a trace (`peer::payload_list`), whatever was negotiated.
    fn record(&self, packet: &rtc::rtp::Packet, payload: Payload) {
        let mut packet = packet.clone();
        let known = payload_list(&[Codec::Opus, Codec::Pcma, Codec::Pcmu]);
        let Some((payload_type, _)) = known.into_iter().find(|(_, one)| *one == payload) else { return };
        packet.header.payload_type = payload_type;
        let Ok(bytes) = packet.marshal() else { return };
        let at_ms = u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let packet = RecordedPacket { at_ms, bytes: bytes.to_vec() };
        // Who records and is slow misses some.
        let _ = self.packets.send(CallPacket { call: self.reporter.media, packet });
    }
}
