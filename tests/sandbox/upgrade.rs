//! The upgrade to a WebSocket, written as bytes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends the head of a WebSocket upgrade. Returns the status of the response.
pub async fn upgrade(address: SocketAddr, path: &str, headers: &[String]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!(
        "GET {path} HTTP/1.1\r\n{headers}connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = [0_u8; 512];
    let count = timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&bytes[..count]).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
