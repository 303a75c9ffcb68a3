//! Tries STUN and TURN servers as a call would use them (`callbox check --network`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::stun::message::{BINDING_REQUEST, Getter, Message, TransactionId};
use rtc::stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;

use super::{IceAddresses, MediaAdapter, MediaContext, TurnContext};
use crate::config::{IceServer, IceUrl, MediaConfig};
use crate::core::{MediaCommand, MediaEvent, MediaId};
use crate::signaling::Candidate;

/// A binding request is sent again after each of these times (RFC 8489, section 6.2.1, with fewer repeats).
const BINDING_WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_millis(1500)];
/// The longest time for an allocation, and for a call through it.
const PATIENCE: Duration = Duration::from_secs(6);
const CALL: MediaId = MediaId(1);

/// The address that a STUN server sees, for an address of the server.
///
/// # Errors
///
/// There is no route, or no answer.
pub async fn bind(server: SocketAddr) -> io::Result<SocketAddr> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let mut request = Message::new();
    let built = request.build(&[Box::new(BINDING_REQUEST), Box::new(TransactionId::new())]);
    built.map_err(|_| io::ErrorKind::Other)?;
    for wait in BINDING_WAITS {
        socket.send(&request.raw).await?;
        if let Ok(answer) = timeout(wait, binding_answer(&socket, &request)).await {
            return answer;
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 3 s"))
}

/// The addresses of one socket that several STUN servers see, all of one family: one for each server that answers.
///
/// # Errors
///
/// There is no socket.
pub async fn mappings(servers: &[SocketAddr]) -> io::Result<Vec<SocketAddr>> {
    let is_ipv4 = servers.iter().all(SocketAddr::is_ipv4);
    let any: IpAddr = if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    let mut seen = Vec::new();
    for server in servers {
        let mut request = Message::new();
        let built = request.build(&[Box::new(BINDING_REQUEST), Box::new(TransactionId::new())]);
        built.map_err(|_| io::ErrorKind::Other)?;
        for wait in BINDING_WAITS.into_iter().take(2) {
            if socket.send_to(&request.raw, server).await.is_err() {
                break;
            }
            if let Ok(Ok(mapped)) = timeout(wait, binding_answer(&socket, &request)).await {
                seen.push(mapped);
                break;
            }
        }
    }
    Ok(seen)
}

/// Waits for the answer to this request. Its transaction is a secret that only the server knows.
async fn binding_answer(socket: &UdpSocket, request: &Message) -> io::Result<SocketAddr> {
    let mut buffer = [0; 1024];
    loop {
        let (count, _) = socket.recv_from(&mut buffer).await?;
        let mut answer = Message::new();
        answer.raw = buffer.get(..count).unwrap_or_default().to_vec();
        let mut mapped = XorMappedAddress::default();
        if answer.decode().is_ok()
            && answer.transaction_id == request.transaction_id
            && mapped.get_from(&answer).is_ok()
        {
            return Ok(SocketAddr::new(mapped.ip, mapped.port));
        }
    }
}

/// What a TURN server gave.
pub struct Relay {
    /// How long the allocation took.
    pub allocated_after: Duration,
    /// How long it took to set up a call between two peer connections that reach each other through the server alone;
    /// `None` if that does not work.
    pub connected_after: Option<Duration>,
}

/// Allocates at a TURN server, and calls through it.
///
/// # Errors
///
/// Why there is no allocation, as a message for people.
pub async fn relay(media: &MediaConfig, server: &IceServer, url: &IceUrl, turn: &TurnContext) -> Result<Relay, String> {
    let server = IceServer { urls: vec![url.clone()], ..server.clone() };
    let server = Arc::new(IceAddresses::resolve([server].into(), &IceAddresses::default()).await);
    let end = || End::new(media, &server, turn);
    let began = Instant::now();
    let mut one = end();
    let allocating = timeout(PATIENCE, async {
        one.command(MediaCommand::Offer);
        let offer = one.description().await?;
        Some((offer, one.relayed().await?))
    });
    let allocated = tokio::select! {
        allocated = allocating => allocated.ok().flatten(),
        () = until_fault(url, turn) => None,
    };
    let Some((offer, ours)) = allocated else {
        one.command(MediaCommand::Close);
        return Err(turn.faults.of(url).unwrap_or_else(|| format!("no answer within {} s", PATIENCE.as_secs())));
    };
    let allocated_after = began.elapsed();
    let mut other = end();
    let connected = timeout(PATIENCE, async {
        other.command(MediaCommand::Answer { offer: offer.into() });
        let answer = other.description().await?;
        let theirs = other.relayed().await?;
        let began = Instant::now();
        one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
        one.command(MediaCommand::AddCandidate(theirs));
        other.command(MediaCommand::AddCandidate(ours));
        one.connected().await?;
        other.connected().await?;
        Some(began.elapsed())
    });
    let connected_after = connected.await.ok().flatten();
    one.command(MediaCommand::Close);
    other.command(MediaCommand::Close);
    Ok(Relay { allocated_after, connected_after })
}

/// Returns as soon as it is known what is wrong with a server that is reached over a stream.
async fn until_fault(url: &IceUrl, turn: &TurnContext) {
    while turn.faults.of(url).is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One end of a call without sound. All waits return `None` if the call has failed.
struct End {
    adapter: MediaAdapter,
    events: mpsc::Receiver<(MediaId, MediaEvent)>,
}

impl End {
    fn new(media: &MediaConfig, server: &Arc<IceAddresses>, turn: &TurnContext) -> Self {
        let context = MediaContext {
            config: media.clone(),
            ice_servers: watch::channel(Arc::clone(server)).1,
            turn: turn.clone(),
            extra_addresses: Vec::new(),
            rate_hz: 48_000,
            in_band: false,
            dropped: Arc::default(),
            meters: Arc::default(),
            packets: broadcast::channel(1).0,
            attach: Box::new(|_, _| {}),
        };
        let (sender, events) = mpsc::channel(256);
        Self { adapter: MediaAdapter::new(context, sender), events }
    }

    fn command(&mut self, command: MediaCommand) {
        self.adapter.command(CALL, command);
    }

    async fn event<T>(&mut self, fits: impl Fn(MediaEvent) -> Option<T>) -> Option<T> {
        loop {
            match self.events.recv().await? {
                (_, MediaEvent::Failed(_) | MediaEvent::Refused { .. }) => return None,
                (_, event) => {
                    if let Some(found) = fits(event) {
                        return Some(found);
                    }
                }
            }
        }
    }

    async fn description(&mut self) -> Option<String> {
        self.event(|event| match event {
            MediaEvent::LocalOffer { sdp } | MediaEvent::LocalAnswer { sdp, .. } => Some(sdp.to_string()),
            _ => None,
        })
        .await
    }

    async fn relayed(&mut self) -> Option<Candidate> {
        self.event(|event| match event {
            MediaEvent::LocalCandidate(candidate) if candidate.candidate.contains(" typ relay") => Some(candidate),
            _ => None,
        })
        .await
    }

    async fn connected(&mut self) -> Option<()> {
        self.event(|event| (event == MediaEvent::Connected).then_some(())).await
    }
}
