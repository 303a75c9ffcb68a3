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
        // The daemon stays connected: a broker ends the connection of a client whose identifier comes again. And the
        // end of this connection is not the end of the station.
        Ok(mut options) => {
            options.set_client_id(format!("{}-check", topics.id));
            without_will(&options)
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

/// The same options without the farewell of the station.
fn without_will(options: &rumqttc::MqttOptions) -> rumqttc::MqttOptions {
    let (host, port) = options.broker_address();
    let mut plain = rumqttc::MqttOptions::new(options.client_id(), host, port);
    plain.set_keep_alive(options.keep_alive()).set_transport(options.transport());
    if let Some(login) = options.credentials() {
        plain.set_credentials(login.username, login.password);
    }
    plain
}

async fn connected(events: &mut EventLoop) -> Result<(), String> {
    match timeout(PATIENCE, events.poll()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(faults::message(&error)),
        Err(_) => Err("the broker does not answer".into()),
    }
}

async fn subscribed(client: &AsyncClient, events: &mut EventLoop, filters: &[String]) -> Result<(), String> {
    let wanted = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(wanted).map_err(|_| "the broker does not answer".to_owned())?;
    let answer = timeout(PATIENCE, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::SubAck(answer))) => return Ok(answer.return_codes),
                Ok(_) => {}
                Err(error) => return Err(faults::message(&error)),
            }
        }
    });
    let codes = answer.await.map_err(|_| "the broker does not answer".to_owned())??;
    let refused = filters.iter().zip(codes).find(|(_, code)| *code == SubscribeReasonCode::Failure);
    refused
        .map_or(Ok(()), |(filter, _)| Err(format!("the broker does not let the station read {filter}; change its ACL")))
}

/// Writes a message, and waits until it comes back: the broker does not say that it drops one.
async fn echoed(client: &AsyncClient, events: &mut EventLoop, topics: &Topics) -> Result<(), String> {
    let topic = topics.result(NAME);
    let refused = || format!("the broker does not pass on what the station writes to {topic}; change its ACL");
    client.try_publish(topic.clone(), QoS::AtLeastOnce, false, "{}").map_err(|_| refused())?;
    let echo = timeout(ECHO_PATIENCE, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::Publish(message))) if message.topic == topic => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(faults::message(&error)),
            }
        }
    });
    echo.await.map_err(|_| refused())?
}
