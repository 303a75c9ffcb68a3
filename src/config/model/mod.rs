//! The types of the configuration, one file for each group of tables.

mod action;
mod audio;
mod calendar;
mod calls;
mod code;
mod control;
mod device_class;
mod door;
mod hook;
mod hours;
mod ice_server;
mod index;
mod input;
mod key_pin;
mod local_time;
mod media;
mod mode;
mod number;
mod output;
mod pcm_name;
mod pin;
mod prompt;
mod proxy;
mod reader;
mod schedule;
mod server;
mod sound;
mod trigger_path;

use serde::{Deserialize, Serialize};

pub use action::{
    Action, Assurance, CallAction, Confirm, HangupTarget, LineChoice, Order, Outcomes, Rule, Step, Trigger,
};
pub use audio::{AudioConfig, CAPTURE_GAIN_DB, Echo};
pub use calendar::{Calendar, Holiday, HolidayError};
pub use calls::{AnswerAction, AnswerRule, CallMode, CallsConfig, SecondCall};
pub use code::{AccessConfig, DtmfRule};
pub use control::{ControlConfig, HttpConfig, HttpToken, HttpTokenError, MqttConfig};
pub use device_class::DeviceClass;
pub use door::DoorConfig;
pub use hook::{Hook, HookEvent};
pub use hours::{Hours, HoursError};
#[cfg(feature = "daemon")]
pub(crate) use ice_server::authority;
pub use ice_server::{IceServer, IceServers, IceTransport, IceUrl, IceUrlError};
pub use index::{
    ButtonIndex, CodeIndex, DoorIndex, Line, ModeIndex, OutputIndex, PromptIndex, ReaderIndex, ScheduleIndex,
    SensorIndex,
};
pub use input::{Again, Button, Sensor};
pub use key_pin::{KeyPin, KeyPinError};
pub use local_time::{LocalTime, Weekday};
pub use media::{Codec, MediaConfig};
pub use mode::{Conditions, Mode, ModeChange, ModeCondition, ModeState, Moment};
pub use number::NumberPattern;
pub use output::{DEFAULT_PULSE, Drive, OutputChange, OutputKind, OutputPin, ShownState};
pub use pcm_name::{PcmName, PcmNameError, UsbCard};
pub use pin::{Active, GpioBackend, GpioConfig, InputPin, PinName, Pull};
pub(in crate::config) use prompt::playable;
pub use prompt::{InCall, PlayAction, PlayTo, Playable, Prompt, SoundFile};
pub use proxy::{Proxy, ProxyAddress, ProxyAddressError, ProxyCredentials, ProxyScope};
pub use reader::{Code, InputDevice, Reader, ReaderKind};
pub use schedule::{Moments, Occurrences, OccurrencesError, Schedule};
pub use server::{CoreConfig, Credentials, ServerTrust, Takeover};
pub use sound::Sound;
pub use trigger_path::TriggerPath;

/// A whole, valid configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub core: CoreConfig,
    pub media: MediaConfig,
    pub audio: AudioConfig,
    pub gpio: GpioConfig,
    pub buttons: Vec<Button>,
    pub sensors: Vec<Sensor>,
    pub outputs: Vec<OutputPin>,
    /// Doors that are watched.
    #[serde(default)]
    pub doors: Vec<DoorConfig>,
    /// Files that replace built-in sounds.
    pub sounds: Vec<SoundFile>,
    #[serde(default)]
    pub prompts: Vec<Prompt>,
    pub answers: Vec<AnswerRule>,
    pub dtmf: Vec<DtmfRule>,
    pub access: AccessConfig,
    #[serde(default)]
    pub readers: Vec<Reader>,
    #[serde(default)]
    pub codes: Vec<Code>,
    pub calls: CallsConfig,
    #[serde(default)]
    pub schedules: Vec<Schedule>,
    #[serde(default)]
    pub modes: Vec<Mode>,
    #[serde(default)]
    pub calendar: Calendar,
    pub control: ControlConfig,
    #[serde(default)]
    pub hooks: Vec<Hook>,
    pub log: LogConfig,
}

impl Config {
    /// Every trigger, with its place.
    pub fn triggers(&self) -> impl Iterator<Item = (TriggerPath, &Trigger)> {
        let at = |table, index, key| TriggerPath { table, index, key };
        let buttons = self.buttons.iter().enumerate().flat_map(move |(index, button)| {
            let others = [("long_press", &button.long_press), ("double_press", &button.double_press)];
            let others = others.into_iter().filter_map(|(key, trigger)| Some((key, trigger.as_ref()?)));
            let all = [("press", &button.press)].into_iter().chain(others);
            all.map(move |(key, trigger)| (at("button", index, key), trigger))
        });
        let sensors = self.sensors.iter().enumerate().flat_map(move |(index, sensor)| {
            [(at("sensor", index, "opened"), &sensor.opened), (at("sensor", index, "closed"), &sensor.closed)]
        });
        let doors = self.doors.iter().enumerate().flat_map(move |(index, door)| {
            let all = [("forced", &door.forced), ("held", &door.held), ("restored", &door.restored)];
            all.map(|(key, trigger)| (at("door", index, key), trigger))
        });
        let dtmf = self.dtmf.iter().enumerate().map(move |(index, rule)| (at("dtmf", index, "run"), &rule.run));
        let schedules = self.schedules.iter().enumerate();
        let schedules = schedules.map(move |(index, schedule)| (at("schedule", index, "run"), &schedule.run));
        let codes = self.codes.iter().enumerate().map(move |(index, code)| (at("code", index, "run"), &code.run));
        buttons.chain(sensors).chain(dtmf).chain(doors).chain(schedules).chain(codes)
    }

    /// Whether something ends alarms.
    pub fn ends_alarms(&self) -> bool {
        self.triggers().any(|(_, trigger)| trigger.ends_alarms())
    }
}

/// The table `[log]` (docs/configuration.md, "`[log]`").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// A level (`info`, `debug`), or levels per target as `tracing_subscriber::filter::Targets` reads them
    /// (`callbox=trace`).
    pub level: String,
}
