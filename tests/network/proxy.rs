//! A network between station and server that misbehaves as real networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does to every connection, also to those that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Bytes pass.
    Fine,
    /// Connections are reset and refused.
    Gone,
    /// Connections are accepted, and nothing passes in either direction.
    Blackhole,
    /// This many bytes pass in a second, in each direction.
    Throttled(usize),
    /// If two WebSocket messages of the server come together, the second one is delivered first.
    Swapped,
}

/// A proxy that listens on a port of its own.
pub struct Proxy {
    pub address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
    /// A counter. When it changes, every open connection is reset.
    resets: Arc<watch::Sender<u64>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub fn start(server: SocketAddr) -> Self {
        let (weather, current) = watch::channel(Weather::Fine);
        let (resets, reset) = watch::channel(0);
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(accept(address, listener, server, current, reset));
        Self { address, weather: Arc::new(weather), resets: Arc::new(resets), task }
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
        if weather == Weather::Gone {
            self.reset();
        }
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.resets.send_modify(|number| *number += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(4096).unwrap()
}

async fn accept(
    address: SocketAddr,
    first: TcpListener,
    server: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    reset: watch::Receiver<u64>,
) {
    let mut listener = Some(first);
    loop {
        if *weather.borrow_and_update() == Weather::Gone {
            listener = None;
            weather.changed().await.unwrap();
            continue;
        }
        let open = listener.get_or_insert_with(|| listen(address));
        tokio::select! {
            Ok((client, _)) = open.accept() => {
                tokio::spawn(carry(client, server, weather.clone(), reset.clone()));
            }
            _ = weather.changed() => {}
        }
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut reset: watch::Receiver<u64>,
) {
    reset.mark_unchanged();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // When they are dropped, the connection is reset instead of closed.
    let _ = (client.set_zero_linger(), server.set_zero_linger());
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let up = pump(&mut from_client, &mut to_server, weather.clone(), false);
    let down = pump(&mut from_server, &mut to_client, weather, true);
    tokio::select! {
        _ = reset.changed() => {}
        _ = up => {}
        _ = down => {}
    }
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut weather: watch::Receiver<Weather>,
    of_server: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut held = Vec::new();
    loop {
        let now = *weather.borrow_and_update();
        if now == Weather::Blackhole {
            let _ = weather.changed().await;
            continue;
        }
        let limit = match now {
            Weather::Throttled(bytes) => (bytes / 20).max(1),
            _ => buffer.len(),
        };
        let length = tokio::select! {
            length = from.read(&mut buffer[..limit]) => match length {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            },
            _ = weather.changed() => continue,
            // Delivers what was held back if no second message comes.
            () = tokio::time::sleep(Duration::from_millis(60)), if !held.is_empty() => {
                if to.write_all(&std::mem::take(&mut held)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let bytes = match now {
            Weather::Throttled(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                buffer[..length].to_vec()
            }
            Weather::Swapped if of_server => {
                held.extend_from_slice(&buffer[..length]);
                match swapped(&held) {
                    Some(swapped) => {
                        held.clear();
                        swapped
                    }
                    None => continue,
                }
            }
            _ => buffer[..length].to_vec(),
        };
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Where the first whole frame of an unmasked WebSocket stream ends (RFC 6455, 5.2).
fn frame_end(bytes: &[u8]) -> Option<usize> {
    let (header, length) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => return None,
        short => (2, usize::from(short)),
    };
    (bytes.len() >= header + length).then_some(header + length)
}

/// The first two frames in reverse order, then the rest; `None` until there are two.
fn swapped(bytes: &[u8]) -> Option<Vec<u8>> {
    // The head of the upgrade is not a frame.
    if bytes.starts_with(b"HTTP/") {
        return Some(bytes.to_vec());
    }
    let first = frame_end(bytes)?;
    let second = first + frame_end(&bytes[first..])?;
    Some([&bytes[first..second], &bytes[..first], &bytes[second..]].concat())
}
