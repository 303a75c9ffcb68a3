//! `callbox mqtt check`: connects as the daemon would, and tries whether the broker passes its messages on.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Packet, QoS, SubscribeFilter, SubscribeReasonCode};
use tokio::time::timeout;

use super::faults;
use super::options::options;
use super::topics::Topics;
use crate::config::MqttConfig;

/// The longest time for each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// A message of our own comes back within this time, or the ACL forbids it.
const ECHO_PATIENCE: Duration = Duration::from_secs(3);
/// The topic of that message, which nobody else uses.
const NAME: &str = "check";

/// One step, in words: what was done, or why it cannot be done.
pub type Step = Result<String, String>;

/// Tries all steps, and hands each to `tell` as it is known. Returns whether all of them succeeded.
pub async fn check(config: &MqttConfig, identifier: &str, mut tell: impl FnMut(Step)) -> bool {
    let topics = Topics::new(&config.prefix, identifier, config.discovery.clone());
    let options = match options(config, &topics).await {
        // The daemon stays connected: a broker ends the connection of a client whose identifier comes again.
        Ok(mut options) => {
            options.set_client_id(format!("{}-check", topics.id));
            options
        }
        Err(problem) => {
            tell(Err(problem));
            return false;
        }
    };
    let (client, mut events) = AsyncClient::new(options, 16);
    if let Err(problem) = connected(&mut events).await {
        tell(Err(problem));
        return false;
    }
    let user = config.user.as_ref().map_or("nobody", |user| user.as_str());
    tell(Ok(format!("the broker at {}:{} takes the login of {user}", config.host(), config.port())));
    let filters = [topics.commands(), topics.result(NAME)];
    let read = subscribed(&client, &mut events, &filters).await;
    let may_read = read.is_ok();
    tell(read.map(|()| format!("the station may read {}", topics.commands())));
    let written = echoed(&client, &mut events, &topics).await;
    let may_write = written.is_ok();
    tell(written.map(|()| format!("the station may write {}, and the broker passes it on", topics.result("+"))));
    let _ = client.try_disconnect();
    let _ = timeout(ECHO_PATIENCE, async { while events.poll().await.is_ok() {} }).await;
    may_read && may_write
}

async fn connected(events: &mut EventLoop) -> Result<(), String> {
    awaited(events, PATIENCE, |_| Some(())).await?.ok_or_else(silent)
}

async fn subscribed(client: &AsyncClient, events: &mut EventLoop, filters: &[String]) -> Result<(), String> {
    let wanted = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(wanted).map_err(|_| silent())?;
    let answer = awaited(events, PATIENCE, |event| match event {
        Event::Incoming(Packet::SubAck(answer)) => Some(answer.return_codes),
        _ => None,
    });
    let codes = answer.await?.ok_or_else(silent)?;
    let refused = filters.iter().zip(codes).find(|(_, code)| *code == SubscribeReasonCode::Failure);
    refused
        .map_or(Ok(()), |(filter, _)| Err(format!("the broker does not let the station read {filter}; change its ACL")))
}

/// Writes a message, and waits until it comes back: the broker does not say that it drops one.
async fn echoed(client: &AsyncClient, events: &mut EventLoop, topics: &Topics) -> Result<(), String> {
    let topic = topics.result(NAME);
    let refused = || format!("the broker does not pass on what the station writes to {topic}; change its ACL");
    client.try_publish(topic.clone(), QoS::AtLeastOnce, false, "{}").map_err(|_| refused())?;
    let echo = awaited(events, ECHO_PATIENCE, |event| match event {
        Event::Incoming(Packet::Publish(message)) if message.topic == topic => Some(()),
        _ => None,
    });
    echo.await?.ok_or_else(refused)
}

/// The first event that `look` wants; `None` if none comes in time.
async fn awaited<T>(
    events: &mut EventLoop,
    patience: Duration,
    look: impl Fn(Event) -> Option<T>,
) -> Result<Option<T>, String> {
    let wanted = async {
        loop {
            let event = events.poll().await.map_err(|error| faults::message(&error))?;
            if let Some(wanted) = look(event) {
                return Ok(wanted);
            }
        }
    };
    timeout(patience, wanted).await.map_or(Ok(None), |wanted| wanted.map(Some))
}

fn silent() -> String {
    "the broker does not answer".to_owned()
}
