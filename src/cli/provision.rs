//! `callbox provision FILE`: a whole station from one file, for example on a USB stick (docs/fleet.md, "Provisioning").

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::output::{say, say_error};
use super::{Exit, complain, environment};
use crate::config::ConfigErrors;
use crate::{files, regular_file};

/// The largest file that is read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The folder of the configuration, below the root.
const FOLDER: &str = "etc/callbox";
/// The group of the daemon, which must read the configuration.
const GROUP: &str = "callbox";

#[derive(Debug, clap::Args)]
pub(super) struct ProvisionArgs {
    /// The file with everything that the station needs
    file: PathBuf,
    /// Check the file, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove the file after everything was written: it has secrets
    #[arg(long, conflicts_with = "dry_run")]
    remove: bool,
    /// The root of the system to provision, such as a mounted SD card
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provision {
    /// The text of callbox.toml.
    configuration: String,
    #[serde(default)]
    host_name: Option<String>,
    /// Texts of further files, by their path in the folder of the configuration.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// The same for files that are no texts, in Base64.
    #[serde(default)]
    files_base64: BTreeMap<String, String>,
}

/// What will be written.
struct Plan {
    /// Below the folder of the configuration, with its content.
    files: Vec<(PathBuf, Vec<u8>)>,
    host_name: Option<String>,
}

pub(super) fn provision(args: &ProvisionArgs) -> Exit {
    let plan = match Plan::read(&args.file) {
        Ok(plan) => plan,
        Err(problem) => return refuse(format!("{}: {problem}", args.file.display())),
    };
    if let Err(exit) = plan.rehearse(&args.file) {
        return exit;
    }
    let folder = args.root.join(FOLDER);
    if args.dry_run {
        say!("{}: valid; it would write:", args.file.display());
        plan.files.iter().for_each(|(path, _)| say!("  {}", folder.join(path).display()));
        return Exit::Done;
    }
    if let Err(problem) = plan.write(&args.root) {
        complain(problem);
        return Exit::Failed;
    }
    plan.files.iter().for_each(|(path, _)| say!("wrote {}", folder.join(path).display()));
    if let Some(name) = &plan.host_name {
        say!("the host name is {name}");
    }
    if args.remove {
        if let Err(error) = std::fs::remove_file(&args.file) {
            complain(format!("{}: cannot be removed: {error}", args.file.display()));
            return Exit::Failed;
        }
        say!("removed {}", args.file.display());
    } else {
        say!("{} has secrets: remove it, or write it with --remove", args.file.display());
    }
    say!("now: systemctl enable callbox && systemctl restart callbox");
    Exit::Done
}

fn refuse(problem: impl std::fmt::Display) -> Exit {
    complain(problem);
    Exit::Usage
}

impl Plan {
    fn read(file: &Path) -> Result<Self, String> {
        let text = regular_file::read_text(file, MAX_BYTES).map_err(|error| error.to_string())?;
        let Provision { configuration, host_name, files, files_base64 } =
            toml_edit::de::from_str(&text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let mut all = vec![(PathBuf::from("callbox.toml"), configuration.into_bytes())];
        for (path, text) in files {
            all.push((inside(&path)?, text.into_bytes()));
        }
        for (path, text) in files_base64 {
            let text: String = text.split_whitespace().collect();
            let bytes = STANDARD.decode(text).map_err(|_| format!("files_base64.\"{path}\" is not Base64"))?;
            all.push((inside(&path)?, bytes));
        }
        for (index, (path, _)) in all.iter().enumerate() {
            if all.iter().take(index).any(|(other, _)| other == path) {
                return Err(format!("{} is there twice; write each file once", path.display()));
            }
        }
        if let Some(name) = host_name.as_ref().filter(|name| !is_host_name(name)) {
            let shown = crate::plain_text::shortened(name);
            return Err(format!("\"{shown}\" is not a host name; use a to z, 0 to 9 and -, at most 63 characters"));
        }
        Ok(Self { files: all, host_name })
    }

    /// Writes everything to a private folder of its own, and reads it as the daemon will.
    fn rehearse(&self, file: &Path) -> Result<(), Exit> {
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("callbox-provision-").permissions(private).tempdir();
        let folder = folder.map_err(|error| {
            complain(format!("no folder for a rehearsal: {error}"));
            Exit::Failed
        })?;
        for (path, bytes) in &self.files {
            put(&folder.path().join(path), bytes, 0o600).map_err(|problem| {
                complain(problem);
                Exit::Failed
            })?;
        }
        let config = folder.path().join("callbox.toml");
        crate::config::load(&config, &environment()).map(drop).map_err(|errors| {
            tell(&errors, folder.path());
            say_error!("{}: nothing was written", file.display());
            Exit::Usage
        })
    }

    /// Writes everything: the configuration last, so that a station that is switched off half-way keeps its old one.
    fn write(&self, root: &Path) -> Result<(), String> {
        let folder = root.join(FOLDER);
        let group = group_id(&root.join("etc/group"), GROUP);
        for (path, bytes) in self.files.iter().rev() {
            let is_config = path == Path::new("callbox.toml");
            let is_secret = path.starts_with("secrets");
            let mode = if is_config {
                0o640
            } else if is_secret {
                0o600
            } else {
                0o644
            };
            let target = folder.join(path);
            put(&target, bytes, mode)?;
            if let Some(group) = group.filter(|_| is_config) {
                std::os::unix::fs::chown(&target, None, Some(group))
                    .map_err(|error| format!("{}: cannot be given to the group {GROUP}: {error}", target.display()))?;
            }
        }
        if let Some(name) = &self.host_name {
            put(&root.join("etc/hostname"), format!("{name}\n").as_bytes(), 0o644)?;
            if root == Path::new("/") {
                rustix::system::sethostname(name.as_bytes()).map_err(|error| format!("host name: {error}"))?;
            }
        }
        Ok(())
    }
}

/// The errors of the configuration, at its own lines.
fn tell(errors: &ConfigErrors, folder: &Path) {
    let folder = format!("{}/", folder.display());
    for line in errors.to_string().lines() {
        say_error!("{}", line.replace(&folder, ""));
    }
}

/// A path below the folder of the configuration.
fn inside(path: &str) -> Result<PathBuf, String> {
    let parts = Path::new(path).components();
    let is_inside = parts.clone().count() > 0 && parts.clone().all(|part| matches!(part, Component::Normal(_)));
    let shown = crate::plain_text::shortened(path);
    if is_inside && shown == path { Ok(path.into()) } else { Err(format!("\"{shown}\" is no path below /{FOLDER}")) }
}

/// A label of RFC 1123, section 2.1.
fn is_host_name(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    !name.is_empty() && name.len() <= 63 && name.chars().all(allowed) && !name.starts_with('-') && !name.ends_with('-')
}

/// Writes a file, and makes its folder: private for secrets.
fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let error = |problem: std::io::Error| format!("{}: {problem}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let mode = if mode & 0o077 == 0 { 0o700 } else { 0o755 };
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(error)?;
    }
    files::replace(path, bytes, mode).map_err(error)?;
    // The mask of the user may have taken the right of the daemon to read it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(error)
}

/// The id of a group in a file like /etc/group (group(5)).
fn group_id(file: &Path, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}
