//! The sockets of the WebRTC library, with the guard in front of them.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

use super::guard::{DropCounters, Guard};
use super::relay_flush::RelayFlush;
use super::turn::{Bridges, StreamServers, UdpServers};

/// After this many reads that brought nothing but dropped datagrams, other tasks get their turn.
const DROPS_IN_A_ROW: usize = 32;

/// The guard of one peer connection, with its counters of dropped datagrams.
pub(super) struct Gate {
    guard: Mutex<Guard>,
    counters: Arc<DropCounters>,
    /// Notified when DTLS is closed.
    pub(super) closed: Notify,
}

impl Gate {
    pub(super) fn new(counters: Arc<DropCounters>) -> Self {
        Self { guard: Mutex::default(), counters, closed: Notify::new() }
    }

    /// Calls the guard, under its lock.
    pub(super) fn tell<T>(&self, tell: impl FnOnce(&mut Guard) -> T) -> T {
        tell(&mut self.guard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn admits(&self, datagram: &[u8], from: SocketAddr) -> bool {
        let verdict = self.tell(|guard| guard.incoming(datagram, from, Instant::now()));
        verdict.map_err(|reason| self.counters.count(reason)).is_ok()
    }

    fn outgoing(&self, datagram: &[u8], to: SocketAddr) {
        let ended = self.tell(|guard| {
            let before = guard.is_closed();
            guard.outgoing(datagram, to, Instant::now());
            !before && guard.is_closed()
        });
        if ended {
            self.closed.notify_one();
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Gate")
    }
}

/// The Tokio runtime, but its UDP sockets have the guard in front of them, and reach some TURN servers over streams.
pub(super) struct GuardedRuntime {
    pub(super) gate: Arc<Gate>,
    pub(super) stream_servers: StreamServers,
    pub(super) relay_flush: Arc<RelayFlush>,
    pub(super) udp_servers: Arc<UdpServers>,
}

impl fmt::Debug for GuardedRuntime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GuardedRuntime")
    }
}

impl Runtime for GuardedRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn spawn_reactor(&self, size: usize, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn_reactor(size, future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = TokioRuntime.wrap_udp_socket(socket)?;
        let bridges = Bridges::new(self.stream_servers.clone());
        Ok(Arc::new(GuardedSocket {
            socket,
            gate: Arc::clone(&self.gate),
            bridges,
            bridges_first: AtomicBool::new(false),
            relay_flush: Arc::clone(&self.relay_flush),
            udp_servers: Arc::clone(&self.udp_servers),
        }))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        TokioRuntime.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        if self.relay_flush.may_sleep() { TokioRuntime.sleep(duration) } else { Box::pin(std::future::ready(())) }
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio, guarded"
    }
}

struct GuardedSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    gate: Arc<Gate>,
    bridges: Bridges,
    /// Whether the bridges are asked before the network next time.
    bridges_first: AtomicBool,
    relay_flush: Arc<RelayFlush>,
    udp_servers: Arc<UdpServers>,
}

impl GuardedSocket {
    /// Whether a datagram of the network may reach the library. The addresses that stand for servers are nobody's.
    fn admits(&self, datagram: &[u8], from: SocketAddr) -> bool {
        let admitted = !self.bridges.stands_for_a_server(from) && self.gate.admits(datagram, from);
        if admitted {
            self.udp_servers.received(datagram, from);
        }
        admitted
    }

    /// Gives the library the next message of a TURN server that is reached over a stream.
    fn poll_bridges(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let (from, message) = ready!(self.bridges.poll_arrived(context));
            let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else { return Poll::Pending };
            if let Some(place) = buffer.get_mut(..message.len())
                && self.gate.admits(&message, from)
            {
                place.copy_from_slice(&message);
                *meta = RecvMeta::default();
                (meta.addr, meta.len, meta.stride) = (from, message.len(), message.len());
                return Poll::Ready(Ok(1));
            }
        }
    }
}

impl GuardedSocket {
    /// Gives the library the next datagrams of the network.
    fn poll_network(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..DROPS_IN_A_ROW {
            let count = ready!(self.socket.poll_recv(context, buffers, meta))?;
            let mut passed = false;
            for (buffer, meta) in buffers.iter_mut().zip(meta.iter_mut()).take(count) {
                keep(buffer, meta, |datagram, from| self.admits(datagram, from));
                passed |= meta.len > 0;
            }
            if passed {
                return Poll::Ready(Ok(count));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for GuardedSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GuardedSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for GuardedSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, context: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let over_stream = self.bridges.stands_for_a_server(transmit.destination);
        for datagram in transmit.contents.chunks(size) {
            self.gate.outgoing(datagram, transmit.destination);
            self.relay_flush.sent(datagram);
            if over_stream {
                self.bridges.send(datagram, transmit.destination);
            }
        }
        if over_stream { Poll::Ready(Ok(transmit.contents.len())) } else { self.socket.poll_send(context, transmit) }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // They take turns, so that neither can keep the other waiting.
        if self.bridges_first.fetch_xor(true, Ordering::Relaxed) {
            match self.poll_bridges(context, buffers, meta) {
                Poll::Pending => self.poll_network(context, buffers, meta),
                ready => ready,
            }
        } else {
            match self.poll_network(context, buffers, meta) {
                Poll::Pending => self.poll_bridges(context, buffers, meta),
                ready => ready,
            }
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

/// Moves the datagrams that are admitted to the beginning of the buffer. The kernel may put several datagrams into one
/// buffer, all of the same length but the last (docs/workarounds.md, "kernel: one read returns several datagrams").
fn keep(buffer: &mut [u8], meta: &mut RecvMeta, admits: impl Fn(&[u8], SocketAddr) -> bool) {
    let (stride, received) = (meta.stride.max(1), meta.len.min(buffer.len()));
    let (mut from, mut kept) = (0, 0);
    while from < received {
        let end = (from + stride).min(received);
        if buffer.get(from..end).is_some_and(|datagram| admits(datagram, meta.addr)) {
            buffer.copy_within(from..end, kept);
            kept += end - from;
        }
        from = end;
    }
    meta.len = kept;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::media::TurnContext;
    use crate::signaling::{Connector, turn_client_config};

    #[test]
    fn what_is_dropped_leaves_the_others_whole_and_in_order() {
        let mut buffer = *b"aaabbbcccdd......";
        let mut meta = RecvMeta::default();
        (meta.len, meta.stride) = (11, 3);
        keep(&mut buffer, &mut meta, |datagram, _| !datagram.starts_with(b"b"));
        assert_eq!((&buffer[..meta.len], meta.stride), (&b"aaacccdd"[..], 3));
        keep(&mut buffer, &mut meta, |datagram, _| datagram.len() == 2);
        assert_eq!(&buffer[..meta.len], b"dd");
        keep(&mut buffer, &mut meta, |_, _| false);
        assert_eq!(meta.len, 0);
    }

    #[tokio::test]
    async fn what_the_network_sends_in_the_name_of_a_server_behind_a_stream_is_dropped() {
        let context =
            TurnContext { connector: Connector::new(turn_client_config(None).unwrap(), None), faults: Arc::default() };
        let mut servers = StreamServers::new(context);
        let told = servers.add(&"turns:turn.example.com".parse().unwrap(), false).unwrap();
        let address: SocketAddr = told.authority().parse().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        let socket = GuardedSocket {
            socket: TokioRuntime.wrap_udp_socket(udp).unwrap(),
            gate: Arc::new(Gate::new(Arc::default())),
            bridges: Bridges::new(servers),
            bridges_first: AtomicBool::new(false),
            relay_flush: Arc::new(RelayFlush::new()),
            udp_servers: Arc::new(UdpServers::new(HashMap::new(), Arc::default())),
        };
        // An Allocate request, and the response with its transaction.
        let message = |kind: [u8; 2]| [&kind[..], &[0, 0, 0x21, 0x12, 0xA4, 0x42], &[7; 12]].concat();
        socket.gate.outgoing(&message([0x00, 0x03]), address);
        assert!(!socket.admits(&message([0x01, 0x03]), address), "the network may forge any source");
        assert!(socket.gate.admits(&message([0x01, 0x03]), address), "the stream may bring it");
    }
}
