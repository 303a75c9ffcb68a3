//! One connection to the broker, from its beginning to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, Publish, QoS, SubscribeFilter, SubscribeReasonCode,
};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::discovery::{announcement, event_type};
use super::entities::Entities;
use super::options::KEEP_ALIVE;
use super::topics::Topics;
use super::{commands, faults, states};
use crate::control::{Controlled, EventRecord, InterfaceStatus, Reply, Request};
use crate::core::{Fact, Interface};
use crate::running_tasks::{StopSignal, stopped};
use crate::station::StationHandle;

/// Messages that can wait for the broker. One that takes nothing for longer is given up.
const QUEUE: usize = 8192;
/// A connection that has ended says why within this time.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Events of the library that can wait for us.
const EVENTS: usize = 64;
/// States are told at most this often.
const STATE_INTERVAL: Duration = Duration::from_millis(100);
/// States that change without an event are told within this time.
const STATE_REFRESH: Duration = Duration::from_secs(60);
/// The library tells something at least once in each keep-alive. If not, it waits for a broker that takes nothing.
const SILENCE: Duration = KEEP_ALIVE.saturating_mul(2);
/// The longest name in a command that is answered.
const MAX_NAME: usize = 256;

/// How a connection has ended.
pub(super) enum Ended {
    /// The station stops.
    Stopped,
    /// Why, in words.
    Fault(String),
}

/// The broker takes no more messages.
struct Full;

pub(super) struct Connection<'a> {
    station: &'a StationHandle,
    topics: &'a Topics,
    entities: &'a Entities,
    client: AsyncClient,
    polling: Polling,
    /// What the broker was told last, by topic.
    told: BTreeMap<String, String>,
    /// When the states are told next.
    refresh_at: Instant,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        station: &'a StationHandle,
        topics: &'a Topics,
        entities: &'a Entities,
        mut options: MqttOptions,
    ) -> Self {
        // The broker says it for a station that is gone.
        options.set_last_will(LastWill::new(topics.availability(), "offline", QoS::AtLeastOnce, true));
        let (client, events) = AsyncClient::new(options, QUEUE);
        let polling = Polling::start(events);
        Self { station, topics, entities, client, polling, told: BTreeMap::new(), refresh_at: Instant::now() }
    }

    /// Connects, and serves until the connection ends.
    pub(super) async fn run(mut self, signal: &mut StopSignal) -> Ended {
        let first = tokio::select! {
            first = self.polling.next() => first,
            () = stopped(signal) => return Ended::Stopped,
        };
        if let Err(fault) = first {
            return Ended::Fault(fault);
        }
        // What happened before is no news.
        let mut facts = self.station.events();
        if self.greet().await.is_err() {
            return self.full().await;
        }
        loop {
            let done = tokio::select! {
                event = self.polling.next() => match event {
                    Ok(event) => self.incoming(event).await,
                    Err(fault) => return Ended::Fault(fault),
                },
                record = facts.recv() => match record {
                    Ok(record) => self.happened(&record),
                    Err(RecvError::Lagged(_)) => Ok(None),
                    Err(RecvError::Closed) => return Ended::Stopped,
                },
                () = sleep_until(self.refresh_at) => self.tell_states().await.map(|()| None),
                () = stopped(signal) => return self.farewell().await,
            };
            match done {
                Ok(None) => {}
                Ok(Some(fault)) => return Ended::Fault(fault),
                Err(Full) => return self.full().await,
            }
        }
    }

    /// Subscribes, announces the station, and tells its states.
    async fn greet(&mut self) -> Result<(), Full> {
        let filters = [self.topics.commands()].into_iter().chain(self.topics.home_assistant());
        let filters = filters.map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).map_err(|_| Full)?;
        self.announce()?;
        self.told.clear();
        self.tell_states().await?;
        self.publish(self.topics.availability(), "online".to_owned(), true)
    }

    fn announce(&self) -> Result<(), Full> {
        let config = self.station.config();
        let name = config.core.identifier.as_ref().map_or(self.topics.id.as_str(), |name| name.as_str());
        for entity in self.entities.iter() {
            if let Some((topic, message)) = announcement(entity, self.topics, name) {
                self.publish(topic, message.to_string(), true)?;
            }
        }
        Ok(())
    }

    /// Tells the states that have changed since they were told.
    async fn tell_states(&mut self) -> Result<(), Full> {
        self.refresh_at = Instant::now() + STATE_REFRESH;
        let Reply::Status(status) = self.station.request(Request::Status).await else { return Ok(()) };
        for (topic, state) in states::states(&status, self.entities, self.topics) {
            if self.told.get(&topic) != Some(&state) {
                self.publish(topic.clone(), state.clone(), true)?;
                self.told.insert(topic, state);
            }
        }
        Ok(())
    }

    /// Tells a press at once; the states follow.
    fn happened(&mut self, record: &EventRecord) -> Result<Option<String>, Full> {
        self.refresh_at = self.refresh_at.min(Instant::now() + STATE_INTERVAL);
        let Fact::Press { button, gesture, .. } = &record.fact else { return Ok(None) };
        if let Some(entity) = self.entities.button(button) {
            let message = json!({ "event_type": event_type(*gesture) });
            self.publish(self.topics.event(&entity.topic), message.to_string(), false)?;
        }
        Ok(None)
    }

    /// What the broker sent. Returns a fault with which the connection must end.
    async fn incoming(&mut self, event: Event) -> Result<Option<String>, Full> {
        match event {
            Event::Incoming(Packet::SubAck(answer)) => {
                let mut refused = answer.return_codes.iter().map(|code| *code == SubscribeReasonCode::Failure);
                if refused.next() == Some(true) {
                    let filter = self.topics.commands();
                    return Ok(Some(format!("the broker does not let the station read {filter}; change its ACL")));
                }
                if refused.all(|refused| refused) && self.topics.discovery.is_some() {
                    tracing::warn!(
                        "the broker does not let the station read when Home Assistant starts; change its ACL"
                    );
                }
                self.station.tell(Interface::Mqtt, InterfaceStatus::ready()).await;
            }
            Event::Incoming(Packet::Publish(message)) => self.message(message).await?,
            Event::Incoming(Packet::Disconnect) => {
                return Ok(Some("the broker has closed the connection".to_owned()));
            }
            _ => {}
        }
        Ok(None)
    }

    async fn message(&mut self, message: Publish) -> Result<(), Full> {
        if self.topics.home_assistant().contains(&message.topic) {
            // Home Assistant has started, and may have forgotten everything.
            if &message.payload[..] == b"online" {
                self.announce()?;
                self.told.clear();
                self.refresh_at = Instant::now();
            }
            return Ok(());
        }
        let Some(name) = self.topics.commanded(&message.topic).map(str::to_owned) else { return Ok(()) };
        if message.retain {
            // It would open the door at every connection.
            tracing::warn!(name = crate::plain_text::shortened(&name), "a retained command of the broker is ignored");
            return Ok(());
        }
        let answer = match commands::request(self.entities, &name, &message.payload) {
            Ok(request) => commands::answer(self.station.request(request).await),
            Err(refusal) => refusal,
        };
        self.refresh_at = self.refresh_at.min(Instant::now() + STATE_INTERVAL);
        self.answer(&name, &answer)
    }

    fn answer(&self, name: &str, answer: &Value) -> Result<(), Full> {
        // A topic that would be unlike any name is not made.
        let is_name = name.len() <= MAX_NAME && !name.chars().any(char::is_control);
        if is_name { self.publish(self.topics.result(name), answer.to_string(), false) } else { Ok(()) }
    }

    fn publish(&self, topic: String, message: String, retain: bool) -> Result<(), Full> {
        self.client.try_publish(topic, QoS::AtLeastOnce, retain, message).map_err(|_| Full)
    }

    /// The connection takes no more messages: it has ended, or the broker is too slow.
    async fn full(&mut self) -> Ended {
        let why = async {
            loop {
                if let Err(fault) = self.polling.next().await {
                    return fault;
                }
            }
        };
        let why = timeout(LAST_WORDS, why).await;
        Ended::Fault(why.unwrap_or_else(|_| "the broker takes messages too slowly".to_owned()))
    }

    /// Tells that the station is gone, and ends the connection.
    async fn farewell(&mut self) -> Ended {
        let said = self.publish(self.topics.availability(), "offline".to_owned(), true).is_ok();
        if said && self.client.try_disconnect().is_ok() {
            while let Ok(event) = self.polling.next().await {
                if matches!(event, Event::Outgoing(rumqttc::Outgoing::Disconnect)) {
                    break;
                }
            }
        }
        Ended::Stopped
    }
}

/// The library's event loop, in a task of its own: what it does must not be broken off half-way.
struct Polling {
    events: mpsc::Receiver<Result<Event, String>>,
    task: JoinHandle<()>,
}

impl Polling {
    fn start(mut events: EventLoop) -> Self {
        let (sender, receiver) = mpsc::channel(EVENTS);
        let task = tokio::spawn(async move {
            loop {
                let event = match timeout(SILENCE, events.poll()).await {
                    Ok(event) => event.map_err(|error| faults::message(&error)),
                    Err(_) => Err("the broker does not answer, or takes nothing".to_owned()),
                };
                let ended = event.is_err();
                if sender.send(event).await.is_err() || ended {
                    return;
                }
            }
        });
        Self { events: receiver, task }
    }

    /// The next event, or why the connection has ended.
    async fn next(&mut self) -> Result<Event, String> {
        self.events.recv().await.unwrap_or_else(|| Err("the connection has ended".to_owned()))
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.task.abort();
    }
}
