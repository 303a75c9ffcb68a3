//! The server side of the control socket: a Unix socket that carries JSON lines.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::core::By;
use crate::media::rtpdump::CallPacket;

use super::protocol::{ErrorKind, EventRecord, Reply, ReplyError, Request};

/// Clients at a time.
const MAX_CLIENTS: usize = 32;
/// Clients of one user at a time. The rest is reserved for other users, such as root.
const MAX_CLIENTS_OF_ONE: usize = 24;
/// The longest accepted line.
const MAX_LINE_BYTES: u64 = 16 * 1024;
/// A client that sends no request for this long is disconnected.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that does not read its reply within this time is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the socket controls.
pub trait Controlled: Clone + Send + Sync + 'static {
    /// A copy of this for the requests of somebody.
    fn on_behalf_of(&self, by: By) -> Self;
    /// Carries out a request.
    fn request(&self, request: Request) -> impl Future<Output = Reply> + Send;
    /// Every fact from now on.
    fn events(&self) -> broadcast::Receiver<EventRecord>;
    /// Every packet of the far ends from now on.
    fn packets(&self) -> broadcast::Receiver<CallPacket>;
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "control socket {path}: {problem}; set control.socket to a path that the daemon may write",
    path = path.display()
)]
pub struct ControlError {
    path: PathBuf,
    problem: io::Error,
}

/// Where the socket is unless it is configured: the path of a service, then the path of a user (`$XDG_RUNTIME_DIR`).
pub fn usual_sockets() -> Vec<PathBuf> {
    let of_user = std::env::var_os("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("callbox/control.sock"));
    std::iter::once(PathBuf::from("/run/callbox/control.sock")).chain(of_user).collect()
}

/// A listening control socket. Dropping this removes the socket file.
pub struct ControlServer {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl ControlServer {
    /// Binds the configured socket. Without one, binds the first of [`usual_sockets`] that can be bound.
    ///
    /// # Errors
    ///
    /// No socket can be bound, or another callbox listens on it.
    pub async fn bind_configured(configured: Option<&Path>, controlled: impl Controlled) -> Result<Self, ControlError> {
        if let Some(path) = configured {
            return Self::bind(path, controlled).await;
        }
        let mut refused = None;
        for path in usual_sockets() {
            match Self::bind(&path, controlled.clone()).await {
                Ok(server) => return Ok(server),
                Err(error) if error.problem.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| ControlError { path: PathBuf::new(), problem: io::ErrorKind::NotFound.into() }))
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Binds a socket, and replaces a socket file that nobody listens on any more.
    ///
    /// # Errors
    ///
    /// The socket cannot be bound, or another callbox listens on it.
    pub async fn bind(path: &Path, controlled: impl Controlled) -> Result<Self, ControlError> {
        let error = |problem| ControlError { path: path.to_owned(), problem };
        if UnixStream::connect(path).await.is_ok() {
            return Err(error(io::Error::new(io::ErrorKind::AddrInUse, "another callbox listens there")));
        }
        if let Some(folder) = path.parent() {
            // If the folder cannot be made, the error of `bind` says why.
            let _ = tokio::fs::create_dir_all(folder).await;
        }
        let _ = tokio::fs::remove_file(path).await;
        let listener = UnixListener::bind(path).map_err(error)?;
        // Only the owner and its group have access, because the socket can open doors.
        tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).await.map_err(error)?;
        let task = tokio::spawn(accept(listener, controlled));
        Ok(Self { path: path.to_owned(), task })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, controlled: impl Controlled) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    let dumps = Arc::new(Semaphore::new(1));
    let mut of_users: HashMap<u32, Arc<Semaphore>> = HashMap::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let uid = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
                of_users.retain(|_, places| places.available_permits() < MAX_CLIENTS_OF_ONE);
                let of_user = of_users.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(MAX_CLIENTS_OF_ONE)));
                let (Ok(own_place), Ok(place)) =
                    (Arc::clone(of_user).try_acquire_owned(), Arc::clone(&places).try_acquire_owned())
                else {
                    tokio::spawn(turn_away(stream));
                    continue;
                };
                let dumps = Arc::clone(&dumps);
                let controlled = controlled.clone();
                tokio::spawn(async move {
                    let controlled = controlled.on_behalf_of(By::User { user: user_of(&stream).await.into() });
                    let _ = serve(stream, controlled, &dumps).await;
                    drop((place, own_place));
                });
            }
            // There may be no free file descriptor at the moment, but some soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The name of the user at the other end, whose id comes from the kernel (unix(7), `SO_PEERCRED`).
async fn user_of(stream: &UnixStream) -> String {
    let Ok(uid) = stream.peer_cred().map(|credentials| credentials.uid()) else { return "unknown".into() };
    let users = tokio::fs::read_to_string("/etc/passwd").await.unwrap_or_default();
    user_named(&users, uid).unwrap_or_else(|| format!("with uid {uid}"))
}

/// Finds the name of a user in the text of /etc/passwd (passwd(5)).
fn user_named(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Tells a client at once that too many clients are connected.
async fn turn_away(stream: UnixStream) {
    let (mut reader, mut writer) = stream.into_split();
    // The request is read first: a client that cannot send its request does not read the reply (docs/workarounds.md,
    // "kernel: a closed socket loses the answer").
    let _ = timeout(Duration::from_millis(500), reader.read(&mut [0; 1024])).await;
    let message = format!(
        "too many clients are connected (limits: {MAX_CLIENTS_OF_ONE} per user, {MAX_CLIENTS} in all); end some of them"
    );
    let _ = write_line(&mut writer, &Reply::Error(ReplyError { kind: ErrorKind::Failed, message })).await;
}

async fn serve(stream: UnixStream, controlled: impl Controlled, dumps: &Semaphore) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(MAX_LINE_BYTES);
        let count = timeout(IDLE_TIMEOUT, limited.read_line(&mut line))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if count == 0 {
            return Ok(());
        }
        if !line.ends_with('\n') {
            let reply = usage(format!("a request is one line of at most {MAX_LINE_BYTES} bytes"));
            return write_line(&mut writer, &reply).await;
        }
        let reply = match serde_json::from_str::<Request>(&line) {
            Ok(Request::Events) => return follow(reader, writer, controlled.events()).await,
            Ok(Request::Packets) => return follow(reader, writer, controlled.packets()).await,
            Ok(request @ Request::Dump { .. }) => {
                // The black box has megabytes, so only one is made and written at a time.
                let Ok(_turn) = dumps.try_acquire() else {
                    let message = "another client is reading the black box; try again".to_owned();
                    write_line(&mut writer, &Reply::Error(ReplyError { kind: ErrorKind::Failed, message })).await?;
                    continue;
                };
                let reply = controlled.request(request).await;
                write_line(&mut writer, &reply).await?;
                continue;
            }
            Ok(request) => controlled.request(request).await,
            Err(error) => usage(format!("this is not a request: {error}")),
        };
        write_line(&mut writer, &reply).await?;
    }
}

fn usage(message: String) -> Reply {
    Reply::Error(ReplyError { kind: ErrorKind::Usage, message })
}

/// Writes every fact, or every packet, until the client disconnects.
async fn follow<T: serde::Serialize + Clone>(
    mut reader: impl AsyncReadExt + Unpin,
    mut writer: impl AsyncWriteExt + Unpin,
    mut events: broadcast::Receiver<T>,
) -> io::Result<()> {
    write_line(&mut writer, &Reply::Ok(true)).await?;
    let mut ignored = [0_u8; 64];
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => write_line(&mut writer, &event).await?,
                // A slow client misses some of them. That is better than stopping the station.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            count = reader.read(&mut ignored) => {
                if count? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

async fn write_line(writer: &mut (impl AsyncWriteExt + Unpin), value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
    line.push(b'\n');
    timeout(WRITE_TIMEOUT, writer.write_all(&line)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_the_machine_knows() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\ncallbox:x:998:998::/:/bin/false\n";
        assert_eq!(user_named(users, 998).as_deref(), Some("callbox"));
        assert_eq!(user_named(users, 0).as_deref(), Some("root"));
        assert_eq!(user_named(users, 1000), None);
    }
}
