//! Rules: the one way from something that happens to something that is done.
//!
//! [`Rules`] chooses the rule of a trigger, and keeps the steps that wait; [`Actions`] carries out one action.

mod actions;
mod commands;
mod gestures;
mod pending;

pub(super) use actions::Actions;
pub(super) use pending::Rules;
