//! Simulates years at a door: the real core in a simulated world, in virtual time, from one seed.
//!
//! `make test` runs ten years, `make ci` forty more, and `make sim SEED=… YEARS=…` as many as you like.

#![allow(unreachable_pub, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod alarms;
mod checks;
mod house;
mod keypad;
#[cfg(feature = "mutants")]
mod mutants;
mod passages;
mod plan;
mod server;
mod story;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use story::Months;
use world::Figures;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Runs the months on every processor; returns their figures, and the first month that breaks a rule.
fn run_all(months: &Months, count: u64) -> (Figures, Option<u64>) {
    let next = AtomicU64::new(0);
    let run = || {
        let (mut figures, mut failed) = (Figures::default(), None);
        while failed.is_none() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let outcome = months.run(index, false);
            failed = outcome.violation.is_some().then_some(index);
            figures += outcome.figures;
        }
        (figures, failed)
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        workers.into_iter().fold((Figures::default(), None), |(mut figures, first), worker| {
            let (more, failed) = worker.join().unwrap();
            figures += more;
            (figures, first.into_iter().chain(failed).min())
        })
    })
}

#[test]
fn what_must_never_happen_does_not_happen_in_years_at_a_door() {
    let months = Months::new(number("SEED", 1));
    if let Ok(month) = std::env::var("MONTH") {
        panic!("{}", months.report(month.parse().unwrap()));
    }
    let years = number("YEARS", 10);
    let started = Instant::now();
    let (figures, failed) = run_all(&months, years * 12);
    if let Some(index) = failed {
        panic!("{}", months.report(index));
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    println!("{years} years in {:.0} s: {:.1} years a minute; {figures:?}", minutes * 60.0, years as f64 / minutes);
    assert!(figures.calls_up > 1_000 * years, "a world in which hardly anybody talks proves nothing: {figures:?}");
    assert!(figures.forced.min(figures.held) > 100 * years, "{figures:?}");
    assert!(figures.repairs > 10 * years, "{figures:?}");
    assert!(figures.alarms.min(figures.confirmed) > 50 * years, "{figures:?}");
    assert!(figures.codes > 100 * years, "{figures:?}");
    assert!(figures.lit.min(figures.runs) > 100 * years, "{figures:?}");
}

#[test]
fn the_same_seed_makes_the_same_run_byte_for_byte() {
    let months = Months::new(number("SEED", 1));
    for index in 0..5 {
        let (first, second) = (months.run(index, true), months.run(index, true));
        assert_eq!(first.hash, second.hash, "month {index}");
        assert_eq!(first.figures, second.figures);
        assert!(first.story == second.story, "month {index}");
        assert!(!first.story.is_empty());
    }
}
