//! Sessions through an HTTP proxy. Calls through squid are in tests/networks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::server::Server;
use crate::{Rig, until};

/// What a proxy does with a request.
#[derive(Clone)]
enum Way {
    /// Connects.
    Tunnel,
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Never answers.
    Stall,
}

/// A proxy that does what a test says.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn start(way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, way.clone(), Arc::clone(&seen)));
            }
        });
        Self { port, heads, task: task.abort_handle() }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn serve(mut stream: TcpStream, way: Way, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(head);
    match way {
        Way::Tunnel => {
            let mut server = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
        Way::Say(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            // What is unread would reset the connection, and the answer would be lost.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
        Way::Stall => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_session_goes_through_the_proxy_with_the_password_from_its_file() {
    let rig = Rig::new();
    rig.write("proxy-password", "open: \"sesame\"\n");
    let server = Server::start(&rig.authority).await;
    let proxy = Proxy::start(Way::Tunnel).await;
    let core =
        format!("proxy = \"{}\"\nproxy_user = \"door\"\nproxy_password_file = \"proxy-password\"", proxy.address());
    let station = rig.station(server.port, &core);
    server.session().await;
    let head = proxy.heads().remove(0);
    assert!(head.starts_with(&format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", server.port)), "{head}");
    // door:open: "sesame"
    assert!(head.contains("Basic ZG9vcjpvcGVuOiAic2VzYW1lIg==\r\n"), "{head}");
    assert!(!head.contains("secret"), "the session's token is not for the proxy: {head}");
    station.stop().await;
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_unless_an_exception_or_the_configuration_says_otherwise() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let proxy = Proxy::start(Way::Tunnel).await;
    let tries = [
        (vec![("https_proxy", proxy.address())], "", 1),
        (vec![("https_proxy", proxy.address()), ("no_proxy", "10.0.0.0/8, 127.0.0.1".to_owned())], "", 0),
        (vec![("https_proxy", proxy.address())], "proxy = \"none\"", 0),
        (vec![("https_proxy", "http://127.0.0.1:1".to_owned())], &format!("proxy = \"{}\"", proxy.address()), 1),
    ];
    for (environment, core, tunnels) in tries {
        proxy.heads.lock().unwrap().clear();
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let station = rig.station_in(server.port, core, &environment);
        server.session().await;
        assert_eq!(proxy.heads().len(), tunnels, "{environment:?} {core}");
        station.stop().await;
    }
}

/// The reason that a station gives, and how long that took.
async fn reason(way: Way) -> (String, Duration) {
    let rig = Rig::new();
    let proxy = Proxy::start(way).await;
    let began = Instant::now();
    let station = rig.station(1, &format!("proxy = \"{}\"", proxy.address()));
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    station.stop().await;
    let reason = now.station.session.reason.unwrap();
    assert!(reason.contains(&proxy.port.to_string()), "it does not name the proxy: {reason}");
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
    (reason, began.elapsed())
}

#[tokio::test]
async fn each_answer_of_a_proxy_that_makes_no_tunnel_has_its_sentence() {
    let html = "<html>\u{7}\u{1b}[31m<h1>Access denied</h1></html>";
    let answer = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\n{headers}\r\n{html}").into_bytes();
    let tries = [
        (
            answer("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"x\"\r\n"),
            "proxy_password_file",
        ),
        (answer("407 Nope", "Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n"), "(ntlm, negotiate)"),
        (answer("403 Forbidden", "Content-Type: text/html\r\n"), "forbids connections to 127.0.0.1:1 (HTTP 403)"),
        (answer("302 Found", "Location: http://portal.example/?token=x\r\n"), "to http://portal.example/ (HTTP 302)"),
        (answer("502 Bad Gateway", ""), "does not reach 127.0.0.1:1 (HTTP 502)"),
        // A web server that answers any method with its page.
        (answer("200 OK", "Content-Type: text/html\r\n"), "does not speak TLS"),
        (html.as_bytes().to_vec(), "is not an HTTP proxy"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "is not an HTTP proxy"),
        (Vec::new(), "is not an HTTP proxy"),
        (answer("200 OK", &format!("X: {}\r\n", "a".repeat(100_000))), "is not an HTTP proxy"),
        (answer("200 OK", &"X: a\r\n".repeat(10_000)), "is not an HTTP proxy"),
        (vec![0xFF; 200_000], "is not an HTTP proxy"),
    ];
    for (bytes, words) in tries {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let (reason, _) = reason(Way::Say(bytes)).await;
        assert!(reason.contains(words), "{shown}: {reason}");
    }
}

#[tokio::test]
async fn a_proxy_that_never_answers_is_given_up() {
    let (reason, took) = reason(Way::Stall).await;
    assert!(reason.contains("does not answer") && took < Duration::from_secs(12), "{reason} after {took:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_and_a_password_that_cannot_be_read_are_named() {
    let rig = Rig::new();
    let station = rig.station(2, "proxy = \"http://127.0.0.1:1\"");
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    let reason = now.station.session.reason.unwrap();
    assert!(reason.contains("the proxy 127.0.0.1:1 cannot be reached") && reason.contains("refused"), "{reason}");
    station.stop().await;

    rig.write("proxy-password", "x");
    let proxy = Proxy::start(Way::Tunnel).await;
    let core = format!("proxy = \"{}\"\nproxy_user = \"u\"\nproxy_password_file = \"proxy-password\"", proxy.address());
    let station = rig.station(2, &core);
    std::fs::remove_file(rig.path("proxy-password")).unwrap();
    let lost = |status: &callbox::control::FullStatus| {
        status.station.session.reason.as_ref().is_some_and(|reason| reason.contains("proxy-password: No such file"))
    };
    until(&station, "the reason", lost).await;
    station.stop().await;
}
