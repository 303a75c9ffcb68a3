//! `callbox check --network`, against real servers on loopback.

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{CALLBOX, Process, free_port, run, until_it_listens};

/// Starts a program in the folder. `None` if it is not installed.
fn start(folder: &TempDir, program: &str, arguments: &[&str]) -> Option<Process> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok().map(Process)
}

/// A server of the household that hands out these STUN and TURN servers. Returns its port.
fn sandbox(folder: &TempDir, ice_servers: &[String]) -> (Process, u16) {
    std::fs::write(folder.path().join("turn-secret"), "north wind\n").unwrap();
    sandbox_with(folder, ice_servers, "turn-secret")
}

fn sandbox_with(folder: &TempDir, ice_servers: &[String], secret_file: &str) -> (Process, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut arguments = vec!["sandbox", "--no-station", "--turn-secret-file", secret_file, "--listen", &address];
    arguments.extend(ice_servers.iter().flat_map(|url| ["--ice-server", url]));
    let running = start(folder, CALLBOX, &arguments).unwrap();
    until_it_listens(port);
    std::fs::write(folder.path().join("password"), "callbox").unwrap();
    let url = format!("http://{address}");
    let login = ["login", "--url", &url, "--user", "101", "--password-file", "password", "--token-file", "token"];
    let (code, _, complaint) = run(folder.path(), &login);
    assert_eq!(code, 0, "{complaint}");
    (running, port)
}

/// Checks the network of a station with this server. Returns the exit code and the lines.
fn check(folder: &TempDir, port: u16) -> (i32, Vec<String>) {
    let text = format!(
        "[core]\nurl = \"http://127.0.0.1:{port}\"\nallow_insecure = true\ntoken_file = \"token\"\n\
         [media]\nbind = [\"127.0.0.1\"]\n"
    );
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    if !folder.path().join("token").exists() {
        std::fs::write(folder.path().join("token"), "nobody's").unwrap();
    }
    let (code, text, _) = run(folder.path(), &["check", "--network", "--config", "callbox.toml"]);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (last, steps) = lines.split_last().expect("lines");
    assert!(last.starts_with("calls: "), "{text}");
    for step in steps {
        assert!(["ok ", "failed ", "skipped "].iter().any(|outcome| step.starts_with(outcome)), "{step}");
    }
    (code, lines)
}

fn line<'a>(lines: &'a [String], part: &str) -> &'a str {
    lines.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {lines:#?}"))
}

#[test]
fn without_a_server_calls_will_not_work() {
    let folder = tempfile::tempdir().unwrap();
    let (code, lines) = check(&folder, free_port());
    assert_eq!(code, 1);
    assert!(
        line(&lines, "connect to").starts_with("failed") && line(&lines, "calls:").contains("refused"),
        "{lines:#?}"
    );
}

#[test]
fn a_page_in_place_of_the_server_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let answer = b"HTTP/1.1 302 Found\r\nlocation: http://portal.example/login\r\ncontent-length: 0\r\n\r\n";
            let _ = std::io::Write::write_all(&mut stream, answer);
        }
    });
    let (code, lines) = check(&folder, port);
    assert_eq!(code, 1);
    assert!(
        line(&lines, "WebSocket").starts_with("failed") && line(&lines, "calls:").contains("portal.example"),
        "{lines:#?}"
    );
}

#[test]
fn without_stun_and_turn_nobody_knows_whether_udp_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (_sandbox, port) = sandbox(&folder, &[]);
    let (code, lines) = check(&folder, port);
    assert_eq!(code, 0);
    assert!(
        line(&lines, "WebSocket").starts_with("ok") && line(&lines, "ask for").contains("hands out none"),
        "{lines:#?}"
    );
    assert!(line(&lines, "calls:").contains("will work directly, if"), "{lines:#?}");
}

#[test]
fn servers_that_do_not_answer_are_named_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    // It takes datagrams and answers none.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let deaf_port = deaf.local_addr().unwrap().port();
    let urls = [format!("stun:127.0.0.1:{deaf_port}"), format!("turns:127.0.0.1:{}", free_port())];
    let (_sandbox, port) = sandbox(&folder, &urls);
    let (code, lines) = check(&folder, port);
    assert_eq!(code, 1);
    assert!(
        line(&lines, "STUN at").starts_with("failed") && line(&lines, "STUN at").contains("no answer"),
        "{lines:#?}"
    );
    assert!(line(&lines, "TURN over TLS at").contains("refused"), "{lines:#?}");
    assert!(line(&lines, "calls:").starts_with("calls: will not work: "), "{lines:#?}");
}

#[test]
fn where_tcp_alone_passes_calls_go_through_the_relay_over_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let turn_port = free_port();
    let listening = turn_port.to_string();
    let arguments = [
        "-n",
        "--no-cli",
        "--no-udp",
        "--no-tls",
        "--no-dtls",
        "--allow-loopback-peers",
        "--realm",
        "test",
        "--use-auth-secret",
        "--static-auth-secret=north wind",
        "--listening-ip",
        "127.0.0.1",
        "--relay-ip",
        "127.0.0.1",
        "--pidfile",
        "/dev/null",
        "--log-file",
        "stdout",
        "--db",
        "turn.db",
        "--listening-port",
        &listening,
    ];
    let Some(_turn) = start(&folder, "turnserver", &arguments) else {
        return println!("SKIPPED: there is no turnserver here");
    };
    until_it_listens(turn_port);
    // Another secret first: what the network lets through is not blamed on the network.
    std::fs::write(folder.path().join("other-secret"), "south wind\n").unwrap();
    let url = format!("turn:127.0.0.1:{turn_port}?transport=tcp");
    let (_other, port) = sandbox_with(&folder, std::slice::from_ref(&url), "other-secret");
    let (code, lines) = check(&folder, port);
    let refused = "TURN over TCP at 127.0.0.1";
    assert_eq!(code, 1, "{lines:#?}");
    assert!(line(&lines, refused).contains("it refuses the user name or the password"), "{lines:#?}");
    let last = line(&lines, "calls:");
    assert!(
        last.starts_with("calls: will not work: no STUN or TURN server is of use: TURN over TCP")
            && !last.contains("must allow"),
        "{last}"
    );
    let (_sandbox, port) = sandbox(&folder, &[url]);
    let (code, lines) = check(&folder, port);
    assert_eq!(
        (code, lines.last().map(String::as_str)),
        (0, Some("calls: will work through the relay over TCP")),
        "{lines:#?}"
    );
    assert!(line(&lines, "a call through it").starts_with("ok"), "{lines:#?}");
}

#[test]
fn a_list_that_cannot_be_had_is_no_promise() {
    let folder = tempfile::tempdir().unwrap();
    let (_sandbox, port) = sandbox(&folder, &["stun:127.0.0.1:1".to_owned()]);
    std::fs::write(folder.path().join("token"), "that-of-nobody").unwrap();
    let (code, lines) = check(&folder, port);
    assert_eq!(code, 1, "{lines:#?}");
    assert!(line(&lines, "ask for STUN and TURN servers").starts_with("failed"), "{lines:#?}");
    let last = line(&lines, "calls:");
    assert!(last.contains("the server's STUN and TURN servers could not be had: ") && last.contains("401"), "{last}");
}

#[test]
fn without_a_token_yet_the_check_logs_in_as_a_call_would() {
    let folder = tempfile::tempdir().unwrap();
    let (_sandbox, port) = sandbox(&folder, &["turns:127.0.0.1:1".to_owned()]);
    let text = format!(
        "[core]\nurl = \"http://127.0.0.1:{port}\"\nallow_insecure = true\nlogin = \"101\"\npassword_file = \"password\"\n"
    );
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let (code, out, _) = run(folder.path(), &["check", "--network", "--config", "callbox.toml"]);
    assert!(
        out.contains("log in") && out.contains("0 STUN, 0 TURN over UDP") || out.contains("1 TURN over TLS"),
        "{out}"
    );
    assert_eq!(code, 1, "{out}");
}
