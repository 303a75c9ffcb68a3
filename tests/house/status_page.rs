//! The status page and its API, with requests as bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use callbox::config::HttpConfig;
use callbox::control::{Controlled, Reply, Request};
use callbox::core::{By, Drive, Fact};
use callbox::sandbox::Sandbox;
use callbox::web::WebInterface;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Answer, send};
use crate::{free_address, handle, house};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Page {
    sandbox: Sandbox,
    web: Option<WebInterface>,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Page {
    async fn open() -> Self {
        Self::with(Some(&format!("home {TOKEN}\nprometheus fedcba9876543210\n"))).await
    }

    async fn with(tokens: Option<&str>) -> Self {
        let (sandbox, folder, address) = (house(""), tempfile::tempdir().unwrap(), free_address());
        let token_file = tokens.map(|tokens| file(folder.path(), tokens));
        let config = HttpConfig { listen: address, token_file, certificate: None };
        let web = WebInterface::start(handle(&sandbox), config, None);
        let page = Self { sandbox, web: Some(web), address, _folder: folder };
        page.until_it_answers().await;
        page
    }

    async fn until_it_answers(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).await.is_err() {
            assert!(Instant::now() < end, "nobody listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A request with these header lines beside `Host`.
    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut all = vec![format!("host: {}", self.address)];
        all.extend(headers.iter().map(|header| (*header).to_owned()));
        send(self.address, line, &all, body).await
    }

    async fn command(&self, path: &str, body: &str) -> (u16, Value) {
        let answer = self.ask(&format!("POST {path}"), &[&format!("authorization: Bearer {TOKEN}")], body).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body)))
    }

    async fn read(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[&format!("authorization: Bearer {TOKEN}")], "").await
    }

    async fn strike(&self) -> Drive {
        let Reply::Status(status) = handle(&self.sandbox).request(Request::Status).await else { panic!("no status") };
        status.station.outputs[0].drive
    }

    async fn stop(mut self) {
        self.web.take().unwrap().stop().await;
        self.sandbox.stop().await;
    }
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("tokens");
    std::fs::write(&path, text).unwrap();
    path
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_does_what_it_says_and_the_record_names_its_token() {
    let page = Page::open().await;
    let mut events = handle(&page.sandbox).events();
    assert_eq!(page.command("/api/output/strike", "{}").await.0, 200);
    assert_eq!(page.strike().await, Drive::On);
    let opened = loop {
        if let Fact::Output { drive: Drive::On, by, .. } = events.recv().await.unwrap().fact {
            break by;
        }
    };
    assert_eq!(opened, By::Http { token: "home".into() });
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(page.strike().await, Drive::Off, "the pulse has the length of pulse_ms");
    for (path, body) in [
        ("/api/output/strike", "{\"set\":\"on\"}"),
        ("/api/output/strike", "{\"set\":\"off\"}"),
        ("/api/output/strike", "{\"pulse_ms\":150}"),
        ("/api/mode/away", "{\"set\":\"toggle\"}"),
        ("/api/play/ring", "{\"to\":\"near\"}"),
        ("/api/press/bell", "{\"gesture\":\"press\"}"),
    ] {
        assert_eq!(page.command(path, body).await.0, 200, "{path} {body}");
    }
    let (status, done) = page.command("/api/output/strike", "{\"pulse_ms\":60000}").await;
    assert!(status == 409 || done["note"].as_str().is_some_and(|note| note.contains("max_on_ms")), "{done}");
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_says_what_and_what_to_do() {
    let page = Page::open().await;
    for (path, body, status, word) in [
        ("/api/output/gate", "{}", 404, "no_such_name"),
        ("/api/press/nobody", "{}", 404, "no_such_name"),
        ("/api/mode/nowhere", "{\"set\":\"on\"}", 404, "no_such_name"),
        ("/api/play/nothing", "{}", 404, "no_such_name"),
        ("/api/output/..%2f..%2fetc", "{}", 404, "no_such_name"),
        ("/api/output/%ff", "{}", 400, "bad_request"),
        ("/api/output/strike", "", 400, "bad_request"),
        ("/api/output/strike", "[]", 400, "bad_request"),
        ("/api/output/strike", "{\"set\":\"open\"}", 400, "bad_request"),
        ("/api/output/strike", "{\"pulse_ms\":0}", 400, "bad_request"),
        ("/api/output/strike", "{\"pulse_ms\":-1}", 400, "bad_request"),
        ("/api/output/strike", "{\"pulse\":1}", 400, "bad_request"),
        ("/api/output/strike", "{\"set\":\"on\",\"pulse_ms\":1}", 400, "bad_request"),
        ("/api/press/bell", "{\"gesture\":\"long\",\"gesture\":\"press\"}", 400, "bad_request"),
        ("/api/mode/away", "{}", 400, "bad_request"),
        ("/api/call", "{}", 400, "bad_request"),
        ("/api/call", "{\"number\":\"sip:x y\"}", 400, "bad_request"),
        ("/api/hangup", "{\"line\":7}", 400, "bad_request"),
        ("/api/hangup", "{}", 409, "refused"),
        ("/api/answer", "{}", 409, "refused"),
    ] {
        let (got, answer) = page.command(path, body).await;
        assert_eq!((got, code(&answer)), (status, word), "{path} {body}: {answer}");
        for part in ["message", "remedy"] {
            assert!(answer["error"][part].as_str().is_some_and(|text| !text.is_empty()), "{path} {body}: {answer}");
        }
    }
    assert_eq!(page.strike().await, Drive::Off);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_token_nothing_is_read_or_commanded_and_guessing_is_slowed() {
    let page = Page::open().await;
    for path in ["/api/status", "/metrics", "/api/events", "/api/openapi.json", "/api/faults"] {
        assert_eq!(page.ask(&format!("GET {path}"), &[], "").await.status, 401, "{path}");
    }
    assert_eq!(page.ask("POST /api/output/strike", &["authorization: Bearer wrong"], "{}").await.status, 429);
    assert_eq!(page.ask("POST /api/output/strike", &["authorization: Basic eDp5"], "{}").await.status, 429);
    assert_eq!(page.strike().await, Drive::Off);
    assert_eq!(page.read("/api/status").await.status, 200, "the right token is not locked out by a guesser");
    assert_eq!(page.ask("GET /healthz", &[], "").await.status, 200);
    let first = page.ask("GET /", &[], "").await;
    assert_eq!(first.status, 200);
    let policy = first.head.lines().find(|line| line.starts_with("content-security-policy")).unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let counted = page.read("/metrics").await.body;
    assert!(counted.contains("callbox_http_refused_total{code=\"too_many_attempts\"} 2"), "{counted}");
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_without_a_token_everything_is_read_and_nothing_commanded() {
    let page = Page::with(None).await;
    for path in ["/api/status", "/metrics", "/api/openapi.json", "/healthz", "/"] {
        assert_eq!(page.ask(&format!("GET {path}"), &[], "").await.status, 200, "{path}");
    }
    let answer = page.ask("POST /api/output/strike", &[], "{}").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("set control.http_token_file"), "{}", answer.body);
    assert_eq!(page.strike().await, Drive::Off);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_and_origins_and_other_methods_are_refused() {
    let page = Page::open().await;
    let bearer = format!("authorization: Bearer {TOKEN}");
    let host = |host: &str| vec![format!("host: {host}"), bearer.clone()];
    for bent in ["evil.example", "192.0.2.1", ""] {
        let answer = send(page.address, "POST /api/output/strike", &host(bent), "{}").await;
        assert_eq!(answer.status, 421, "{bent}");
        assert!(answer.body.contains("foreign_host"), "{}", answer.body);
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let answer = page.ask("POST /api/output/strike", &[&bearer, &format!("origin: {origin}")], "{}").await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    assert_eq!(page.strike().await, Drive::Off);
    let own = format!("origin: http://{}", page.address);
    assert_eq!(page.ask("POST /api/output/strike", &[&bearer, &own], "{}").await.status, 200);
    assert_eq!(page.ask("DELETE /api/status", &[&bearer], "").await.status, 405);
    assert_eq!(page.ask("GET /api/output/strike", &[&bearer], "").await.status, 405);
    assert_eq!(page.ask("GET /api/nothing", &[&bearer], "").await.status, 404);
    for path in ["/../../etc/passwd", "/api/../../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd"] {
        assert_eq!(page.ask(&format!("GET {path}"), &[&bearer], "").await.status, 404, "{path}");
    }
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_and_a_form_are_refused() {
    let page = Page::open().await;
    let mut stream = TcpStream::connect(page.address).await.unwrap();
    let head = format!(
        "POST /api/output/strike HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: 10485760\r\n\r\n",
        page.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move { while writer.write_all(&[b' '; 4096]).await.is_ok() {} });
    let mut answer = vec![0; 64];
    let count = timeout(Duration::from_secs(10), reader.read(&mut answer)).await.expect("an answer").unwrap_or(0);
    assert!(count == 0 || answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    drop(reader);
    sending.abort();
    let mut stream = TcpStream::connect(page.address).await.unwrap();
    let form = format!(
        "POST /api/output/strike HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\
         content-type: text/plain\r\ncontent-length: 2\r\n\r\n{{}}",
        page.address
    );
    stream.write_all(form.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 415"), "{text}");
    assert_eq!(page.strike().await, Drive::Off);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_slowly_or_nothing_is_cut_off_and_the_page_lives() {
    let page = Page::open().await;
    let began = Instant::now();
    let mut slow = TcpStream::connect(page.address).await.unwrap();
    let (mut reader, mut writer) = slow.split();
    let sending = async {
        for byte in b"GET /api/status HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".iter().cycle() {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        _ = sending => {}
        _ = reader.read_to_end(&mut rest) => {}
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(page.read("/api/status").await.status, 200);
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_leave_the_page_alive() {
    let page = Page::open().await;
    // Who has shown a token from here has places of its own, but not all of an address.
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.extend(TcpStream::connect(page.address).await);
    }
    drop(held);
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = timeout(Duration::from_secs(2), TcpStream::connect(page.address)).await;
        if answer.is_ok_and(|stream| stream.is_ok()) && page.read("/healthz").await.status == 200 {
            break;
        }
        assert!(Instant::now() < end, "the page is gone");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_one_line_of_data_as_callbox_events_prints_it() {
    let page = Page::open().await;
    let mut stream = TcpStream::connect(page.address).await.unwrap();
    let head = format!("GET /api/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n\r\n", page.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = String::new();
    let mut bytes = [0; 4096];
    while !got.contains("\r\n\r\n") {
        let count = stream.read(&mut bytes).await.unwrap();
        got.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(got.contains("text/event-stream"), "{got}");
    page.command("/api/mode/away", "{\"set\":\"on\"}").await;
    let record = loop {
        let count = timeout(Duration::from_secs(5), stream.read(&mut bytes)).await.expect("an event").unwrap();
        got.push_str(&String::from_utf8_lossy(&bytes[..count]));
        let found = got.lines().filter_map(|line| line.strip_prefix("data: ")).find(|data| data.contains("\"mode\""));
        if let Some(found) = found {
            break serde_json::from_str::<callbox::control::EventRecord>(found).unwrap();
        }
    };
    assert_eq!(record.fact, Fact::Mode { mode: "away".into(), on: true, by: By::Http { token: "home".into() } });
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_without_a_session_is_not_healthy_and_says_why() {
    let page = Page::open().await;
    let end = Instant::now() + Duration::from_secs(10);
    while page.ask("GET /healthz", &[], "").await.status != 200 {
        assert!(Instant::now() < end, "never healthy");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A station whose server is not there.
    let text =
        "[core]\nurl = \"http://127.0.0.1:9\"\nallow_insecure = true\ntoken = \"t\"\n[gpio]\nbackend = \"simulated\"\n";
    let config =
        callbox::config::parse("lone.toml", text, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let lone = callbox::station::RunningStation::start(callbox::station::StationOptions {
        config,
        card: callbox::audio::CardChoice::Synthetic,
        extra_addresses: Vec::new(),
        token_folders: Vec::new(),
        memory_folder: None,
        state_folder: None,
        identifier: "lone".into(),
    })
    .unwrap();
    let address = free_address();
    let config = HttpConfig { listen: address, token_file: None, certificate: None };
    let web = WebInterface::start(lone.handle.clone(), config, None);
    let end = Instant::now() + Duration::from_secs(10);
    let answer = loop {
        if TcpStream::connect(address).await.is_ok() {
            break send(address, "GET /healthz", &[format!("host: {address}")], "").await;
        }
        assert!(Instant::now() < end, "nobody listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with("session: "), "{}", answer.body);
    web.stop().await;
    lone.stop().await;
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_a_fault_that_ends_when_it_is_free() {
    let sandbox = house("");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let config = HttpConfig { listen: address, token_file: None, certificate: None };
    let web = WebInterface::start(handle(&sandbox), config, None);
    let end = Instant::now() + Duration::from_secs(10);
    let fault = loop {
        let Reply::Status(status) = handle(&sandbox).request(Request::Status).await else { panic!("no status") };
        if let Some(fault) = status.http.and_then(|http| http.fault) {
            break fault;
        }
        assert!(Instant::now() < end, "no fault");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(fault.contains(&address.to_string()) && fault.contains("control.http"), "{fault}");
    drop(taken);
    let end = Instant::now() + Duration::from_secs(20);
    while send_health(address).await != Some(200) {
        assert!(Instant::now() < end, "it never listens");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    web.stop().await;
    sandbox.stop().await;
}

async fn send_health(address: SocketAddr) -> Option<u16> {
    TcpStream::connect(address).await.ok()?;
    Some(send(address, "GET /healthz", &[format!("host: {address}")], "").await.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_has_every_page_and_no_other() {
    let page = Page::open().await;
    let description: Value = serde_json::from_str(&page.read("/api/openapi.json").await.body).unwrap();
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 13);
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let path = path.replace("{name}", "x");
            if path != "/api/events" {
                let line = format!("{} {path}", method.to_uppercase());
                let answer = page.ask(&line, &[&format!("authorization: Bearer {TOKEN}")], "nonsense").await;
                assert!(![405, 500].contains(&answer.status), "{line}: {}", answer.status);
                assert!(!answer.body.contains("no_such_page"), "{line}");
            }
        }
    }
    page.stop().await;
}
