use crate::{callbox, parts, run};

const GOOD: &str = r#"
[core]
url = "https://core.example.com"
token = "t"

[[output]]
name = "strike"
kind = "relay"
pin = 23

[[button]]
name = "bell"
pin = 17
press = { call = ["100", "101"], ring_s = 20 }
"#;

fn check(text: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    run(folder.path(), &["check", "--config", "callbox.toml"])
}

/// The error of a configuration that has exactly one.
pub fn error(text: &str) -> String {
    let (code, _, errors) = check(text);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.ends_with("1 error in the configuration\n"), "{errors}");
    errors.lines().next().unwrap().to_owned()
}

#[test]
fn a_good_configuration_says_what_will_happen() {
    let (code, out, errors) = check(GOOD);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("callbox.toml: valid"), "{out}");
    assert!(out.contains("bell: call 100, 101 in turn, ringing for 20 s"), "{out}");
    assert!(out.contains("strike: on for 8000 ms at most"), "{out}");
    assert!(out.contains("call from anybody else: declined"), "{out}");
    assert!(!out.contains("a daemon that hangs"), "{out}");
    let (_, out, _) = check(&GOOD.replace("pin = 23", "pin = 23\nmax_on_ms = 2000"));
    assert!(out.contains("a daemon that hangs is killed after 6 s: strike may stay on until then"), "{out}");
}

#[test]
fn every_error_comes_at_once_with_line_key_value_and_remedy() {
    let text = r#"[core]
url = "http://core.example.com"
token = "t"
takeover = "sometimes"

[audio]
rate = 44100
volumne = 80

[[button]]
name = "bell"
pin = 17
press = { call = "100", ring_s = 0 }

[[button]]
name = "bell"
pin = 17
press = { output = "stryke", pulse_ms = 3000 }
"#;
    let (code, out, errors) = check(text);
    assert_eq!((code, out.as_str()), (2, ""));
    for expected in [
        "callbox.toml:2: core.url: \"http://core.example.com\" is not encrypted; write https://, or set core.allow_insecure = true",
        "callbox.toml:4: core.takeover: \"sometimes\" is not allowed; write one of \"never\", \"once\", \"always\"",
        "callbox.toml:7: audio.rate: 44100 is not supported; write 48000 or 16000",
        "callbox.toml:8: audio.volumne: unknown key; did you mean \"audio.volume\"?",
        "callbox.toml:13: button[0].press.ring_s: 0 is out of range; write a number from 1 to 600",
        "callbox.toml:16: button[1].name: \"bell\" is used twice; give each its own name",
        "callbox.toml:17: button[1].pin: the pin of \"bell\" is also that of \"bell\"; give each its own pin",
        "callbox.toml:18: button[1].press.output: there is no output \"stryke\"; add an [[output]] of this name",
        "8 errors in the configuration",
    ] {
        assert!(errors.contains(expected), "missing: {expected}\nin:\n{errors}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_reported_with_its_line() {
    let message = error("[core]\nurl = \"https://core.example.com\"\ntoken = t\n");
    assert!(message.starts_with("callbox.toml:3: is not valid TOML"), "{message}");
}

#[test]
fn a_missing_file_is_reported_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, errors) = run(folder.path(), &["check", "--config", "nothing.toml"]);
    assert_eq!(code, 2);
    assert!(errors.contains("nothing.toml: cannot be read"), "{errors}");
}

#[test]
fn a_missing_address_and_a_missing_token_are_reported_with_what_to_write() {
    let (code, _, errors) = check("");
    assert_eq!(code, 2);
    assert!(errors.contains("core.url: is missing; write the address"), "{errors}");
    assert!(errors.contains("get a token with: callbox login"), "{errors}");
}

#[test]
fn a_pin_that_is_not_there_is_named_with_what_there_is() {
    // This machine may have GPIO chips, but none has this name.
    let (code, _, errors) = check(&format!("{GOOD}[gpio]\nbackend = \"cdev\"\nchip = \"no-such-chip\"\n"));
    assert_eq!(code, 2);
    assert!(errors.contains("the pin of button \"bell\": there is no GPIO chip"), "{errors}");
}

#[test]
fn outputs_are_put_to_rest_whatever_else_is_wrong_with_the_configuration() {
    let text = GOOD.replace("token = \"t\"", "login = \"door\"\npassword_file = \"/nowhere\"\nnonsense = 1");
    let text = format!("{text}[gpio]\nbackend = \"cdev\"\nchip = \"no-such-chip\"\n");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let (code, _, errors) = run(folder.path(), &["outputs-off", "--config", "callbox.toml"]);
    // It got as far as the chip, which does not exist.
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("the output \"strike\": there is no GPIO chip"), "{errors}");
    assert!(!errors.contains("nonsense") && !errors.contains("/nowhere"), "{errors}");
}

#[test]
fn half_a_usb_name_is_refused_with_the_whole_form() {
    let error = error(&format!("{GOOD}[audio]\ncapture = \"usb:0d8c\"\n"));
    assert!(error.contains("audio.capture: \"usb:0d8c\" is not a USB card; write usb:VENDOR:PRODUCT"), "{error}");
    let (code, out, _) = check(&format!("{GOOD}[audio]\ncapture = \"usb:dead:beef\"\n"));
    assert_eq!(code, 0);
    assert!(out.contains("not available now: usb:dead:beef is not plugged in"), "{out}");
}

#[test]
fn what_opens_the_house_to_others_is_checked_and_told() {
    for (text, message) in [
        ("[control]\nhttp = \"8080\"\n", "control.http: \"8080\" is not an address to listen on; write an IP address"),
        (
            "[control]\nhttp = \"0.0.0.0:8080\"\n",
            "control.http: 0.0.0.0:8080 can be reached by others, and there is no token",
        ),
        ("[control]\nhttp = \"[::]:8080\"\n", "can be reached by others"),
        ("[control]\nhttp = \"127.0.0.1:80\"\nhttp_token_file = \"none\"\n", "control.http_token_file: "),
        (
            "[control]\nmqtt_url = \"mqtt://broker\"\n",
            "control.mqtt_url: mqtt://broker is not encrypted: who hears it can open the door; write mqtts://",
        ),
        ("[control]\nmqtt_url = \"https://broker\"\n", "the scheme \"https\" is not supported"),
        ("[control]\nmqtt_url = \"mqtts://u:p@broker\"\n", "the address has a user or a password"),
        (
            "[control]\nmqtt_url = \"mqtts://broker/x\"\n",
            "control.mqtt_url: more follows than mqtts://broker; write mqtts://HOST:PORT alone",
        ),
        ("[control]\nmqtt_prefix = \"a/+\"\n", "\"a/+\" cannot be the beginning of a topic"),
        (
            "[[hook]]\non = [\"pres\"]\nurl = \"https://h\"\n",
            "hook[0].on: there is no event \"pres\"; there are: press,",
        ),
        ("[hook]\nurl = \"https://h\"\n", "hook: is not a list of tables; write each as [[hook]]"),
        ("[[hook]]\nurl = \"https://h\"\n", "hook[0].on: is missing"),
        ("[[hook]]\non = [\"press\"]\nurl = \"http://h\"\n", "hook[0].url: http://h is not encrypted"),
        ("[[hook]]\non = [\"press\"]\nurl = \"ftp://h\"\n", "the scheme \"ftp\" is not supported"),
        (
            "[[output]]\nname = \"s\"\npin = 5\nkind = \"relay\"\nmax_on_ms = 1000\npulse_ms = 2000\n",
            "2000 is longer than the output may be on; write at most 1000",
        ),
        ("[[output]]\nname = \"l\"\npin = 5\nkind = \"led\"\nmomentary = true\n", "momentary: is for relays"),
        (
            "[[sensor]]\nname = \"s\"\npin = 5\ndevice_class = \"cat\"\n",
            "device_class: \"cat\" is not allowed; write one of",
        ),
    ] {
        let found = error(&format!("{GOOD}\n{text}"));
        assert!(found.contains(message), "{text}: {found}");
    }
}

#[test]
fn an_error_about_an_address_shows_no_secret_of_it() {
    for text in [
        "[control]\nmqtt_url = \"user:SECRET@broker:1883\"\n",
        "[control]\nmqtt_url = \"mqtts://user:SECRET@broker\"\n",
        "[control]\nmqtt_url = \"mqtt://broker/SECRET\"\n",
        "[[hook]]\non = [\"press\"]\nurl = \"ht!tps//SECRET\"\n",
        "[[hook]]\non = [\"press\"]\nurl = \"http://h/SECRET?key=SECRET\"\n",
        "[[hook]]\non = [\"press\"]\nurl = \"https://u:SECRET@h/\"\n",
    ] {
        let found = error(&format!("{GOOD}\n{text}"));
        assert!(!found.contains("SECRET") && found.contains("url: "), "{text}: {found}");
    }
}

#[test]
fn certificates_and_tokens_that_cannot_work_are_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "no certificate\n").unwrap();
    std::fs::write(folder.path().join("t"), "one 0123456789abcdef\ntwo 0123456789abcdef\n").unwrap();
    for (text, message) in [
        (
            "http = \"127.0.0.1:80\"\nhttp_cert_file = \"f\"\nhttp_key_file = \"f\"\n",
            "control.http_cert_file, control.http_key_file: ",
        ),
        (
            "http = \"127.0.0.1:80\"\nhttp_cert_file = \"f\"\n",
            "control.http_cert_file: a certificate without its key; set control.http_key_file too",
        ),
        ("mqtt_url = \"mqtts://b\"\nmqtt_ca_file = \"f\"\n", "control.mqtt_ca_file: "),
        ("mqtt_url = \"mqtts://b:0\"\n", "control.mqtt_url: mqtts://b:0 has the port 0"),
        ("http = \"127.0.0.1:0\"\n", "control.http: 127.0.0.1:0 has the port 0"),
        ("http = \"127.0.0.1:80\"\nhttp_token_file = \"t\"\n", "t has a token twice"),
    ] {
        std::fs::write(folder.path().join("callbox.toml"), format!("{GOOD}[control]\n{text}")).unwrap();
        let (code, _, errors) = run(folder.path(), &["check", "--config", "callbox.toml"]);
        assert_eq!(code, 2, "{text}");
        assert!(errors.contains(message), "{text}: {errors}");
    }
}

#[test]
fn what_others_can_reach_is_told_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t"), "short\n").unwrap();
    let text = format!(
        "{GOOD}[control]\nhttp = \"0.0.0.0:8443\"\nhttp_token_file = \"t\"\nmqtt_url = \"mqtts://broker\"\n\
         [[hook]]\non = [\"press\", \"fault\"]\nurl = \"https://house.example/secret-path\"\n"
    );
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let (code, out, warnings) = run(folder.path(), &["check", "--config", "callbox.toml"]);
    assert_eq!(code, 0, "{warnings}");
    for line in [
        "page      https://0.0.0.0:8443",
        "mqtt      broker:8883 as nobody, topics below callbox/",
        "hook      press, fault: to house.example, not signed",
    ] {
        assert!(out.contains(line), "{out}");
    }
    assert!(!out.contains("secret-path"), "{out}");
    assert!(
        warnings.contains("control.http_token_file: warning: ") && warnings.contains("can be guessed"),
        "{warnings}"
    );
    assert!(warnings.contains("hook[0].secret_file: warning: is missing"), "{warnings}");
}

/// Most keys of docs/configuration.md.
const CONTRACT: &str = r#"
[core]
url = "https://core.example.com"
tenant = ""
token = "t"
ca_file = ""
takeover = "never"
identifier = ""
lines = 2

[media]
bind = []
codecs = ["opus", "pcma", "pcmu"]
ice_servers = [{ urls = ["turn:host:3478"], username = "u", credential_file = "f" }]

[audio]
capture = "default"
playback = "default"
rate = 48000
period_ms = 10
echo = "full"
noise_suppression = true
gain_control = true
capture_gain_db = 0
volume = 80

[gpio]
backend = "auto"
chip = "gpiochip0"

[[button]]
name = "bell"
pin = 17
active = "low"
pull = "up"
debounce_ms = 20
press = { call = ["100", "101"], line = "any", ring_s = 30, order = "serial" }
long_press = { hangup = "all" }
double_press = { play = "busy" }
again = "ignore"

[[sensor]]
name = "door"
pin = 27
opened = { hangup = "all", after_ms = 5000 }
closed = {}

[[output]]
name = "strike"
kind = "relay"
pin = 23
active = "high"
max_on_ms = 8000

[[output]]
name = "lamp"
kind = "led"
pin = "GPIO24"
show = { ready = "off", calling = "blink", talking = "on", door_open = "double", fault = "heartbeat" }

[sounds]

[[answer]]
from = ["100", "2*"]
action = "answer"
after_ms = 500
mode = "talk"
hours = "Mo-Fr 07:00-19:00"

[[dtmf]]
digits = "5#"
from = ["100", "2*"]
run = { output = "strike", pulse_ms = 3000 }
in_band = false

[calls]
ring_timeout_s = 60
max_talk_s = 300
second_call = "reject"
press_max_age_s = 5

[control]
socket = "/run/callbox/control.sock"
http = ""
http_token_file = ""
mqtt_url = ""

[log]
level = "info"
"#;

#[test]
fn every_key_of_the_contract_is_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), CONTRACT).unwrap();
    std::fs::write(folder.path().join("f"), "credential").unwrap();
    let (code, _, errors) = run(folder.path(), &["check", "--config", "callbox.toml"]);
    assert_eq!(code, 0, "{errors}");
}

#[test]
fn what_guards_the_door_is_checked_and_told() {
    let house = |rest: &str| {
        format!(
            "[core]\nurl = \"https://core.example\"\ntoken = \"t\"\nsip_domains = [\"sip.example\", \"203.0.113.1\"]\n\
             [[output]]\nname = \"inner\"\nkind = \"relay\"\npin = 1\nexclusive = \"outer\"\n\
             [[output]]\nname = \"outer\"\nkind = \"relay\"\npin = 2\n{rest}"
        )
    };
    let (code, out, errors) =
        check(&house("[[dtmf]]\ndigits = \"7391\"\nrun = { output = \"inner\", pulse_ms = 500 }\n"));
    assert_eq!((code, errors.as_str()), (0, ""), "{errors}");
    for line in [
        "callers of sip.example, 203.0.113.1 are identified by their number alone",
        "stays off while outer is on, whatever asks for it",
        "5 wrong codes within 600 s lock a far end's codes for 60 s",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let broken = house(
        "[[output]]\nname = \"lamp\"\nkind = \"led\"\npin = 3\nexclusive = \"inner\"\n\
         [[output]]\nname = \"gate\"\nkind = \"relay\"\npin = 4\nexclusive = \"nobody\"\n\
         [access]\nwrong_codes = 0\nlock = 3\n[[answer]]\nfrom = \"sip:100@x\"\naction = \"decline\"\n",
    )
    .replace("sip.example", "sip:100@x");
    let (code, _, errors) = check(&broken);
    assert_eq!(code, 2);
    for line in [
        "callbox.toml:4: core.sip_domains: \"sip:100@x\" is not a domain; write it alone: \"example.com\"",
        "callbox.toml:18: output[2].exclusive: is for relays; leave it out, or write kind = \"relay\"",
        "callbox.toml:23: output[3].exclusive: \"nobody\" is not another output, and no other output has this word",
        "callbox.toml:25: access.wrong_codes: 0 is out of range; write a number from 1 to 100",
        "callbox.toml:26: access.lock: unknown key; did you mean \"access.lock_s\"?",
        "callbox.toml:28: answer[0].from: \"sip:100@x\" is not a number",
    ] {
        assert!(errors.contains(line), "{line}: {errors}");
    }
}

#[test]
fn whoever_listens_is_heard_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = |name: &str, sample: &dyn Fn(usize) -> i16| {
        let mut writer = hound::WavWriter::create(folder.path().join(name), spec).unwrap();
        (0..40_000).for_each(|index| writer.write_sample(sample(index)).unwrap());
        writer.finalize().unwrap();
    };
    let tone = |index: usize| ((index as f32 * 0.5).sin() * 9_000.0) as i16;
    write("tone.wav", &tone);
    write("late.wav", &|index| if index < 24_000 { 0 } else { tone(index) });
    write("silent.wav", &|_| 0);
    write("constant.wav", &|_| 16_000);
    for (file, mode, fits) in [
        ("tone.wav", "listen", true),
        ("late.wav", "listen", false),
        ("silent.wav", "listen", false),
        ("constant.wav", "listen", false),
        ("silent.wav", "talk", true),
    ] {
        let text = format!(
            "[core]\nurl = \"https://core.example\"\ntoken = \"t\"\n[sounds]\nanswer = \"{file}\"\n\
             [[answer]]\nfrom = \"100\"\naction = \"answer\"\nmode = \"{mode}\"\n"
        );
        std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
        let (code, _, errors) = run(folder.path(), &["check", "--config", "callbox.toml"]);
        assert_eq!(code, if fits { 0 } else { 2 }, "{file} {mode}: {errors}");
        assert_eq!(errors.contains("callbox.toml:5: sounds.answer:"), !fits, "{file} {mode}: {errors}");
    }
}

#[test]
fn a_proxy_is_told_and_each_slip_in_its_keys_is_named() {
    let with = |lines: &str| check(&GOOD.replace("[core]\n", &format!("[core]\n{lines}\n")));
    let (code, out, errors) = with("proxy = \"http://proxy.example:3128\"");
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("through the proxy proxy.example:3128\n"), "{out}");
    for (lines, message) in [
        (
            "proxy = \"socks5://proxy:1080\"",
            "core.proxy: the address is not that of an HTTP proxy; write http://HOST:PORT",
        ),
        (
            "proxy = \"http://u:open-sesame@proxy:1\"",
            "core.proxy: the address has a user or a password; set core.proxy_user",
        ),
        ("proxy = \"http://proxy:1\"\nproxy_user = \"u\"", "core.proxy_user: a user without a password"),
        (
            "proxy = \"http://proxy:1\"\nproxy_password_file = \"f\"",
            "core.proxy_password_file: a password without a user",
        ),
        (
            "proxy = \"http://proxy:1\"\nproxy_user = \"a:b\"\nproxy_password_file = \"f\"",
            "core.proxy_user: the name has a colon",
        ),
    ] {
        let (code, out, errors) = with(lines);
        assert_eq!(code, 2, "{lines}: {out}");
        assert!(errors.contains(message) && !errors.contains("sesame"), "{lines}: {errors}");
    }
}

#[test]
fn a_proxy_of_the_environment_is_told_and_its_password_is_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), GOOD).unwrap();
    let check = |value: &str| {
        let mut command = callbox(folder.path(), &["check", "--config", "callbox.toml"]);
        parts(&command.env("https_proxy", value).output().unwrap())
    };
    let (code, out, errors) = check("http://u:sesame@proxy.example:3128");
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("through the proxy proxy.example:3128 (https_proxy)") && !out.contains("sesame"), "{out}");
    let (code, _, errors) = check("socks5://u:sesame@proxy.example:1080");
    assert_eq!(code, 2);
    assert!(errors.contains("https_proxy of the environment") && errors.contains("core.proxy = \"none\""), "{errors}");
    assert!(!errors.contains("sesame"), "{errors}");
}

#[test]
fn outcomes_of_a_call_are_told_and_only_one_level_deep() {
    let press = |press: &str| {
        check(&format!(
            "[core]\nurl = \"https://h.example\"\ntoken = \"t\"\n[[button]]\nname = \"b\"\npin = 17\npress = {press}\n"
        ))
    };
    let (code, out, errors) = press(
        "{ call = \"100\", no_answer = { call = \"200\" }, failed = [{ hours = \"8-9\", play = \"busy\" }, { call = \"300\" }] }",
    );
    assert_eq!(code, 0, "{errors}");
    let told =
        "call 100, ringing for 60 s (no answer: call 200, ringing for 60 s; failed: 8-9: play busy; else call 300,";
    assert!(out.contains(told), "{out}");
    for (text, message) in [
        (
            "{ call = \"1\", failed = { call = \"2\", failed = { play = \"busy\" } } }",
            "press.failed.failed: is an outcome in an outcome; leave it out",
        ),
        ("{ play = \"busy\", ended = { play = \"busy\" } }", "press.ended: means nothing without call"),
        (
            "{ call = \"1\", answered = \"hangup\" }",
            "press.answered: \"hangup\" is not an action; write answered = { hangup",
        ),
        ("{ call = \"1\", answered = { call = \"2\", for_ms = 5 } }", "press.answered.for_ms: is for sensors"),
    ] {
        let (code, _, errors) = press(text);
        assert_eq!(code, 2, "{text}: {errors}");
        assert!(errors.contains(message), "{text}: {errors}");
    }
}

#[test]
fn schedules_are_told_rehearsed_and_each_slip_in_them_is_named() {
    let schedule = |keys: &str| check(&format!("{GOOD}[[schedule]]\nname = \"test-call\"\n{keys}\n"));
    let run = "run = { call = \"112\" }";
    let (code, out, errors) = schedule(&format!("every = \"72h\"\njitter_s = 900\n{run}"));
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.contains("schedule  test-call: every 72 h, up to 900 s later: call 112, ringing for"), "{out}");
    assert!(
        schedule(&format!("at = \"Mo-Fr,PH 03:00\"\n{run}")).1.contains("schedule  test-call: at Mo-Fr,PH 03:00: call")
    );
    let (code, _, errors) = schedule(&format!("every = \"30s\"\n{run}"));
    assert!(code == 0 && errors.contains("every: warning: \"30s\" is less than a minute"), "{errors}");
    for (keys, message) in [
        (format!("every = \"4s\"\n{run}"), "schedule[0].every: \"4s\" is too short; write at least \"5s\""),
        (format!("every = \"soon\"\n{run}"), "schedule[0].every: \"soon\" is not a length of time; "),
        (format!("at = \"Mo 25:00\"\n{run}"), "schedule[0].at: \"Mo 25:00\" is not a moment; "),
        (format!("at = \"03:00\"\nevery = \"1h\"\n{run}"), "schedule[0].at: every and at are given together"),
        (run.to_owned(), "schedule[0].every: is missing; write every = \"72h\", or at = \"Mo 03:00\""),
        ("every = \"1h\"".to_owned(), "schedule[0].run: is missing: the schedule would do nothing"),
    ] {
        let (code, _, errors) = schedule(&keys);
        assert_eq!(code, 2, "{keys}: {errors}");
        assert!(errors.contains(message), "{keys}: {errors}");
    }
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{GOOD}[[schedule]]\nname = \"test-call\"\nat = \"03:00\"\n{run}\n");
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let explain = |name: &str| crate::run(folder.path(), &["explain", "--schedule", name, "--config", "callbox.toml"]);
    let (code, out, _) = explain("test-call");
    assert!(
        code == 0 && out.contains("test-call, at 03:00, comes due: ") && out.contains("send outgoing_call to 112"),
        "{out}"
    );
    let (code, _, errors) = explain("gone");
    assert_eq!((code, errors.as_str()), (2, "callbox: there is no schedule \"gone\"; there are: test-call\n"));
}

const FRONT: &str = r#"
[[button]]
name = "exit"
pin = 18
[[sensor]]
name = "contact"
pin = 27
[[output]]
name = "latch"
kind = "relay"
pin = 25
[[output]]
name = "lamp"
kind = "led"
pin = 24
[[door]]
name = "front"
contact = "contact"
opened_by = "latch"
exit = ["exit"]
forced = { call = "100" }
"#;

#[test]
fn a_door_is_told_with_who_may_open_it() {
    let (code, out, errors) = check(&format!("{GOOD}{FRONT}"));
    assert_eq!(code, 0, "{errors}");
    for line in [
        "door      front: contact contact; opened rightfully by latch or exit and 5 s after it\n",
        "          forced: call 100, ringing for",
        "          open for 60 s: nothing\n",
        "          closed after either: nothing\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
}

#[test]
fn each_slip_in_a_door_is_named() {
    for (from, to, message) in [
        (
            "contact = \"contact\"",
            "contact = \"window\"",
            "door[0].contact: there is no sensor \"window\"; there are: contact",
        ),
        ("contact = \"contact\"", "", "door[0].contact: is missing; name the [[sensor]]"),
        ("opened_by = \"latch\"", "opened_by = \"gate\"", "door[0].opened_by: there is no output \"gate\""),
        ("opened_by = \"latch\"", "opened_by = \"lamp\"", "door[0].opened_by: lamp is a lamp; name relays"),
        ("exit = [\"exit\"]", "exit = [\"exit\", \"gone\"]", "door[0].exit: there is no button \"gone\""),
        ("name = \"front\"", "name = \"Front door\"", "door[0].name: \"Front door\" is not a name"),
        ("exit = [\"exit\"]", "grace_s = 601", "door[0].grace_s: 601 is out of range"),
        ("exit = [\"exit\"]", "", "button[1].press: is missing: the button would do nothing"),
    ] {
        let (code, _, errors) = check(&format!("{GOOD}{}", FRONT.replace(from, to)));
        assert_eq!(code, 2, "{to}: {errors}");
        assert!(errors.contains(message), "{to}: {errors}");
    }
}

#[test]
fn the_environment_overrides_any_key_and_a_slip_in_it_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), GOOD).unwrap();
    let check = |name: &str, value: &str| {
        parts(&callbox(folder.path(), &["check", "--config", "callbox.toml"]).env(name, value).output().unwrap())
    };
    let (code, out, errors) = check("CALLBOX_CORE__URL", "https://other.example.com");
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("https://other.example.com"), "{out}");
    assert_eq!(check("CALLBOX_AUDIO__VOLUME", "50").0, 0);
    assert_eq!(check("CALLBOX_MEDIA__CODECS", "opus,pcmu").0, 0);
    let (code, out, errors) = check("CALLBOX_BUTTON__0__PIN", "22");
    assert_eq!(code, 0, "{out}{errors}");
    for (name, value, message) in [
        (
            "CALLBOX_CORE__ULR",
            "x",
            "environment variable CALLBOX_CORE__ULR: core.ulr: unknown key; did you mean \"core.url\"?",
        ),
        (
            "CALLBOX_AUDIO__VOLUME",
            "loud",
            "environment variable CALLBOX_AUDIO__VOLUME: audio.volume: \"loud\" is not a whole number",
        ),
        ("CALLBOX_ADUIO", "x", "did you mean \"audio\"?"),
    ] {
        let (code, _, errors) = check(name, value);
        assert_eq!(code, 2, "{name}");
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn a_broken_configuration_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), "[control]\nsocket = \"c.sock\"\n").unwrap();
    let (code, _, errors) = run(folder.path(), &["run", "--config", "callbox.toml"]);
    assert_eq!(code, 2);
    assert!(errors.contains("core.url: is missing"), "{errors}");
    assert!(!folder.path().join("c.sock").exists());
}

#[test]
fn no_code_and_no_token_is_printed() {
    let (code, out, errors) = check(&format!(
        "{}\n[[dtmf]]\ndigits = \"7391#\"\nrun = {{ output = \"strike\", pulse_ms = 3000 }}\n",
        GOOD.replace("token = \"t\"", "token = \"very-secret\"")
    ));
    assert_eq!(code, 0, "{errors}");
    assert!(!out.contains("7391") && !out.contains("very-secret"), "{out}");
}

/// One second of sound as a program writes it into a pipe: the header does not say how long it is.
fn piped_wav(level: i16) -> Vec<u8> {
    let mut wav =
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\xff\xff\xff\xff"
            .to_vec();
    (0..8_000_i32).for_each(|index| wav.extend_from_slice(&(level * ((index / 10 % 2) as i16 * 2 - 1)).to_le_bytes()));
    wav
}

#[test]
fn sounds_from_a_pipe_are_taken_and_a_ringback_that_nobody_hears_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bell.wav"), piped_wav(8_000)).unwrap();
    std::fs::write(folder.path().join("silence.wav"), piped_wav(0)).unwrap();
    std::fs::write(folder.path().join("empty.wav"), &piped_wav(0)[..44]).unwrap();
    std::fs::write(folder.path().join("music.wav"), b"OggS and so on").unwrap();
    let check = |sounds: &str| {
        std::fs::write(folder.path().join("callbox.toml"), format!("{GOOD}[sounds]\n{sounds}\n")).unwrap();
        run(folder.path(), &["check", "--config", "callbox.toml"])
    };
    let (code, _, errors) = check("ringback = \"bell.wav\"\nno_answer = \"bell.wav\"\nconnecting = \"silence.wav\"");
    assert_eq!(code, 0, "{errors}");
    for (sounds, message) in [
        ("ringback = \"silence.wav\"", "is silent: a visitor would hear nothing while it rings"),
        ("busy = \"empty.wav\"", "is a WAV file without any sample"),
        ("busy = \"music.wav\"", "is not a WAV file, but Ogg"),
        ("busy = \"nothing.wav\"", "cannot be read"),
    ] {
        let (code, _, errors) = check(sounds);
        assert!(code == 2 && errors.contains(message), "{sounds}: {errors}");
    }
}
