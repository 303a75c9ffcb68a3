use callbox::config::ServerTrust;
use callbox::core::SessionState;
use serde_json::json;

use crate::server::{Authority, Server};
use crate::{Rig, mode_of, status, until};

#[tokio::test]
async fn an_untrusted_certificate_is_named_and_the_session_comes_up_once_it_is_mended() {
    let rig = Rig::new();
    let stranger = Authority::new();
    let server = Server::start(&stranger).await;
    let station = rig.station(server.port, "");
    server.refuse_tls().await;
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    let reason = now.station.session.reason.unwrap();
    assert!(reason.contains("unknown CA") && reason.contains("core.ca_file"), "{reason}");
    let port = server.port;
    drop(server);
    let server = Server::start_with(&rig.authority, port, false).await;
    let mut session = server.session().await;
    session.state(json!([null, null])).await;
    until(&station, "registration", |status| status.station.session.state == SessionState::Registered).await;
    station.stop().await;
}

#[tokio::test]
async fn the_platforms_roots_do_not_trust_a_ca_of_our_own() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station_with(server.port, "", "");
    server.refuse_tls().await;
    assert_ne!(status(&station).await.station.session.state, SessionState::Registered);
    station.stop().await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let rig = Rig::new();
    let (certificate, key) = rig.authority.issue("door-1");
    rig.write("client.pem", &certificate);
    rig.write("client-key.pem", &key);
    let server = Server::start_with(&rig.authority, 0, true).await;
    let station = rig.station(server.port, "client_cert_file = \"client.pem\"\nclient_key_file = \"client-key.pem\"");
    server.session().await;
    station.stop().await;
}

#[tokio::test]
async fn without_its_client_certificate_a_station_is_refused_and_says_so() {
    let rig = Rig::new();
    let server = Server::start_with(&rig.authority, 0, true).await;
    let station = rig.station(server.port, "");
    server.refuse_tls().await;
    until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    station.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_and_found_when_it_comes() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let port = server.port;
    drop(server);
    let station = rig.station(port, "");
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    assert!(now.station.session.reason.unwrap().contains(&port.to_string()));
    let server = Server::start_with(&rig.authority, port, false).await;
    server.session().await;
    station.stop().await;
}

#[tokio::test]
async fn a_web_server_that_is_not_a_telephony_server_is_reported() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    server.answer_http("200 OK", "", "<h1>hello</h1>").await;
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    assert!(now.station.session.reason.unwrap().contains("HTTP 200"));
    station.stop().await;
}

#[tokio::test]
async fn a_login_gets_a_token_that_is_kept_and_renewed_when_it_is_refused() {
    let rig = Rig::new();
    rig.write("password", "open sesame\n");
    std::fs::create_dir(rig.folder.path().join("state")).unwrap();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "login = \"door\"\npassword_file = \"password\"");
    let (head, body) = server.answer_http("200 OK", "content-type: application/json\r\n", r#"{"token":"first"}"#).await;
    assert!(head.starts_with("POST /api/v1/session "), "{head}");
    assert_eq!(
        body,
        json!({ "bundle_id": null, "type": "linux", "identifier": "test-device", "login": "door", "password": "open sesame" })
    );
    let session = server.session().await;
    assert!(session.target.contains("token=first"));
    let kept = rig.path("state/token");
    assert_eq!(std::fs::read_to_string(&kept).unwrap().trim(), "first");
    assert_eq!(mode_of(&kept), 0o600);
    let mut session = session;
    session.state(json!([null, null])).await;
    until(&station, "registration", |status| status.station.session.state == SessionState::Registered).await;
    session.close(4201).await;
    server.answer_http("200 OK", "", r#"{"token":"second"}"#).await;
    let session = server.session().await;
    assert!(session.target.contains("token=second"));
    station.stop().await;
}

#[tokio::test]
async fn a_refused_login_is_a_fault_in_the_servers_words() {
    let rig = Rig::new();
    rig.write("password", "wrong");
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "login = \"door\"\npassword_file = \"password\"");
    server.answer_http("401 Unauthorized", "", r#"{"code":"incorrect_credentials"}"#).await;
    let now = until(&station, "the fault", |status| status.station.session.state == SessionState::Refused).await;
    assert!(now.station.session.reason.unwrap().contains("incorrect_credentials"));
    station.stop().await;
}

/// Runs `openssl ARGUMENTS` in the folder of the rig: certificates and keys are made as people make them.
fn openssl(rig: &Rig, arguments: &str) {
    let output = std::process::Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(rig.folder.path())
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn read(rig: &Rig, name: &str) -> String {
    std::fs::read_to_string(rig.path(name)).unwrap()
}

const SELF_SIGNED: &str = "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=core -keyout key.pem -out cert.pem";

/// The reason that a station gives for refusing the certificate in `cert.pem`. `trust` holds its lines about trust.
async fn reason(rig: &Rig, trust: &str) -> String {
    let server = Server::start_with_certificate(&read(rig, "cert.pem"), &read(rig, "key.pem")).await;
    let station = rig.station_with(server.port, "", trust);
    server.refuse_tls().await;
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    station.stop().await;
    let reason = now.station.session.reason.unwrap();
    assert!(!reason.contains("Other(") && !reason.contains("Error"), "the reason shows internals: {reason}");
    reason
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_it_is_itself_the_ca_file() {
    let rig = Rig::new();
    openssl(&rig, &format!("{SELF_SIGNED} -addext subjectAltName=IP:127.0.0.1"));
    // Some editors begin a text with a byte order mark.
    rig.write("marked.pem", &format!("\u{feff}{}", read(&rig, "cert.pem")));
    for ca_file in ["cert.pem", "marked.pem"] {
        let server = Server::start_with_certificate(&read(&rig, "cert.pem"), &read(&rig, "key.pem")).await;
        let station = rig.station_with(server.port, "", &format!("ca_file = \"{ca_file}\""));
        server.session().await;
        station.stop().await;
    }
    assert!(reason(&rig, "").await.contains("core.ca_file"));
    openssl(
        &rig,
        &format!("{SELF_SIGNED} -addext subjectAltName=IP:127.0.0.1").replace("key.pem -out cert", "x -out other"),
    );
    assert!(reason(&rig, "ca_file = \"other.pem\"").await.contains("core.ca_file"), "another one of the same name");
}

#[tokio::test]
async fn a_certificate_of_a_ca_that_nobody_has_is_trusted_where_it_is_itself_the_ca_file() {
    let rig = Rig::new();
    let (certificate, key) = Authority::new().issue("127.0.0.1");
    rig.write("cert.pem", &certificate);
    let server = Server::start_with_certificate(&certificate, &key).await;
    let station = rig.station_with(server.port, "", "ca_file = \"cert.pem\"");
    server.session().await;
    station.stop().await;
}

#[tokio::test]
async fn name_and_dates_of_a_pinned_certificate_count_and_each_fault_has_its_word() {
    let rig = Rig::new();
    openssl(&rig, &format!("{SELF_SIGNED} -addext subjectAltName=DNS:elsewhere.example"));
    assert!(reason(&rig, "ca_file = \"cert.pem\"").await.contains("for another name"));
    openssl(&rig, SELF_SIGNED);
    assert!(reason(&rig, "ca_file = \"cert.pem\"").await.contains("subjectAltName"));
    openssl(&rig, "req -newkey rsa:2048 -nodes -subj /CN=core -keyout key.pem -out request.pem");
    openssl(&rig, "x509 -req -in request.pem -signkey key.pem -days 9 -out cert.pem");
    assert!(reason(&rig, "ca_file = \"cert.pem\"").await.contains("version 1"));
    let year = |year| rcgen::date_time_ymd(year, 1, 1);
    for (from, until, word) in [(2001, 2002, "expired"), (2090, 2095, "not valid yet")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (year(from), year(until));
        rig.write("cert.pem", &params.self_signed(&key).unwrap().pem());
        rig.write("key.pem", &key.serialize_pem());
        let message = reason(&rig, "ca_file = \"cert.pem\"").await;
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_server_showed() {
    let rig = Rig::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["core.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "the core\u{1b}[2J");
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 2, 3));
    rig.write("cert.pem", &params.self_signed(&key).unwrap().pem());
    rig.write("key.pem", &key.serialize_pem());
    let message = reason(&rig, "ca_file = \"cert.pem\"").await;
    assert!(message.contains("expired, on 2002-02-03"), "{message}");
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2090, 4, 5), rcgen::date_time_ymd(2095, 1, 1));
    rig.write("cert.pem", &params.self_signed(&key).unwrap().pem());
    let message = reason(&rig, "ca_file = \"cert.pem\"").await;
    assert!(message.contains("not valid yet before 2090-04-05"), "{message}");
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2095, 1, 1));
    rig.write("cert.pem", &params.self_signed(&key).unwrap().pem());
    let message = reason(&rig, "ca_file = \"cert.pem\"").await;
    assert!(message.contains("for another name (core.example)"), "{message}");
    params.subject_alt_names = vec![rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
    rig.write("cert.pem", &params.self_signed(&key).unwrap().pem());
    let message = reason(&rig, "ca_file = \"ca.pem\"").await;
    assert!(message.contains("unknown CA (CN=the core") && message.contains("callbox login --trust"), "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

#[tokio::test]
async fn nobody_is_told_to_trust_what_a_captive_portal_shows() {
    let rig = Rig::new();
    openssl(&rig, &format!("{SELF_SIGNED} -addext subjectAltName=DNS:portal.example"));
    let self_made = reason(&rig, "ca_file = \"ca.pem\"").await;
    let (certificate, key) = Authority::new().issue("portal.example");
    rig.write("cert.pem", &certificate);
    rig.write("key.pem", &key);
    let of_a_ca = reason(&rig, "ca_file = \"ca.pem\"").await;
    for message in [self_made, of_a_ca] {
        assert!(message.contains("another name (portal.example)") && message.contains("captive portal"), "{message}");
        assert!(!message.contains("--trust"), "{message}");
    }
}

/// The hash of the key in `key.pem`, as people compute it.
fn pin(rig: &Rig) -> String {
    openssl(rig, "pkey -in key.pem -pubout -outform der -out public.der");
    openssl(rig, "dgst -sha256 -binary -out hash public.der");
    openssl(rig, "base64 -A -in hash -out hash.txt");
    format!("sha256/{}", read(rig, "hash.txt").trim())
}

#[tokio::test]
async fn a_pinned_key_is_enough_and_a_wrong_one_refuses_whatever_a_ca_says() {
    let rig = Rig::new();
    openssl(&rig, &format!("{SELF_SIGNED} -addext subjectAltName=IP:127.0.0.1"));
    let (right, wrong) = (pin(&rig), "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    for trust in [
        format!("pin = \"{right}\""),
        format!("pin = [\"{wrong}\", \"{right}\"]"),
        format!("ca_file = \"cert.pem\"\npin = \"{right}\""),
        "ca_file = \"cert.pem\"\npin = \"\"".to_owned(),
    ] {
        let server = Server::start_with_certificate(&read(&rig, "cert.pem"), &read(&rig, "key.pem")).await;
        let station = rig.station_with(server.port, "", &trust);
        server.session().await;
        station.stop().await;
    }
    for trust in [format!("pin = \"{wrong}\""), format!("ca_file = \"cert.pem\"\npin = \"{wrong}\"")] {
        let message = reason(&rig, &trust).await;
        assert!(message.contains("core.pin") && message.contains(&right), "{message}");
    }
    let message = reason(&rig, &format!("ca_file = \"ca.pem\"\npin = \"{right}\"")).await;
    assert!(message.contains("self-signed: CN=core"), "a pin beside a CA replaces nothing: {message}");
}

#[test]
fn a_file_that_is_not_a_pem_certificate_is_reported_as_what_it_is() {
    let rig = Rig::new();
    openssl(&rig, SELF_SIGNED);
    openssl(&rig, "x509 -in cert.pem -outform der -out cert.der");
    openssl(&rig, "crl2pkcs7 -nocrl -certfile cert.pem -out cert.p7b");
    openssl(&rig, "pkcs12 -export -passout pass: -in cert.pem -inkey key.pem -out both.p12");
    openssl(&rig, "x509 -in cert.pem -trustout -out trusted.pem");
    openssl(&rig, "req -x509 -newkey rsa:1024 -nodes -days 9 -subj /CN=core -keyout short.key -out short.pem");
    rig.write("empty.pem", "");
    rig.write("prose.pem", "hello");
    rig.write("cut.pem", &read(&rig, "cert.pem")[..300]);
    for (file, word) in [
        ("cert.der", "DER form; convert it to PEM: openssl x509 -inform der"),
        ("cert.p7b", "openssl pkcs7 -print_certs"),
        ("both.p12", "holds PKCS #12; convert it to PEM: openssl pkcs12 -nodes"),
        ("trusted.pem", "convert it: openssl x509"),
        ("short.pem", "cannot be used (RSA of 1024 bits)"),
        ("key.pem", "holds no certificate, but: private key"),
        ("empty.pem", "is empty"),
        ("prose.pem", "there is no line -----BEGIN CERTIFICATE-----"),
        ("cut.pem", "damaged"),
        ("nobody.pem", "No such file"),
    ] {
        let path = rig.path(file);
        let trust = ServerTrust { ca_file: Some(path.into()), pins: Vec::new() };
        let error = callbox::signaling::client_config(&trust, None).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains(file), "{file}: {error}");
    }
    openssl(&rig, "pkey -in key.pem -outform der -out key.der");
    openssl(&rig, "req -new -key key.pem -subj /CN=core -out request.pem");
    openssl(&rig, "x509 -req -in request.pem -signkey key.pem -days 9 -out first.pem");
    for (certificate, key, word) in [
        ("cert.pem", "key.der", "openssl pkey -inform der"),
        ("cert.pem", "short.key", "is not the key of core.client_cert_file"),
        ("first.pem", "key.pem", "X.509 version 1"),
    ] {
        let files = (rig.path(certificate).into(), rig.path(key).into());
        let error = callbox::signaling::client_config(&ServerTrust::default(), Some(&files)).unwrap_err().to_string();
        assert!(error.contains(word), "{certificate}, {key}: {error}");
    }
    let indented: String = read(&rig, "cert.pem").lines().map(|line| format!("  {line}\r\n")).collect();
    rig.write("indented.pem", &indented.replace(" CERTIFICATE", " X509 CERTIFICATE"));
    let trust = ServerTrust { ca_file: Some(rig.path("indented.pem").into()), pins: Vec::new() };
    callbox::signaling::client_config(&trust, None).expect("it is a certificate");
}

#[tokio::test]
async fn a_redirect_says_where_to_at_the_upgrade_and_at_the_login() {
    for (status, core) in [
        ("302 Found", ""),
        ("301 Moved Permanently", ""),
        ("307 Temporary Redirect", "login = \"door\"\npassword_file = \"password\""),
        ("308 Permanent Redirect", "login = \"door\"\npassword_file = \"password\""),
    ] {
        let rig = Rig::new();
        rig.write("password", "open sesame");
        let server = Server::start(&rig.authority).await;
        let station = rig.station(server.port, core);
        let location = "location: https://portal.example/welcome?token=secret\r\n";
        server.answer_http(status, location, "").await;
        let told = |status: &callbox::control::FullStatus| {
            status.station.session.reason.as_ref().is_some_and(|reason| reason.contains("HTTP 3"))
        };
        let now = until(&station, "where we are sent", told).await;
        let reason = now.station.session.reason.unwrap();
        assert!(reason.contains("https://portal.example/welcome") && reason.contains("captive portal"), "{reason}");
        assert!(!reason.contains("secret"), "{reason}");
        station.stop().await;
    }
}
