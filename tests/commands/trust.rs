//! `callbox login --trust`, against a real server with a certificate of its own.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{Process, callbox, free_port, parts, until_it_listens};

/// A TLS server with a certificate that it made itself. Returns its port.
fn server(folder: &TempDir) -> (Process, u16) {
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=core -addext subjectAltName=DNS:localhost".split(' '),
        )
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success());
    let port = free_port();
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert", "cert.pem", "-key", "key.pem"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Process)
        .unwrap();
    until_it_listens(port);
    (server, port)
}

/// Runs the command in the folder, with this on its standard input. Returns its exit code and what it printed.
fn login(folder: &TempDir, arguments: &[&str], input: &str) -> (i32, String) {
    let arguments = [&["login", "--trust"], arguments].concat();
    let mut command = callbox(folder.path(), &arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (code, said, complaint) = parts(&child.wait_with_output().unwrap());
    (code, said + &complaint)
}

#[test]
fn a_certificate_is_shown_and_saved_after_a_yes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = server(&folder);
    let url = format!("https://localhost:{port}");
    let (code, shown) = login(&folder, &["--url", &url], "");
    assert_eq!(code, 0, "{shown}");
    for part in [
        "subject      CN=core",
        "the server made it itself",
        "names        localhost",
        "valid        from 20",
        "pin = \"sha256/",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for no in ["", "no\n", "ye\n", "yes no\n"] {
        let (code, shown) = login(&folder, &["--url", &url, "--ca-file", "core.pem"], no);
        assert!(code == 1 && shown.contains("nothing was saved"), "{shown}");
        assert!(!folder.path().join("core.pem").exists());
    }
    let (code, shown) = login(&folder, &["--url", &url, "--ca-file", "core.pem"], "yes\n");
    // The path counts from wherever the configuration is.
    let saved = folder.path().join("core.pem").display().to_string();
    assert!(code == 0 && shown.contains(&format!("ca_file = \"{saved}\"")), "{shown}");
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text("core.pem"), text("cert.pem"));
}

#[test]
fn where_there_is_no_certificate_the_command_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (code, shown) = login(&folder, &["--url", "http://localhost:1"], "");
    assert!(code == 2 && shown.contains("has no certificate: write https://"), "{shown}");
    let (code, shown) = login(&folder, &["--url", "https://localhost:1"], "");
    assert!(code == 1 && shown.contains("refused"), "{shown}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let (code, shown) = login(&folder, &["--url", &format!("https://localhost:{port}")], "");
    assert!(code == 1 && shown.contains("does not speak TLS"), "{shown}");
}
