//! The registers of a Raspberry Pi, through `rppal`. This backend must be configured (`backend = "rppal"`).
//!
//! Inputs use interrupts with the kernel's debounce. Outputs are written to registers, so nobody can say who holds a
//! pin. This is why `cdev` is the default.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rppal::gpio::{Gpio, InputPin as RaspberryInput, OutputPin as RaspberryOutput, Trigger};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::board::bcm_number;
use super::{PinReport, Pins};
use crate::config::{Active, ButtonIndex, Config, InputPin, OutputIndex, PinName, Pull, SensorIndex};
use crate::core::{AnyPin, Pin};

/// The first and the longest wait between two attempts to take the pins. It is doubled each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The pins of a Raspberry Pi.
pub(super) struct RaspberryPins {
    taken: Arc<Mutex<Taken>>,
    task: JoinHandle<()>,
}

/// The pins that have been taken so far. A pin that was refused is `None` and is tried again.
struct Taken {
    gpio: Option<Gpio>,
    inputs: Vec<Option<RaspberryInput>>,
    outputs: Vec<Output>,
}

struct Output {
    active: bool,
    is_low_active: bool,
    pin: Option<RaspberryOutput>,
}

impl Output {
    fn drive(&mut self) {
        let high = self.active != self.is_low_active;
        if let Some(pin) = &mut self.pin {
            if high { pin.set_high() } else { pin.set_low() }
        }
    }
}

impl RaspberryPins {
    pub(super) fn take(config: Arc<Config>, reports: mpsc::Sender<PinReport>) -> Self {
        let inputs = inputs(&config).map(|_| None).collect();
        let outputs = config
            .outputs
            .iter()
            .map(|output| Output { active: false, is_low_active: output.active == Active::Low, pin: None })
            .collect();
        let taken = Arc::new(Mutex::new(Taken { gpio: None, inputs, outputs }));
        let task = tokio::spawn(keep_trying(Arc::clone(&taken), config, reports));
        Self { taken, task }
    }
}

impl Pins for RaspberryPins {
    fn set(&self, output: usize, active: bool) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(output) = taken.outputs.get_mut(output) {
            output.active = active;
            output.drive();
        }
    }

    fn move_input(&self, _: Pin, _: bool) -> bool {
        false
    }

    fn backend(&self) -> &'static str {
        "rppal"
    }
}

impl Drop for RaspberryPins {
    fn drop(&mut self) {
        self.task.abort();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for output in &mut taken.outputs {
            output.active = false;
            output.drive();
        }
    }
}

fn inputs(config: &Config) -> impl Iterator<Item = (Pin, &InputPin)> {
    let buttons =
        config.buttons.iter().enumerate().map(|(index, button)| (Pin::Button(ButtonIndex(index)), &button.input));
    let sensors =
        config.sensors.iter().enumerate().map(|(index, sensor)| (Pin::Sensor(SensorIndex(index)), &sensor.input));
    buttons.chain(sensors)
}

async fn keep_trying(taken: Arc<Mutex<Taken>>, config: Arc<Config>, reports: mpsc::Sender<PinReport>) {
    let mut wait = RETRY.0;
    let mut told = std::collections::HashMap::<AnyPin, String>::new();
    loop {
        let (shared, known, sender) = (Arc::clone(&taken), Arc::clone(&config), reports.clone());
        let results = tokio::task::spawn_blocking(move || take_missing(&shared, &known, &sender)).await;
        let results = results.unwrap_or_default();
        let done = results.iter().all(|(_, result)| result.is_ok());
        for (pin, result) in results {
            let fault = result.err();
            if told.get(&pin) == fault.as_ref() {
                continue;
            }
            match &fault {
                Some(message) => told.insert(pin, message.clone()),
                None => told.remove(&pin),
            };
            let _ = reports.send(PinReport::fault(pin, fault)).await;
        }
        if done {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

type Attempt = (AnyPin, Result<(), String>);

fn take_missing(taken: &Mutex<Taken>, config: &Config, reports: &mpsc::Sender<PinReport>) -> Vec<Attempt> {
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let Taken { gpio, inputs: slots, outputs } = &mut *taken;
    let all_pins = inputs(config)
        .map(|(pin, _)| AnyPin::Input(pin))
        .chain((0..config.outputs.len()).map(|index| AnyPin::Output(OutputIndex(index))));
    let chip = match gpio {
        Some(gpio) => gpio,
        None => match Gpio::new() {
            Ok(new) => gpio.insert(new),
            Err(error) => {
                let message = format!("the Raspberry Pi's GPIO cannot be used: {error}; write backend = \"cdev\"");
                return all_pins.map(|pin| (pin, Err(message.clone()))).collect();
            }
        },
    };
    let mut attempts = Vec::new();
    for ((pin, wiring), slot) in inputs(config).zip(slots.iter_mut()) {
        let result = if slot.is_some() {
            Ok(())
        } else {
            take_input(chip, pin, wiring, reports).map(|taken| *slot = Some(taken))
        };
        attempts.push((AnyPin::Input(pin), result));
    }
    for ((index, wiring), output) in config.outputs.iter().enumerate().zip(outputs.iter_mut()) {
        let result = if output.pin.is_some() { Ok(()) } else { take_output(chip, &wiring.pin, output) };
        attempts.push((AnyPin::Output(OutputIndex(index)), result));
    }
    attempts
}

fn number(pin: &PinName) -> Result<u8, String> {
    let number = match pin {
        PinName::Offset(number) => Some(*number),
        PinName::Name(name) => bcm_number(name),
    };
    number.and_then(|number| u8::try_from(number).ok()).ok_or_else(|| "not a BCM number, 0 to 57".to_owned())
}

fn take_input(
    gpio: &Gpio,
    pin: Pin,
    wiring: &InputPin,
    reports: &mpsc::Sender<PinReport>,
) -> Result<RaspberryInput, String> {
    let number = number(&wiring.pin)?;
    let free = gpio.get(number).map_err(|error| error.to_string())?;
    let mut input = match wiring.pull {
        Pull::Up => free.into_input_pullup(),
        Pull::Down => free.into_input_pulldown(),
        Pull::Off => free.into_input(),
    };
    let is_low_active = wiring.active == Active::Low;
    let debounce = (!wiring.debounce.is_zero()).then_some(wiring.debounce);
    let sender = reports.clone();
    let edge = move |event: rppal::gpio::Event| {
        let active = (event.trigger == Trigger::RisingEdge) != is_low_active;
        // The edge is lost if the queue is full. An event loop that has not read 256 reports has bigger problems.
        let _ = sender.try_send(PinReport::edge(pin, active, Some(event.timestamp)));
    };
    input.set_async_interrupt(Trigger::Both, debounce, edge).map_err(|error| error.to_string())?;
    let active = input.is_high() != is_low_active;
    let _ = reports.try_send(PinReport::level(pin, active, debounce.is_some()));
    Ok(input)
}

fn take_output(gpio: &Gpio, pin: &PinName, output: &mut Output) -> Result<(), String> {
    let free = gpio.get(number(pin)?).map_err(|error| error.to_string())?;
    let high = output.active != output.is_low_active;
    output.pin = Some(if high { free.into_output_high() } else { free.into_output_low() });
    Ok(())
}
