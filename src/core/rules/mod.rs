//! Rules: what the station does when something happens.
//!
//! A press, a sensor or a door code has a trigger in the configuration, which is a list of rules with steps. [`Rules`]
//! chooses the rule that holds now, and keeps the steps that wait. [`Actions`] carries out one action on the calls, the
//! door or the scene; commands of people use it as well.
//!
//! - `gestures`: from a press to its trigger.
//! - `pending`: rules, and steps with `after_ms`, `for_ms` or `cooldown_s`.
//! - `actions`: single actions.
//! - `commands`: the commands of people and programs.

mod actions;
mod commands;
mod gestures;
mod pending;

pub(super) use actions::Actions;
pub(super) use pending::Rules;
