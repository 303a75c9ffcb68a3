//! From a file to a [`Config`]: table by table, with every error.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::action::Trigger;
use super::error::{ConfigError, ConfigErrors, Place};
use super::number::NumberPattern;
use super::read::{Reader, Section};
use super::source::merge;
use super::station::*;
use super::trigger::read_trigger;
use crate::core::Drive;

/// Reads a configuration file with the overrides of the environment.
pub fn load(file: &Path, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        ConfigErrors(vec![ConfigError {
            place: Place::File(file.display().to_string()),
            key: String::new(),
            problem: format!("cannot be read: {error}"),
            remedy: "name the file with --config, or write one (see README.md)".into(),
        }])
    })?;
    parse(&file.display().to_string(), &text, environment)
}

/// Reads a configuration text; `file` gives its name in errors and the folder of relative paths.
pub fn parse(file: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    let sources = merge(file, text, environment)?;
    let folder = Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
    let reader = Reader::new(sources.origins);
    let root = Section::new(&reader, String::new(), sources.values);
    let context = Context { folder, environment };
    let config = read_config(&root, &context);
    root.finish();
    let errors = reader.into_errors();
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(ConfigErrors(errors)),
    }
}

/// Reads a configuration whose `[core]` somebody else provides: it may be absent or incomplete.
pub fn parse_without_core(
    file: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigErrors> {
    let mut environment = environment.clone();
    // Values that are valid and will be replaced.
    environment.insert("CALLBOX_CORE__URL".into(), "https://localhost".into());
    environment.insert("CALLBOX_CORE__TOKEN".into(), "replaced".into());
    let without_core = strip_core(text);
    parse(file, &without_core, &environment)
}

/// The text with the lines of `[core]` blank, so that line numbers stay.
fn strip_core(text: &str) -> String {
    let mut in_core = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let head = line.trim_start();
        if head.starts_with('[') {
            in_core = head.starts_with("[core]");
        }
        if !in_core {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// Where relative paths count from.
struct Context<'a> {
    folder: PathBuf,
    environment: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn secret(&self, text: &str) -> PathBuf {
        let credentials = self.environment.get("CREDENTIALS_DIRECTORY").map(Path::new);
        resolve_secret_file(text, credentials, &self.folder)
    }
}

/// Files for secrets resolve against `$CREDENTIALS_DIRECTORY` first, then against the
/// configuration's folder.
pub fn resolve_secret_file(text: &str, credentials: Option<&Path>, folder: &Path) -> PathBuf {
    credentials
        .map(|credentials| credentials.join(text))
        .filter(|path| path.exists())
        .unwrap_or_else(|| folder.join(text))
}

fn read_config(root: &Section<'_>, context: &Context<'_>) -> Option<Config> {
    let core = read_core(&root.section("core"), context);
    let media = read_media(root.section("media"), context);
    let audio = read_audio(root.section("audio"));
    let gpio = read_gpio(root.section("gpio"));
    let outputs = unique(
        root,
        "output",
        root.sections("output").into_iter().filter_map(read_output).collect(),
        |output: &OutputPin| &output.name,
    );
    let buttons = unique(
        root,
        "button",
        root.sections("button").into_iter().filter_map(|section| read_button(section, &outputs)).collect(),
        |button: &Button| &button.name,
    );
    let sensors = unique(
        root,
        "sensor",
        root.sections("sensor").into_iter().filter_map(|section| read_sensor(section, &outputs)).collect(),
        |sensor: &Sensor| &sensor.name,
    );
    check_pins(root, &buttons, &sensors, &outputs);
    Some(Config {
        media,
        audio,
        gpio,
        sounds: read_sounds(root.section("sounds"), context),
        answers: root.sections("answer").into_iter().filter_map(read_answer).collect(),
        dtmf: root.sections("dtmf").into_iter().filter_map(|section| read_dtmf(section, &outputs)).collect(),
        calls: read_calls(root.section("calls")),
        control: read_control(root.section("control"), context),
        log: read_log(root.section("log")),
        outputs,
        buttons,
        sensors,
        core: core?,
    })
}

fn read_core(section: &Section<'_>, context: &Context<'_>) -> Option<CoreConfig> {
    let allow_insecure = section.boolean("allow_insecure").unwrap_or(false);
    let url = read_url(section, allow_insecure);
    let tenant = section.filled_string("tenant");
    let credentials = read_credentials(section, context);
    let ca_file = section.filled_string("ca_file").map(|text| readable(section, "ca_file", context.path(&text)));
    let certificate = section
        .filled_string("client_cert_file")
        .map(|text| readable(section, "client_cert_file", context.path(&text)));
    let key = section
        .filled_string("client_key_file")
        .map(|text| readable(section, "client_key_file", context.secret(&text)));
    let client_certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            section.error("client_cert_file", "a certificate without its key", "set core.client_key_file too");
            None
        }
        (None, Some(_)) => {
            section.error("client_key_file", "a key without its certificate", "set core.client_cert_file too");
            None
        }
    };
    let takeover = section
        .choice("takeover", &[("never", Takeover::Never), ("once", Takeover::Once), ("always", Takeover::Always)])
        .unwrap_or(Takeover::Never);
    let identifier = section.filled_string("identifier");
    let lines = section.integer("lines", 1, 2).unwrap_or(2);
    section.finish();
    Some(CoreConfig {
        url: url?,
        tenant,
        credentials: credentials?,
        ca_file,
        client_certificate,
        takeover,
        identifier,
        lines: u32::try_from(lines).unwrap_or(2),
    })
}

fn read_url(section: &Section<'_>, allow_insecure: bool) -> Option<Url> {
    let Some(value) = section.value("url") else {
        section.error("url", "is missing", "write the address of the core server: url = \"https://core.example.com\"");
        return None;
    };
    if matches!(value.kind, config::ValueKind::Array(_)) {
        section.error("url", "several servers are not built yet", "write one address");
        return None;
    }
    let text = section.string("url")?;
    let parsed = Url::parse(&text).ok().filter(Url::has_host);
    let Some(mut url) = parsed else {
        section.error("url", format!("\"{text}\" is no address"), "write it as https://core.example.com");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        section.error(
            "url",
            "the address has a user, a password, a query or a fragment",
            "write scheme, host, port and path only",
        );
        return None;
    }
    let secure = match url.scheme() {
        "https" | "wss" => true,
        "http" | "ws" => false,
        other => {
            section.error("url", format!("the scheme \"{other}\" is not supported"), "write https:// or wss://");
            return None;
        }
    };
    if !secure && !allow_insecure {
        section.error(
            "url",
            format!("\"{text}\" is not encrypted"),
            "write https://, or set core.allow_insecure = true for a lab",
        );
        return None;
    }
    let scheme = if secure { "https" } else { "http" };
    // Schemes of one kind: this cannot fail.
    if url.set_scheme(scheme).is_err() {
        url = Url::parse(&text.replacen("ws", "http", 1)).ok()?;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn read_credentials(section: &Section<'_>, context: &Context<'_>) -> Option<Credentials> {
    let token = section.filled_string("token");
    let token_file = section.filled_string("token_file");
    let login = section.filled_string("login");
    let password_file = section.filled_string("password_file");
    let config_token_file = section.filled_string("config_token_file");
    let given: Vec<&str> = [
        ("token", token.is_some()),
        ("token_file", token_file.is_some()),
        ("login", login.is_some()),
        ("config_token_file", config_token_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    if let [_, second, ..] = given.as_slice() {
        section.error(second, format!("{} are given together", given.join(" and ")), "keep one of them");
        return None;
    }
    if login.is_none() && password_file.is_some() {
        section.error("password_file", "a password without a login", "set core.login too");
        return None;
    }
    if let Some(token) = token {
        return Some(Credentials::Token(token));
    }
    if let Some(login) = login {
        let Some(password_file) = password_file else {
            section.error("login", "a login without a password", "set core.password_file too");
            return None;
        };
        let password_file = readable(section, "password_file", context.secret(&password_file));
        return Some(Credentials::Login { login, password_file });
    }
    if let Some(file) = config_token_file {
        return Some(Credentials::ConfigTokenFile(readable(section, "config_token_file", context.secret(&file))));
    }
    let path = context.secret(token_file.as_deref().unwrap_or("token"));
    let renewed = context.environment.get("STATE_DIRECTORY").map(|folder| Path::new(folder).join("token"));
    if !path.exists() && !renewed.is_some_and(|renewed| renewed.exists()) {
        section.error(
            "token_file",
            format!("{} does not exist", path.display()),
            format!(
                "get a token with: callbox login --url URL --user NAME --password-file F --token-file {}",
                path.display()
            ),
        );
    }
    Some(Credentials::TokenFile(path))
}

fn readable(section: &Section<'_>, key: &str, path: PathBuf) -> PathBuf {
    if let Err(error) = std::fs::File::open(&path) {
        section.error(
            key,
            format!("{} cannot be read: {error}", path.display()),
            "name a file that the daemon's user can read",
        );
    }
    path
}

fn read_media(section: Section<'_>, context: &Context<'_>) -> MediaConfig {
    let bind = section.strings("bind").unwrap_or_default();
    let bind = bind
        .iter()
        .filter_map(|text| {
            let address = text.parse::<IpAddr>().ok();
            if address.is_none() {
                section.error(
                    "bind",
                    format!("\"{text}\" is no address"),
                    "write IPv4 or IPv6 addresses of this machine",
                );
            }
            address
        })
        .collect();
    let names = section.strings("codecs").unwrap_or_else(|| ["opus", "pcma", "pcmu"].map(str::to_owned).to_vec());
    let mut codecs = Vec::new();
    for name in &names {
        match name.as_str() {
            "opus" => codecs.push(Codec::Opus),
            "pcma" => codecs.push(Codec::Pcma),
            "pcmu" => codecs.push(Codec::Pcmu),
            other => section.error(
                "codecs",
                format!("\"{other}\" is no codec"),
                "write some of \"opus\", \"pcma\", \"pcmu\"",
            ),
        }
    }
    if names.is_empty() {
        section.error("codecs", "the list is empty", "write at least one of \"opus\", \"pcma\", \"pcmu\"");
    }
    codecs.dedup();
    let ice_servers =
        section.sections("ice_servers").into_iter().filter_map(|server| read_ice_server(server, context)).collect();
    section.finish();
    MediaConfig { bind, codecs, ice_servers }
}

fn read_ice_server(section: Section<'_>, context: &Context<'_>) -> Option<IceServer> {
    let urls = section.strings("urls").unwrap_or_default();
    if urls.is_empty() {
        section.error("urls", "is missing", "write urls = [\"stun:host:3478\"]");
    }
    for url in &urls {
        if url.starts_with("turns:") || url.contains("transport=tcp") {
            section.error("urls", format!("\"{url}\": TURN over TCP or TLS is not built"), "use turn: over UDP");
        } else if !url.starts_with("stun:") && !url.starts_with("turn:") {
            section.error(
                "urls",
                format!("\"{url}\" is no STUN or TURN address"),
                "write stun:host:port or turn:host:port",
            );
        }
    }
    let username = section.string("username").unwrap_or_default();
    let mut credential = String::new();
    if let Some(file) = section.filled_string("credential_file") {
        let path = context.secret(&file);
        match std::fs::read_to_string(&path) {
            Ok(text) => credential = text.trim().to_owned(),
            Err(error) => section.error(
                "credential_file",
                format!("{} cannot be read: {error}", path.display()),
                "name a file that the daemon's user can read",
            ),
        }
    }
    if urls.iter().any(|url| url.starts_with("turn:")) && (username.is_empty() || credential.is_empty()) {
        section.error("urls", "TURN needs a user name and a password", "set username and credential_file");
    }
    section.finish();
    Some(IceServer { urls, username, credential })
}

fn read_audio(section: Section<'_>) -> AudioConfig {
    let pcm = |key: &'static str| {
        let name = section.filled_string(key).unwrap_or_else(|| "default".into());
        if name.starts_with("usb:") {
            section.error(
                key,
                format!("\"{name}\": usb: names are not built yet"),
                "write an ALSA PCM name; `callbox devices` lists them",
            );
        }
        if name.contains('\0') {
            section.error(key, "the name has a NUL character", "write an ALSA PCM name");
        }
        name
    };
    let rate = section.integer("rate", 8_000, 192_000).unwrap_or(48_000);
    if !matches!(rate, 48_000 | 16_000) {
        section.error("rate", format!("{rate} is not supported"), "write 48000 or 16000");
    }
    let period = section.integer("period_ms", 1, 100).unwrap_or(10);
    if period != 10 {
        section.error("period_ms", format!("{period} is not built yet"), "write 10");
    }
    let echo =
        match section.choice("echo", &[("full", Some(Echo::Full)), ("off", Some(Echo::Off)), ("half-duplex", None)]) {
            Some(None) => {
                section.error("echo", "\"half-duplex\" is not built yet", "write \"full\" or \"off\"");
                Echo::Full
            }
            Some(Some(echo)) => echo,
            None => Echo::Full,
        };
    let config = AudioConfig {
        capture: pcm("capture"),
        playback: pcm("playback"),
        rate_hz: u32::try_from(rate).unwrap_or(48_000),
        period_ms: 10,
        echo,
        noise_suppression: section.boolean("noise_suppression").unwrap_or(true),
        gain_control: section.boolean("gain_control").unwrap_or(true),
        capture_gain_db: section.integer("capture_gain_db", -40, 40).and_then(|db| i32::try_from(db).ok()).unwrap_or(0),
        volume: section.integer("volume", 0, 100).and_then(|volume| u8::try_from(volume).ok()).unwrap_or(80),
    };
    section.finish();
    config
}

fn read_gpio(section: Section<'_>) -> GpioConfig {
    const BACKENDS: [(&str, Option<GpioBackend>); 4] = [
        ("auto", Some(GpioBackend::Auto)),
        ("simulated", Some(GpioBackend::Simulated)),
        ("cdev", None),
        ("rppal", None),
    ];
    let backend = match section.choice("backend", &BACKENDS) {
        Some(None) => {
            section.error("backend", "hardware pins are not built yet", "write \"simulated\"");
            GpioBackend::Simulated
        }
        Some(Some(backend)) => backend,
        None => GpioBackend::Auto,
    };
    if let Some(chip) = section.filled_string("chip")
        && chip != "gpiochip0"
    {
        section.error("chip", format!("\"{chip}\": hardware pins are not built yet"), "leave it out");
    }
    section.finish();
    GpioConfig { backend }
}

fn read_name(section: &Section<'_>, what: &str) -> Option<String> {
    let name = section.filled_string("name");
    if name.is_none() {
        section.error("name", "is missing", format!("give the {what} a name"));
    }
    name
}

fn read_pin(section: &Section<'_>) -> Option<PinName> {
    let Some(value) = section.value("pin") else {
        section.error("pin", "is missing", "write the pin's offset on the chip (BCM number on a Pi) or its name");
        return None;
    };
    if let config::ValueKind::String(name) = &value.kind
        && !section.reader.origins.is_variable(&section.path_of("pin"))
    {
        return Some(PinName::Name(name.clone()));
    }
    section.integer("pin", 0, 1023).and_then(|offset| u32::try_from(offset).ok()).map(PinName::Offset)
}

const LEVELS: [(&str, Active); 2] = [("low", Active::Low), ("high", Active::High)];

fn read_input(section: &Section<'_>) -> Option<InputPin> {
    let pin = read_pin(section);
    let active = section.choice("active", &LEVELS).unwrap_or(Active::Low);
    let pull =
        section.choice("pull", &[("up", Pull::Up), ("down", Pull::Down), ("off", Pull::Off)]).unwrap_or(Pull::Up);
    let debounce = section.duration_ms("debounce_ms", 0, 1_000).unwrap_or(Duration::from_millis(20));
    Some(InputPin { pin: pin?, active, pull, debounce })
}

fn read_button(section: Section<'_>, outputs: &[OutputPin]) -> Option<Button> {
    let name = read_name(&section, "button");
    let input = read_input(&section);
    let press = read_trigger(&section, "press", outputs);
    let long_press = read_trigger(&section, "long_press", outputs);
    let double_press = read_trigger(&section, "double_press", outputs);
    if press.is_none() && long_press.is_none() && double_press.is_none() && !section.has("press") {
        section.error("press", "is missing: the button would do nothing", "write press = { call = \"100\" }");
    }
    let button = Button {
        name: name.unwrap_or_default(),
        input: input?,
        press: press.unwrap_or_default(),
        long_press,
        long: section.duration_ms("long_ms", 100, 10_000).unwrap_or(Duration::from_millis(800)),
        double_press,
        double: section.duration_ms("double_ms", 100, 2_000).unwrap_or(Duration::from_millis(350)),
        again: section
            .choice("again", &[("ignore", Again::Ignore), ("hangup", Again::Hangup)])
            .unwrap_or(Again::Ignore),
    };
    section.finish();
    Some(button)
}

fn read_sensor(section: Section<'_>, outputs: &[OutputPin]) -> Option<Sensor> {
    let name = read_name(&section, "sensor");
    let input = read_input(&section);
    let opened: Trigger = read_trigger(&section, "opened", outputs).unwrap_or_default();
    let closed: Trigger = read_trigger(&section, "closed", outputs).unwrap_or_default();
    section.finish();
    Some(Sensor { name: name?, input: input?, opened, closed })
}

fn read_output(section: Section<'_>) -> Option<OutputPin> {
    let name = read_name(&section, "output");
    let pin = read_pin(&section);
    let active = section.choice("active", &LEVELS).unwrap_or(Active::High);
    let is_relay = section.choice("kind", &[("relay", true), ("led", false)]);
    if !section.has("kind") {
        section.error("kind", "is missing", "write kind = \"relay\" or kind = \"led\"");
    }
    let kind = if is_relay.unwrap_or(false) {
        OutputKind::Relay { max_on: section.duration_ms("max_on_ms", 100, 600_000).unwrap_or(Duration::from_secs(8)) }
    } else {
        OutputKind::Led { show: if section.has("show") { read_show(section.section("show")) } else { Vec::new() } }
    };
    // Known keys of the other kind: said as what they are rather than as unknown.
    if is_relay == Some(true) && section.value("show").is_some() {
        section.error("show", "a relay shows no states", "leave it out, or write kind = \"led\"");
    }
    if is_relay == Some(false) && section.value("max_on_ms").is_some() {
        section.error("max_on_ms", "is for relays", "leave it out, or write kind = \"relay\"");
    }
    section.value("show");
    section.value("max_on_ms");
    section.finish();
    Some(OutputPin { name: name?, pin: pin?, active, kind })
}

fn read_show(section: Section<'_>) -> Vec<(ShownState, Drive)> {
    const DRIVES: [(&str, Drive); 5] = [
        ("off", Drive::Off),
        ("on", Drive::On),
        ("blink", Drive::Blink),
        ("double", Drive::Double),
        ("heartbeat", Drive::Heartbeat),
    ];
    let states: [(&'static str, ShownState); 5] = [
        ("ready", ShownState::Ready),
        ("calling", ShownState::Calling),
        ("talking", ShownState::Talking),
        ("door_open", ShownState::DoorOpen),
        ("fault", ShownState::Fault),
    ];
    let show = states.into_iter().filter_map(|(key, state)| Some((state, section.choice(key, &DRIVES)?))).collect();
    section.finish();
    show
}

fn read_sounds(section: Section<'_>, context: &Context<'_>) -> Vec<(Sound, PathBuf)> {
    let sounds = Sound::ALL
        .into_iter()
        .filter_map(|sound| {
            let path = context.path(&section.filled_string(sound.name())?);
            match hound::WavReader::open(&path) {
                Err(error) => {
                    section.error(
                        sound.name(),
                        format!("{} is no WAV file that can be read: {error}", path.display()),
                        "name a PCM WAV file",
                    );
                }
                Ok(wav)
                    if wav.spec().channels > 2
                        || f64::from(wav.duration()) / f64::from(wav.spec().sample_rate.max(1)) > 30.0 =>
                {
                    section.error(
                        sound.name(),
                        format!("{} has more than 2 channels or 30 s", path.display()),
                        "name a shorter file, mono or stereo",
                    );
                }
                Ok(_) => {}
            }
            Some((sound, path))
        })
        .collect();
    section.finish();
    sounds
}

fn patterns(texts: Vec<String>) -> Vec<NumberPattern> {
    texts.iter().map(|text| NumberPattern::new(text)).collect()
}

fn read_answer(section: Section<'_>) -> Option<AnswerRule> {
    let rule = AnswerRule {
        from: patterns(section.strings("from").unwrap_or_default()),
        action: section
            .choice(
                "action",
                &[("answer", AnswerAction::Answer), ("ring", AnswerAction::Ring), ("decline", AnswerAction::Decline)],
            )
            .unwrap_or(AnswerAction::Answer),
        after: section.duration_ms("after_ms", 0, 60_000).unwrap_or(Duration::ZERO),
        mode: section
            .choice("mode", &[("talk", CallMode::Talk), ("listen", CallMode::Listen), ("announce", CallMode::Announce)])
            .unwrap_or_default(),
        hours: super::trigger::read_hours(&section),
    };
    if !section.has("action") {
        section.error("action", "is missing", "write action = \"answer\", \"ring\" or \"decline\"");
    }
    section.finish();
    Some(rule)
}

fn read_dtmf(section: Section<'_>, outputs: &[OutputPin]) -> Option<DtmfRule> {
    let digits = section.filled_string("digits").map(|digits| digits.to_ascii_uppercase());
    match &digits {
        None => section.error("digits", "is missing", "write digits = \"5#\""),
        Some(digits) if digits.len() > 16 || !digits.chars().all(|digit| "0123456789*#ABCD".contains(digit)) => {
            section.error(
                "digits",
                "has characters that are no DTMF digits, or more than 16",
                "write digits of 0-9, *, #, A-D",
            );
        }
        Some(_) => {}
    }
    let from = section.strings("from").map(patterns);
    let run = read_trigger(&section, "run", outputs);
    if run.is_none() && !section.has("run") {
        section.error(
            "run",
            "is missing: the code would do nothing",
            "write run = { output = \"strike\", pulse_ms = 3000 }",
        );
    }
    if section.boolean("in_band") == Some(true) {
        section.error("in_band", "listening for tones in the audio is not built yet", "leave it out");
    }
    section.finish();
    Some(DtmfRule { digits: digits?, from, run: run.unwrap_or_default() })
}

fn read_calls(section: Section<'_>) -> CallsConfig {
    const SECOND: [(&str, SecondCall); 4] = [
        ("reject", SecondCall::Reject),
        ("hold", SecondCall::Hold),
        ("mix", SecondCall::Mix),
        ("replace", SecondCall::Replace),
    ];
    let calls = CallsConfig {
        ring_timeout: section.duration_s("ring_timeout_s", 1, 600).unwrap_or(Duration::from_secs(60)),
        max_talk: section.duration_s("max_talk_s", 1, 86_400).unwrap_or(Duration::from_secs(300)),
        second_call: section.choice("second_call", &SECOND).unwrap_or(SecondCall::Reject),
        press_max_age: section.duration_s("press_max_age_s", 0, 60).unwrap_or(Duration::from_secs(5)),
    };
    section.finish();
    calls
}

fn read_control(section: Section<'_>, context: &Context<'_>) -> ControlConfig {
    let socket = section.filled_string("socket").map(|socket| context.path(&socket));
    for (key, what) in [("http", "the status page"), ("http_token_file", "the status page"), ("mqtt_url", "MQTT")] {
        if section.filled_string(key).is_some() {
            section.error(key, format!("{what} is not built yet"), "leave it out");
        }
    }
    section.finish();
    ControlConfig { socket }
}

fn read_log(section: Section<'_>) -> LogConfig {
    let level = section.filled_string("level").unwrap_or_else(|| "info".into());
    // A single word is a level; anything with "=" is a directive, and any other word would be taken
    // for the name of a module and log nothing.
    let known = if level.contains('=') {
        level.parse::<tracing_subscriber::EnvFilter>().is_ok()
    } else {
        level.parse::<tracing::level_filters::LevelFilter>().is_ok()
    };
    if !known {
        section.error("level", format!("\"{level}\" is no level"), "write error, warn, info, debug or trace");
    }
    section.finish();
    LogConfig { level }
}

/// Reports names that occur twice.
fn unique<T>(root: &Section<'_>, key: &str, items: Vec<T>, name: impl Fn(&T) -> &String) -> Vec<T> {
    for (index, item) in items.iter().enumerate() {
        if items.iter().take(index).any(|earlier| name(earlier) == name(item)) {
            let path = format!("{key}[{index}].name");
            root.reader.error(&path, format!("\"{}\" is there twice", name(item)), "give each its own name");
        }
    }
    items
}

/// One pin, one use.
fn check_pins(root: &Section<'_>, buttons: &[Button], sensors: &[Sensor], outputs: &[OutputPin]) {
    let all = buttons
        .iter()
        .enumerate()
        .map(|(index, button)| (format!("button[{index}].pin"), &button.name, &button.input.pin))
        .chain(
            sensors
                .iter()
                .enumerate()
                .map(|(index, sensor)| (format!("sensor[{index}].pin"), &sensor.name, &sensor.input.pin)),
        )
        .chain(
            outputs
                .iter()
                .enumerate()
                .map(|(index, output)| (format!("output[{index}].pin"), &output.name, &output.pin)),
        );
    let mut seen: Vec<(&String, &PinName)> = Vec::new();
    for (path, name, pin) in all {
        if let Some((other, _)) = seen.iter().find(|(_, taken)| *taken == pin) {
            root.reader.error(
                &path,
                format!("the pin of \"{name}\" is also that of \"{other}\""),
                "give each its own pin",
            );
        }
        seen.push((name, pin));
    }
}
