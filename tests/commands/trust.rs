//! `callbox login --trust`, against a real server with a certificate of its own.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

struct OpensslServer(Child);

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A TLS server with a certificate that it made itself. Returns its port.
fn server(folder: &TempDir) -> (OpensslServer, u16) {
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=core -addext subjectAltName=DNS:localhost".split(' '),
        )
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert", "cert.pem", "-key", "key.pem"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(OpensslServer)
        .unwrap();
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return (server, port);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("openssl does not listen");
}

/// Runs the command in the folder, with this on its standard input. Returns its exit code and what it printed.
fn login(folder: &TempDir, arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_callbox"))
        .args(["login", "--trust"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), printed)
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
    for no in ["", "no\n", "y\n"] {
        let (code, shown) = login(&folder, &["--url", &url, "--ca-file", "core.pem"], no);
        assert!(code == 1 && shown.contains("nothing was saved"), "{shown}");
        assert!(!folder.path().join("core.pem").exists());
    }
    let (code, shown) = login(&folder, &["--url", &url, "--ca-file", "core.pem"], "yes\n");
    assert!(code == 0 && shown.contains("ca_file = \"core.pem\""), "{shown}");
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
