//! A server that does what a test says, over real sockets and TLS.

use std::sync::Arc;
use std::time::Duration;

use callbox::signaling::{ClientMessage, Request, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// Nothing in these tests takes longer than this, except keepalives.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A CA of our own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key, as PEM.
    pub fn issue(&self, name: &str) -> (String, String) {
        let (certificate, key) = self.leaf(name);
        (certificate.pem(), key.serialize_pem())
    }

    fn leaf(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn acceptor(&self, clients_too: bool) -> TlsAcceptor {
        let (certificate, key) = self.leaf("127.0.0.1");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = if clients_too {
            use rustls::pki_types::CertificateDer;
            use rustls::pki_types::pem::PemObject;
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key: PrivateKeyDer<'static> = key.into();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()))
    }
}

/// Presents this certificate, whatever it is.
#[derive(Debug)]
struct Shown(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Shown {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A listening server.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    pub port: u16,
    /// The answer to `GET /api/v1/user/ice-servers`, if the server hands any out.
    pub ice_servers: Option<String>,
    /// The status of `system-info`, where it is not 200.
    pub trouble: Option<&'static str>,
}

/// A connection of the station, after the upgrade.
pub struct Session {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    /// Path and query of the upgrade.
    pub target: String,
    pub protocol: String,
}

impl Server {
    pub async fn start(authority: &Authority) -> Self {
        Self::start_with(authority, 0, false).await
    }

    pub async fn start_with(authority: &Authority, port: u16, client_certificates: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, tls: authority.acceptor(client_certificates), port, ice_servers: None, trouble: None }
    }

    /// A server with this certificate and key, as PEM.
    pub async fn start_with_certificate(certificate: &str, key: &str) -> Self {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let signer = provider.key_provider.load_private_key(key).unwrap();
        // The certificate is not checked here, because rustls would not present one of version 1 (docs/workarounds.md,
        // "tests: rustls does not show a certificate of version 1").
        let certified = rustls::sign::CertifiedKey::new(vec![certificate], signer);
        let resolver = Arc::new(Shown(Arc::new(certified)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, tls: TlsAcceptor::from(Arc::new(config)), port, ice_servers: None, trouble: None }
    }

    /// The next TLS stream; `None` if its handshake failed.
    async fn stream(&self) -> Option<TlsStream<TcpStream>> {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
        timeout(PATIENCE, self.tls.accept(stream)).await.expect("a TLS handshake").ok()
    }

    /// Expects a connection whose TLS handshake fails.
    pub async fn refuse_tls(&self) {
        assert!(self.stream().await.is_none(), "the station trusted a foreign certificate");
    }

    pub async fn session(&self) -> Session {
        let (mut stream, head, _) = self.request().await;
        let field = |name: &str| {
            head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)))
        };
        let (_, key) = field("sec-websocket-key").unwrap_or_else(|| panic!("not an upgrade: {head}"));
        let protocol = field("sec-websocket-protocol").map(|(_, value)| value.to_owned()).unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {}\r\nsec-websocket-protocol: {protocol}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        Session { socket: WebSocketStream::from_raw_socket(stream, Role::Server, None).await, target, protocol }
    }

    /// Reads an HTTP request and answers it. Returns the head and the body of the request.
    pub async fn answer_http(&self, status: &str, headers: &str, body: &str) -> (String, Value) {
        let (stream, head, said) = self.request().await;
        answer(stream, status, headers, body).await;
        (head, said)
    }

    /// The next request with its head and its body. Questions about STUN and TURN servers come at any time, and are
    /// answered here.
    async fn request(&self) -> (TlsStream<TcpStream>, String, Value) {
        loop {
            // A question that waited here for too long was given up.
            let mut stream = match self.stream().await {
                Some(stream) => stream,
                None => self.stream().await.expect("a trusted connection"),
            };
            let (head, body) = read_request(&mut stream).await;
            let list = self.ice_servers.as_deref();
            match head.split(' ').nth(1).unwrap_or_default().split("/api/v1/").nth(1) {
                Some("system-info") if self.trouble.is_some() => {
                    answer(stream, self.trouble.unwrap_or_default(), "", "<html>sorry</html>").await;
                }
                Some("system-info") => {
                    let info = json!({ "core": { "ice_servers_configured": list.is_some() } });
                    answer(stream, "200 OK", "", &info.to_string()).await;
                }
                Some("user/ice-servers") => {
                    let token = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization: "));
                    assert!(token.is_some_and(|line| line.contains("Bearer ")), "{head}");
                    answer(stream, "200 OK", "", list.unwrap_or_default()).await;
                }
                _ => return (stream, head, body),
            }
        }
    }

    /// Answers nothing but questions about STUN and TURN servers.
    pub async fn answer_ice_servers(&self) {
        let (_, head, _) = self.request().await;
        panic!("another request: {head}");
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> (String, Value) {
    let mut text = Vec::new();
    let mut buffer = [0_u8; 4096];
    let head_end = loop {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("a request").unwrap();
        assert!(count > 0, "the request ended early");
        text.extend_from_slice(&buffer[..count]);
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(text[..head_end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|value| value.trim().parse().unwrap())
        })
        .unwrap_or(0);
    while text.len() < head_end + length {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("a body").unwrap();
        text.extend_from_slice(&buffer[..count]);
    }
    (head, serde_json::from_slice(&text[head_end..]).unwrap_or(Value::Null))
}

async fn answer(mut stream: TlsStream<TcpStream>, status: &str, headers: &str, body: &str) {
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len());
    // The station may have given up.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

impl Session {
    pub async fn send(&mut self, message: Value) {
        self.send_text(message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        timeout(PATIENCE, self.socket.send(Message::text(text))).await.expect("room to send").unwrap();
    }

    /// As [`Session::send_text`], but the station may have closed the connection.
    pub async fn try_send_text(&mut self, text: String) {
        let _ = timeout(PATIENCE, self.socket.send(Message::text(text))).await;
    }

    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        timeout(PATIENCE, self.socket.send(Message::Binary(Bytes::from(bytes)))).await.expect("room to send").unwrap();
    }

    /// The `state` handshake with these lines.
    pub async fn state(&mut self, lines: Value) {
        self.state_with(lines, 30_000).await;
    }

    pub async fn state_with(&mut self, lines: Value, keepalive_interval: u64) {
        self.send(json!({
            "handshake": "state",
            "keepalive_interval": keepalive_interval,
            "timestamp": 1_795_000_000_000_u64,
            "registration": { "status": "registered" },
            "lines": lines,
        }))
        .await;
    }

    /// The next message; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<ClientMessage> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a frame") {
                Some(Ok(Message::Text(text))) => {
                    return Some(ClientMessage::parse(text.as_str()).expect("a message of the protocol"));
                }
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Expects that nothing arrives in this time.
    pub async fn silence(&mut self, length: Duration) {
        if let Ok(frame) = timeout(length, self.socket.next()).await {
            panic!("expected silence, got {frame:?}");
        }
    }

    /// The next request of this name; keepalives are echoed, candidates acknowledged.
    pub async fn request(&mut self, name: &str) -> Request {
        loop {
            match self.next().await.expect("a request") {
                ClientMessage::Request(request) if request.body.kind().name() == name => return request,
                ClientMessage::Request(request) if request.body.kind().name() == "ice_trickle" => {
                    self.ack(&request).await
                }
                ClientMessage::Keepalive { transaction } => {
                    self.send(json!({ "handshake": "keepalive", "transaction": transaction })).await;
                }
                ClientMessage::Request(other) => panic!("expected {name}, got {other:?}"),
            }
        }
    }

    pub async fn ack(&mut self, request: &Request) {
        self.send(json!({ "response": "ack", "transaction": request.transaction })).await;
    }

    /// An event of the call that a request is about.
    pub async fn event(&mut self, request: &Request, mut event: Value) {
        event["transaction"] = json!(request.transaction);
        event["line"] = json!(request.line);
        event["call_id"] = json!(request.call_id);
        assert!(
            ServerMessage::parse(&event.to_string()).is_ok(),
            "the test sends an event that is not of the protocol: {event}"
        );
        self.send(event).await;
    }

    /// The close code that the station sends.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the end") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        let _ = self.socket.send(Message::Close(Some(frame))).await;
        let closing = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = timeout(Duration::from_secs(2), closing).await;
    }
}
