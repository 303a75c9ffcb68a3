//! Media between two real peer connections: trickle in all its forms, codecs, digits, STUN and TURN.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod hostile;
mod ice_lite;
mod receive;
mod relay;
mod relay_cost;
mod renegotiation;
mod turn_streams;
mod two_peers;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbox::config::{Codec, IceServer, IceTransport, IceUrl, MediaConfig};
use callbox::core::{MediaCommand, MediaEvent, MediaId};
use callbox::media::guard::DropCounters;
use callbox::media::{IceAddresses, MediaAdapter, MediaContext, TurnContext, TurnFaults};
use callbox::signaling::{Connector, turn_client_config};
use callbox::sound::CallSound;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(20);
pub const CALL: MediaId = MediaId(1);

type Sounds = Arc<Mutex<HashMap<MediaId, Box<dyn CallSound>>>>;

/// One end of a call: a media adapter, and the sound of the call, which the test says and hears.
pub struct End {
    adapter: MediaAdapter,
    events: mpsc::Receiver<(MediaId, MediaEvent)>,
    sounds: Sounds,
    pub dropped: Arc<DropCounters>,
    pub turn_faults: Arc<TurnFaults>,
    phase: f32,
    said: usize,
}

/// The same servers; those that are reached over UDP are given by their addresses.
fn by_address(servers: Vec<IceServer>) -> Arc<[IceServer]> {
    let addresses = |url: &IceUrl| -> Vec<IceUrl> {
        let over_udp = matches!(url.transport, IceTransport::Stun | IceTransport::TurnUdp);
        match (url.host.as_str(), url.port).to_socket_addrs() {
            Ok(found) if over_udp => found.map(|one| IceUrl { host: one.ip().to_string(), ..url.clone() }).collect(),
            _ => vec![url.clone()],
        }
    };
    let servers = servers.into_iter();
    servers.map(|server| IceServer { urls: server.urls.iter().flat_map(addresses).collect(), ..server }).collect()
}

impl End {
    pub fn new(codecs: &[Codec], ice_servers: Vec<IceServer>) -> Self {
        Self::bound_to("127.0.0.1".parse().unwrap(), codecs, ice_servers)
    }

    /// As [`End::new`], on this address of the machine.
    pub fn bound_to(address: IpAddr, codecs: &[Codec], ice_servers: Vec<IceServer>) -> Self {
        Self::trusting(None, address, codecs, ice_servers)
    }

    /// As [`End::bound_to`]. TURN servers may have a certificate of this CA.
    pub fn trusting(ca_file: Option<&Path>, address: IpAddr, codecs: &[Codec], ice_servers: Vec<IceServer>) -> Self {
        let sounds = Sounds::default();
        let attached = Arc::clone(&sounds);
        let dropped = Arc::new(DropCounters::default());
        let turn_faults = Arc::new(TurnFaults::default());
        let context = MediaContext {
            dropped: Arc::clone(&dropped),
            meters: Arc::default(),
            packets: tokio::sync::broadcast::channel(16).0,
            config: MediaConfig { bind: vec![address], codecs: codecs.to_vec(), ..MediaConfig::default() },
            ice_servers: tokio::sync::watch::channel(Arc::new(IceAddresses::literal(by_address(ice_servers)))).1,
            turn: TurnContext {
                connector: Connector::new(turn_client_config(ca_file).unwrap(), None),
                faults: Arc::clone(&turn_faults),
            },
            extra_addresses: Vec::<SocketAddr>::new(),
            rate_hz: 48_000,
            in_band: true,
            attach: Box::new(move |media, sound| {
                let mut attached = attached.lock().unwrap();
                match sound {
                    Some(sound) => attached.insert(media, sound),
                    None => attached.remove(&media),
                };
            }),
        };
        let (sender, events) = mpsc::channel(256);
        Self { adapter: MediaAdapter::new(context, sender), events, sounds, dropped, turn_faults, phase: 0.0, said: 0 }
    }

    pub fn command(&mut self, command: MediaCommand) {
        self.adapter.command(CALL, command);
    }

    /// What `fits` returns for the first event that it accepts. Events before it are dropped.
    pub async fn event<T>(&mut self, what: &str, mut fits: impl FnMut(&MediaEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let (_, event) = self.events.recv().await.expect("the adapter lives");
                if let Some(found) = fits(&event) {
                    return found;
                }
                if let MediaEvent::Failed(message) = &event {
                    panic!("media failed while waiting for {what}: {message}");
                }
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited for: {what}"))
    }

    pub async fn offer(&mut self) -> String {
        self.event("an offer", |event| match event {
            MediaEvent::LocalOffer { sdp } => Some(sdp.to_string()),
            _ => None,
        })
        .await
    }

    pub async fn answer(&mut self) -> String {
        self.event("an answer", |event| match event {
            MediaEvent::LocalAnswer { sdp, .. } => Some(sdp.to_string()),
            _ => None,
        })
        .await
    }

    /// All local candidates.
    pub async fn candidates(&mut self) -> Vec<callbox::signaling::Candidate> {
        let mut found = Vec::new();
        self.event("the end of candidates", |event| match event {
            MediaEvent::LocalCandidate(candidate) => {
                found.push(candidate.clone());
                None
            }
            MediaEvent::CandidatesComplete => Some(()),
            _ => None,
        })
        .await;
        found
    }

    pub async fn connected(&mut self) {
        self.event("the connection", |event| (*event == MediaEvent::Connected).then_some(())).await;
    }

    /// Says 10 ms of a tone and returns what was heard meanwhile.
    pub fn frame(&mut self, hertz: f32) -> Vec<f32> {
        let say: Vec<f32> = (0..480)
            .map(|_| {
                self.phase = (self.phase + hertz / 48_000.0).fract();
                (self.phase * std::f32::consts::TAU).sin() * 0.3
            })
            .collect();
        self.exchange(&say)
    }

    /// Says 10 ms and returns what was heard meanwhile.
    pub fn exchange(&mut self, say: &[f32]) -> Vec<f32> {
        let mut heard = vec![0.0; 480];
        if let Some(sound) = self.sounds.lock().unwrap().get_mut(&CALL) {
            sound.say(say);
            sound.hear(&mut heard);
        }
        heard
    }

    /// Says 10 ms of a sound; `sample` returns its value at a time in seconds.
    pub fn say(&mut self, sample: impl Fn(f32) -> f32) {
        let begin = self.said;
        self.said += 480;
        let say: Vec<f32> = (begin..self.said).map(|index| sample(index as f32 / 48_000.0)).collect();
        self.exchange(&say);
    }

    /// Forgets the sound of the call. Returns whether there was one.
    pub fn drop_sound(&mut self) -> bool {
        self.sounds.lock().unwrap().remove(&CALL).is_some()
    }

    pub fn is_attached(&self) -> bool {
        self.sounds.lock().unwrap().contains_key(&CALL)
    }
}

/// Lets both ends talk for two seconds of real time. Returns what each heard in the last second.
pub async fn talk(one: &mut End, other: &mut End) -> (Vec<f32>, Vec<f32>) {
    let (mut heard_by_one, mut heard_by_other) = (Vec::new(), Vec::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for tick in 0..200 {
        ticks.tick().await;
        let (first, second) = (one.frame(500.0), other.frame(900.0));
        if tick >= 100 {
            heard_by_one.extend(first);
            heard_by_other.extend(second);
        }
    }
    (heard_by_one, heard_by_other)
}

/// Amplitude of a frequency (Goertzel).
pub fn amplitude(samples: &[f32], hertz: f32) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * hertz / 48_000.0).cos();
    let (mut previous, mut before) = (0.0_f64, 0.0_f64);
    for sample in samples {
        let now = f64::from(*sample) + f64::from(coefficient) * previous - before;
        before = previous;
        previous = now;
    }
    let power = previous * previous + before * before - f64::from(coefficient) * previous * before;
    (2.0 * power.max(0.0).sqrt() / samples.len() as f64) as f32
}
