//! What `callbox explain last` reports of a call that nobody answered: everything from the press to the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use callbox::audio::CardChoice;
use callbox::config::parse_without_core;
use callbox::control::{Controlled, EventRecord, Reply, Request};
use callbox::core::{Fact, Gesture, Unanswered};
use callbox::sandbox::{ConnectionLimits, Sandbox, SandboxOptions, SharedIceServers, default_accounts};
use tokio::time::timeout;

const HOUSE: &str = "[media]\nbind = [\"127.0.0.1\"]\n[gpio]\nbackend = \"simulated\"\n\
    [[button]]\nname = \"bell\"\npin = 17\npress = { call = [\"100\", \"nobody\"], ring_s = 10 }\n";

#[tokio::test]
async fn the_last_call_is_explained_from_the_press_over_both_numbers_to_its_end() {
    let config = parse_without_core("house.toml", HOUSE, &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors}"));
    let sandbox = Sandbox::start(SandboxOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        accounts: default_accounts(),
        host_names: Vec::new(),
        station: Some(config),
        card: CardChoice::Synthetic,
        certificate: None,
        limits: ConnectionLimits::default(),
        ice_servers: SharedIceServers::default(),
    })
    .unwrap();
    let station = sandbox.station_handle().unwrap();
    let mut events = station.events();
    let press = Request::Press { name: "bell".into(), gesture: Gesture::Press };
    station.request(press).await;
    let mut ends = 0;
    while ends < 2 {
        let event = timeout(Duration::from_secs(20), events.recv()).await.expect("the end of both calls").unwrap();
        ends += usize::from(event.fact.ends_call());
    }
    let Reply::Explanation(story) = station.request(Request::Explain).await else { panic!("no explanation") };
    let facts: Vec<&Fact> = story.iter().map(|EventRecord { fact, .. }| fact).collect();
    assert!(matches!(facts.first(), Some(Fact::Press { button, .. }) if button == "bell"), "{facts:?}");
    let ends: Vec<(&str, Option<Unanswered>)> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Call { number, cause: Some(cause), .. } => Some((number.as_str(), cause.unanswered)),
            _ => None,
        })
        .collect();
    // Number 100 has no phone that is online, and the other number does not exist.
    assert_eq!(ends, [("100", Some(Unanswered::NotReachable)), ("nobody", Some(Unanswered::NotFound))]);
    sandbox.stop().await;
}
