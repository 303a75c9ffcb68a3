//! The Linux GPIO character device (gpio-v2 uAPI, `linux/gpio.h`), through `gpiocdev`. It works on every board.
//!
//! Each pin has its own request and its own task. If another process holds a pin, or its chip goes away, this is a
//! fault of that pin only. The kernel wakes a waiting request when its chip goes away, from version 6.7 on
//! (docs/workarounds.md, "kernel: a vanished gpio chip wakes nobody before 6.7").

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, EventClock, Value};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::find::{PinError, Place, find, holder, inspect};
use super::{PinReport, Pins, consumer};
use crate::config::{Active, ButtonIndex, Config, GpioConfig, InputPin, OutputIndex, OutputPin, Pull, SensorIndex};
use crate::core::{AnyPin, Pin};

/// The first and the longest wait between two attempts to take a pin. It is doubled each time. It needs no jitter: a
/// machine has only a few chips.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// The time between two reads of an input whose chip has no interrupts.
const POLL: Duration = Duration::from_millis(5);
/// How often a quiet line is checked: kernels before 6.7 do not report that a chip went away (docs/workarounds.md,
/// "kernel: a vanished gpio chip wakes nobody before 6.7").
const LOOK: Duration = Duration::from_secs(60);

/// Pins of character devices.
pub(super) struct CdevPins {
    outputs: Vec<Arc<OutputLine>>,
    tasks: Vec<JoinHandle<()>>,
}

impl CdevPins {
    /// Takes every pin that is available, and keeps trying to take the others.
    pub(super) fn take(config: Arc<Config>, reports: mpsc::Sender<PinReport>) -> Self {
        let mut tasks = Vec::new();
        let buttons = config.buttons.iter().enumerate();
        let buttons = buttons.map(|(index, button)| (Pin::Button(ButtonIndex(index)), &button.name, &button.input));
        let sensors = config.sensors.iter().enumerate();
        let sensors = sensors.map(|(index, sensor)| (Pin::Sensor(SensorIndex(index)), &sensor.name, &sensor.input));
        for (pin, name, wiring) in buttons.chain(sensors) {
            let input =
                InputLine { pin, consumer: consumer(name), wiring: wiring.clone(), config: Arc::clone(&config) };
            tasks.push(tokio::spawn(input.run(reports.clone())));
        }
        let mut outputs = Vec::new();
        for (index, wiring) in config.outputs.iter().enumerate() {
            let line = Arc::new(OutputLine {
                index: OutputIndex(index),
                consumer: consumer(&wiring.name),
                wiring: wiring.clone(),
                config: Arc::clone(&config),
                driven: Mutex::new(Driven { active: false, request: None }),
                lost: Notify::new(),
            });
            tasks.push(tokio::spawn(Arc::clone(&line).run(reports.clone())));
            outputs.push(line);
        }
        Self { outputs, tasks }
    }
}

impl Pins for CdevPins {
    fn set(&self, output: usize, active: bool) {
        if let Some(line) = self.outputs.get(output) {
            line.set(active);
        }
    }

    fn move_input(&self, _: Pin, _: bool) -> bool {
        false
    }

    fn backend(&self) -> &'static str {
        "cdev"
    }
}

impl Drop for CdevPins {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // Each line goes to rest before it is released: what a released line does is the kernel's choice
        // (docs/workarounds.md, "kernel: a released line may keep its level").
        for line in &self.outputs {
            line.set(false);
            line.driven.lock().unwrap_or_else(PoisonError::into_inner).request = None;
        }
    }
}

/// Reports the fault of a pin whenever its message changes, and paces the attempts to take the pin.
struct Told {
    pin: AnyPin,
    fault: Option<String>,
    reports: mpsc::Sender<PinReport>,
    wait: Duration,
}

impl Told {
    fn new(pin: AnyPin, reports: mpsc::Sender<PinReport>) -> Self {
        Self { pin, fault: None, reports, wait: RETRY.0 }
    }

    async fn tell(&mut self, fault: Option<String>) {
        if fault.is_none() {
            self.wait = RETRY.0;
        }
        if fault != self.fault {
            self.fault.clone_from(&fault);
            let _ = self.reports.send(PinReport::fault(self.pin, fault)).await;
        }
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(RETRY.1);
    }
}

/// Runs work on a thread that may block, because the kernel's files may be slow.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PinError> + Send + 'static,
) -> Result<T, PinError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(PinError::Kernel { what: "GPIO".into(), message: error.to_string() }),
    }
}

/// Watches a request. It becomes readable when an event comes, and when its chip goes away. The tokio wrapper of
/// gpiocdev cannot do this (docs/workarounds.md, "gpiocdev: its tokio wrapper panics").
#[allow(unsafe_code, reason = "the caller must guarantee that the descriptor stays valid")]
fn watch(request: Arc<Request>, place: &Place) -> Result<AsyncFd<Arc<Request>>, PinError> {
    // docs/workarounds.md, "tokio: registering a descriptor is unsafe".
    // SAFETY: a request owns its file and never replaces it. The `AsyncFd` owns an `Arc` of the request, so the request
    // lives at least as long.
    let watched = unsafe { AsyncFd::register_with_interest(request, Interest::READABLE) };
    watched.map_err(|error| PinError::Kernel { what: place.shown(), message: error.to_string() })
}

/// The reason why a request was refused.
fn refused(place: &Place, error: &gpiocdev::Error) -> PinError {
    holder(place).unwrap_or_else(|| place.kernel(error))
}

struct InputLine {
    pin: Pin,
    consumer: String,
    wiring: InputPin,
    config: Arc<Config>,
}

/// An open input.
struct Opened {
    request: Arc<Request>,
    place: Place,
    watching: Watching,
}

impl InputLine {
    async fn run(self, reports: mpsc::Sender<PinReport>) {
        let mut told = Told::new(AnyPin::Input(self.pin), reports.clone());
        loop {
            let error = match self.open().await {
                Ok(opened) => {
                    told.tell(None).await;
                    match opened.watching {
                        Watching::Polled => self.poll(&opened, &reports).await,
                        Watching::Edges { debounced } => match watch(Arc::clone(&opened.request), &opened.place) {
                            Ok(watched) => self.follow(&watched, &opened.place, debounced, &reports).await,
                            Err(error) => error,
                        },
                    }
                }
                Err(error) => error,
            };
            told.tell(Some(error.to_string())).await;
            told.pause().await;
        }
    }

    async fn open(&self) -> Result<Opened, PinError> {
        let (consumer, wiring, config) = (self.consumer.clone(), self.wiring.clone(), Arc::clone(&self.config));
        blocking(move || {
            let place = find(&config.gpio, &wiring.pin)?;
            let (request, watching) = request_input(&place, &consumer, &wiring)?;
            Ok(Opened { request: Arc::new(request), place, watching })
        })
        .await
    }

    /// Polls the level until the line is lost.
    async fn poll(&self, opened: &Opened, reports: &mpsc::Sender<PinReport>) -> PinError {
        let mut known = None;
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (request, place) = (Arc::clone(&opened.request), opened.place.clone());
            // A read may take long, depending on the bus of the chip.
            let read = blocking(move || request.lone_value().map_err(|error| place.kernel(&error))).await;
            let active = match read {
                Ok(value) => value == Value::Active,
                Err(error) => return error,
            };
            if known == Some(active) {
                continue;
            }
            let report = match known.replace(active) {
                None => PinReport::level(self.pin, active, false),
                Some(_) => PinReport::edge(self.pin, active, None),
            };
            let _ = reports.send(report).await;
        }
    }

    /// Reports every edge until the line is lost.
    async fn follow(
        &self,
        watched: &AsyncFd<Arc<Request>>,
        place: &Place,
        debounced: bool,
        reports: &mpsc::Sender<PinReport>,
    ) -> PinError {
        let line: &Request = watched.get_ref();
        let mut level = match line.lone_value() {
            Ok(value) => value == Value::Active,
            Err(error) => return place.kernel(&error),
        };
        let _ = reports.send(PinReport::level(self.pin, level, debounced)).await;
        loop {
            match timeout(LOOK, watched.readable()).await {
                Ok(Ok(mut guard)) => guard.clear_ready(),
                Ok(Err(error)) => {
                    return PinError::Kernel { what: place.shown(), message: error.to_string() };
                }
                Err(_) => {}
            }
            loop {
                match line.has_edge_event() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => return place.kernel(&error),
                }
                let edge = match line.read_edge_event() {
                    Ok(edge) => edge,
                    Err(error) => return place.kernel(&error),
                };
                level = edge.kind == EdgeKind::Rising;
                let at = Duration::from_nanos(edge.timestamp_ns);
                let _ = reports.send(PinReport::edge(self.pin, level, Some(at))).await;
            }
            // Edges are lost when the kernel's queue is full, but the level is not (docs/workarounds.md, "kernel: edges
            // are lost when the queue is full").
            match line.lone_value() {
                Ok(value) if (value == Value::Active) != level => {
                    level = !level;
                    let _ = reports.send(PinReport::edge(self.pin, level, None)).await;
                }
                Ok(_) => {}
                Err(error) => return place.kernel(&error),
            }
        }
    }
}

/// How changes of an input are detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watching {
    /// The kernel reports each edge. If `debounced`, it also debounces the input.
    Edges { debounced: bool },
    /// The chip has no interrupts (an expander on an I2C bus): the level is read every [`POLL`].
    Polled,
}

/// Takes an input in the best way that its chip supports (docs/workarounds.md, "kernel: not every chip has
/// interrupts").
fn request_input(place: &Place, consumer: &str, wiring: &InputPin) -> Result<(Request, Watching), PinError> {
    let debounces = !wiring.debounce.is_zero();
    let ways = [
        debounces.then_some(Watching::Edges { debounced: true }),
        Some(Watching::Edges { debounced: false }),
        Some(Watching::Polled),
    ];
    let mut first_error = None;
    for watching in ways.into_iter().flatten() {
        match request_input_so(place, consumer, wiring, watching) {
            Ok(request) => return Ok((request, watching)),
            Err(error) => {
                if let Some(held) = holder(place) {
                    return Err(held);
                }
                first_error.get_or_insert(error);
            }
        }
    }
    let message = "there is no way to read it".to_owned();
    Err(first_error.map_or(PinError::Kernel { what: place.shown(), message }, |error| place.kernel(&error)))
}

/// Like [`inspect`], for an input. It takes the line for a moment, because this is the only way to learn whether the
/// chip has interrupts.
///
/// # Errors
///
/// The line does not exist, may not be opened, or is held by another process.
pub fn inspect_input(gpio: &GpioConfig, wiring: &InputPin, name: &str) -> Result<String, PinError> {
    let shown = inspect(gpio, &wiring.pin, name)?;
    let place = find(gpio, &wiring.pin)?;
    match request_input(&place, &consumer(name), wiring) {
        Ok((_, Watching::Polled)) => {
            let period_ms = POLL.as_millis();
            Ok(format!("{shown}, polled every {period_ms} ms: its chip has no interrupts, or they are not wired"))
        }
        // The chip has interrupts, or a running daemon holds the line.
        _ => Ok(shown),
    }
}

fn request_input_so(
    place: &Place,
    consumer: &str,
    wiring: &InputPin,
    watching: Watching,
) -> Result<Request, gpiocdev::Error> {
    let mut builder = Request::builder();
    builder.on_chip(&place.chip).with_consumer(consumer).with_line(place.offset).as_input();
    match wiring.active {
        Active::Low => builder.as_active_low(),
        Active::High => builder.as_active_high(),
    };
    builder.with_bias(match wiring.pull {
        Pull::Up => Bias::PullUp,
        Pull::Down => Bias::PullDown,
        Pull::Off => Bias::Disabled,
    });
    if let Watching::Edges { debounced } = watching {
        builder.with_edge_detection(EdgeDetection::BothEdges).with_event_clock(EventClock::Monotonic);
        if debounced {
            builder.with_debounce_period(wiring.debounce);
        }
    }
    builder.request()
}

struct OutputLine {
    index: OutputIndex,
    consumer: String,
    wiring: OutputPin,
    config: Arc<Config>,
    driven: Mutex<Driven>,
    /// Notified when the kernel did not accept a level.
    lost: Notify,
}

struct Driven {
    active: bool,
    request: Option<Arc<Request>>,
}

fn value(active: bool) -> Value {
    if active { Value::Active } else { Value::Inactive }
}

impl OutputLine {
    fn set(&self, active: bool) {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        driven.active = active;
        let failed = driven.request.as_ref().is_some_and(|request| request.set_lone_value(value(active)).is_err());
        if failed {
            driven.request = None;
            self.lost.notify_one();
        }
    }

    async fn run(self: Arc<Self>, reports: mpsc::Sender<PinReport>) {
        let mut told = Told::new(AnyPin::Output(self.index), reports);
        loop {
            let error = match self.open().await {
                Ok((request, place)) => {
                    told.tell(None).await;
                    let error = self.watch(request, &place).await;
                    self.driven.lock().unwrap_or_else(PoisonError::into_inner).request = None;
                    error
                }
                Err(error) => error,
            };
            told.tell(Some(error.to_string())).await;
            told.pause().await;
        }
    }

    async fn open(self: &Arc<Self>) -> Result<(Arc<Request>, Place), PinError> {
        let line = Arc::clone(self);
        blocking(move || {
            let place = find(&line.config.gpio, &line.wiring.pin)?;
            // Under this lock nobody can change the level before the request is stored.
            let mut driven = line.driven.lock().unwrap_or_else(PoisonError::into_inner);
            let request = request_output(&place, &line.consumer, &line.wiring, driven.active)
                .map_err(|error| refused(&place, &error))?;
            let request = Arc::new(request);
            driven.request = Some(Arc::clone(&request));
            Ok((request, place))
        })
        .await
    }

    /// Waits until the line is lost, and returns the reason.
    async fn watch(&self, request: Arc<Request>, place: &Place) -> PinError {
        let watched = match watch(request, place) {
            Ok(watched) => watched,
            Err(error) => return error,
        };
        loop {
            tokio::select! {
                // The line may still be readable although it accepts no level. It is opened again at the wanted level.
                () = self.lost.notified() => {
                    let message = "the kernel did not accept a level".to_owned();
                    return PinError::Kernel { what: place.shown(), message };
                }
                // An output has no events, so it becomes readable only when its chip goes away.
                _ = timeout(LOOK, watched.readable()) => {}
            }
            if let Err(error) = watched.get_ref().lone_value() {
                return place.kernel(&error);
            }
            // The line is still there. If it stays readable, the pause keeps this loop from spinning.
            tokio::time::sleep(RETRY.0).await;
        }
    }
}

fn request_output(place: &Place, consumer: &str, wiring: &OutputPin, active: bool) -> Result<Request, gpiocdev::Error> {
    let mut builder = Request::builder();
    builder.on_chip(&place.chip).with_consumer(consumer).with_line(place.offset);
    match wiring.active {
        Active::Low => builder.as_active_low(),
        Active::High => builder.as_active_high(),
    };
    builder.as_output(value(active)).request()
}

/// Drives every output to rest and releases it, for kernels that keep the level of a line whose holder died
/// (docs/workarounds.md, "kernel: a released line may keep its level"). Returns the name of each output with its
/// result.
pub fn put_outputs_to_rest(gpio: &GpioConfig, outputs: &[OutputPin]) -> Vec<(String, Result<(), PinError>)> {
    let rest = |output: &OutputPin| {
        let place = find(gpio, &output.pin)?;
        let request = request_output(&place, &consumer(&output.name), output, false);
        request.map(drop).map_err(|error| refused(&place, &error))
    };
    outputs.iter().map(|output| (output.name.clone(), rest(output))).collect()
}
