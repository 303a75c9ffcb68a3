//! Carries the messages between the library and a TURN server over one stream.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::allocation::{Allocation, Answer};
use super::framing::{self, Frame, HEAD};
use super::{StreamServers, TurnContext, socket};
use crate::config::{IceTransport, IceUrl};
use crate::random_waits::random_waits;
use crate::signaling::{Stream, Target};

/// Messages that wait for the stream.
const OUTGOING: usize = 64;
/// Messages that wait for the library. A burst after a stall may have more; the jitter buffer could not use them.
const INCOMING: usize = 64;
/// Speech that has waited for longer than this is not sent.
const MEDIA_PATIENCE: Duration = Duration::from_millis(100);
/// The library sends a request again after this time.
const REQUEST_PATIENCE: Duration = Duration::from_millis(1000);
/// The longest message that the library is given. Ethernet carries no longer datagrams.
const MAX_MESSAGE: usize = 2048;
/// The ceiling of the first wait before another attempt. It doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A server that has said nothing for this long after the beginning of its stream is none.
const ANSWER_PATIENCE: Duration = Duration::from_secs(8);
/// More messages, or octets, in a second are none of a call: it has some 100 of them.
const MOST_MESSAGES: u32 = 2000;
const MOST_OCTETS: usize = 1_000_000;
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The streams of one socket of the library. They end with it.
pub(in crate::media) struct Bridges {
    servers: StreamServers,
    bridges: Mutex<HashMap<SocketAddr, Bridge>>,
    arrived: mpsc::Sender<Arrived>,
    arriving: Mutex<mpsc::Receiver<Arrived>>,
}

/// A message of a server, and the address that stands for the server.
type Arrived = (SocketAddr, Vec<u8>);

struct Bridge {
    outgoing: Arc<Outgoing>,
    task: AbortHandle,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What waits for the stream, oldest first.
#[derive(Default)]
struct Outgoing {
    queue: Mutex<VecDeque<(Instant, Vec<u8>)>>,
    filled: Notify,
}

impl Outgoing {
    fn push(&self, message: Vec<u8>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= OUTGOING {
            queue.pop_front();
        }
        queue.push_back((Instant::now(), message));
        self.filled.notify_one();
    }

    /// The oldest message that is still worth sending.
    fn pop(&self) -> Option<Vec<u8>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, message)) = queue.pop_front() {
            let patience = if framing::carries_media(&message) { MEDIA_PATIENCE } else { REQUEST_PATIENCE };
            if since.elapsed() <= patience {
                return Some(message);
            }
        }
        None
    }

    /// Waits for a message.
    async fn next(&self) -> Vec<u8> {
        loop {
            // Made before the queue is looked at, so that no message in between is missed.
            let filled = self.filled.notified();
            if let Some(message) = self.pop() {
                return message;
            }
            filled.await;
        }
    }
}

impl Bridges {
    pub(in crate::media) fn new(servers: StreamServers) -> Self {
        let (arrived, arriving) = mpsc::channel(INCOMING);
        Self { servers, bridges: Mutex::default(), arrived, arriving: Mutex::new(arriving) }
    }

    /// Whether an address stands for a server.
    pub(in crate::media) fn stands_for_a_server(&self, address: SocketAddr) -> bool {
        self.servers.server_at(address).is_some()
    }

    /// Takes a datagram of the library for the server that this address stands for. The first one opens the stream.
    pub(in crate::media) fn send(&self, datagram: &[u8], to: SocketAddr) {
        let (Some(server), Some(message)) = (self.servers.server_at(to), framing::framed(datagram)) else { return };
        let mut bridges = self.bridges.lock().unwrap_or_else(PoisonError::into_inner);
        let bridge = bridges.entry(to).or_insert_with(|| {
            let outgoing = Arc::new(Outgoing::default());
            let carrier = Carrier {
                server: server.clone(),
                context: self.servers.context.clone(),
                stands_at: to,
                outgoing: Arc::clone(&outgoing),
                arrived: self.arrived.clone(),
            };
            Bridge { outgoing, task: tokio::spawn(carrier.run()).abort_handle() }
        });
        bridge.outgoing.push(message);
    }

    /// The next message of a server.
    pub(in crate::media) fn poll_arrived(&self, context: &mut Context<'_>) -> Poll<Arrived> {
        let mut arriving = self.arriving.lock().unwrap_or_else(PoisonError::into_inner);
        match arriving.poll_recv(context) {
            Poll::Ready(Some(arrived)) => Poll::Ready(arrived),
            // There is always a sender.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// The task of a bridge.
struct Carrier {
    server: IceUrl,
    context: TurnContext,
    stands_at: SocketAddr,
    outgoing: Arc<Outgoing>,
    arrived: mpsc::Sender<Arrived>,
}

impl Carrier {
    /// Opens the stream, again and again with growing waits, as long as the library has something to send. An
    /// allocation ends with its stream (RFC 8656, section 3.1), so a call does not survive that; its repair makes a new
    /// peer connection.
    async fn run(self) {
        let mut random = random_waits();
        let mut ceiling = FIRST_WAIT;
        loop {
            let IceUrl { transport, host, port } = &self.server;
            let target = Target { host, port: *port, secure: *transport == IceTransport::TurnTls };
            let end = match self.context.connector.open_stream(target, socket::prepare).await {
                Ok(stream) => self.carry(stream).await,
                Err(error) => Err(error),
            };
            match end {
                Ok(()) => ceiling = FIRST_WAIT,
                Err(message) => self.context.faults.failed(&self.server, &message),
            }
            tokio::time::sleep(random.between(ceiling / 2, ceiling)).await;
            ceiling = (ceiling * 2).min(LONGEST_WAIT);
            self.outgoing.filled.notified().await;
        }
    }

    /// Carries messages until the stream ends.
    ///
    /// # Errors
    ///
    /// Why the server is of no use, as a message for people. The stream of a server that has given a relay may end.
    async fn carry(&self, stream: Box<dyn Stream>) -> Result<(), String> {
        let (reader, writer) = tokio::io::split(stream);
        let progress = Progress::default();
        let end = tokio::select! {
            end = self.write_messages(writer) => end,
            end = self.read_messages(reader, &progress) => end,
            () = progress.silence() => return Err("no TURN server answers there".into()),
        };
        match end.kind() {
            io::ErrorKind::InvalidData => Err("what answers there is not a TURN server".into()),
            io::ErrorKind::QuotaExceeded => Err("it sends more than any call needs".into()),
            _ if progress.has_allocated.load(Ordering::Relaxed) => Ok(()),
            _ if progress.has_answered.load(Ordering::Relaxed) => {
                // Why it gave no relay may be known already.
                let known = self.context.faults.of(&self.server);
                Err(known.unwrap_or_else(|| "it ends the connection, and gives no relay".into()))
            }
            _ => Err("the connection ended before a TURN server answered".into()),
        }
    }

    /// Returns when the stream is over.
    async fn write_messages(&self, mut writer: impl AsyncWrite + Unpin) -> io::Error {
        loop {
            let message = self.outgoing.next().await;
            // Without a flush, TLS may keep what it could not send at once.
            let written = async {
                writer.write_all(&message).await?;
                writer.flush().await
            };
            if let Err(error) = written.await {
                return error;
            }
        }
    }

    /// Returns when the stream is over.
    async fn read_messages(&self, mut reader: impl AsyncRead + Unpin, progress: &Progress) -> io::Error {
        let (mut allocation, mut flow) = (Allocation::default(), Flow::new());
        loop {
            let (octets, message) = match read_message(&mut reader).await {
                Ok(read) => read,
                Err(error) => return error,
            };
            if flow.is_too_much(octets) {
                return io::ErrorKind::QuotaExceeded.into();
            }
            let Some(message) = message else { continue };
            progress.has_answered.store(true, Ordering::Relaxed);
            match allocation.answer(&message) {
                Some(Answer::Allocated) => {
                    progress.has_allocated.store(true, Ordering::Relaxed);
                    self.context.faults.works(&self.server);
                }
                Some(Answer::Refused(message)) => self.context.faults.failed(&self.server, &message),
                None => {}
            }
            // A queue that is full drops it.
            let _ = self.arrived.try_send((self.stands_at, message));
        }
    }
}

/// How far the server of a stream has come.
#[derive(Default)]
struct Progress {
    has_answered: AtomicBool,
    has_allocated: AtomicBool,
}

impl Progress {
    /// Returns when the server should have said something, and has not.
    async fn silence(&self) {
        tokio::time::sleep(ANSWER_PATIENCE).await;
        if self.has_answered.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }
}

/// How much comes in a second.
struct Flow {
    since: Instant,
    messages: u32,
    octets: usize,
}

impl Flow {
    fn new() -> Self {
        Self { since: Instant::now(), messages: 0, octets: 0 }
    }

    /// Counts a message.
    fn is_too_much(&mut self, octets: usize) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        self.messages += 1;
        self.octets += octets;
        self.messages > MOST_MESSAGES || self.octets > MOST_OCTETS
    }
}

/// The next message of a stream, and how long it was. One that is too long for the library is skipped.
///
/// # Errors
///
/// The stream is over, or (`InvalidData`) what comes is not TURN.
async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<(usize, Option<Vec<u8>>)> {
    let mut head = [0; HEAD];
    reader.read_exact(&mut head).await?;
    let Frame { message, padding } = Frame::read(head).ok_or(io::ErrorKind::InvalidData)?;
    if message > MAX_MESSAGE {
        let rest = u64::try_from(message + padding - HEAD).unwrap_or(u64::MAX);
        tokio::io::copy(&mut (&mut *reader).take(rest), &mut tokio::io::sink()).await?;
        return Ok((message, None));
    }
    let mut bytes = vec![0; message + padding];
    let (start, rest) = bytes.split_at_mut(HEAD);
    start.copy_from_slice(&head);
    reader.read_exact(rest).await?;
    bytes.truncate(message);
    Ok((message, Some(bytes)))
}
