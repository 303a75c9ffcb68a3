//! Each of the deliberate bugs of [`callbox::mutant`] must be found: `make mutants`, or one of them with
//! `MUTANT=EndlessPulse`.
//!
//! The bugs are in the process, so nothing else may run beside this test.

use callbox::mutant::{Mutant, activate};

use crate::story::Months;

/// A bug that is not found within two years of door life survives.
const MONTHS: u64 = 24;

#[test]
#[ignore = "runs alone, since a bug is in the whole process: make mutants"]
fn each_deliberate_bug_is_found() {
    let only = std::env::var("MUTANT").ok();
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        let name = format!("{mutant:?}");
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        activate(Some(mutant));
        let months = Months::new(1);
        let found = (0..MONTHS).find_map(|index| Some((index, months.run(index, false).violation?)));
        activate(None);
        match found {
            Some((index, violation)) => println!("{name}: found in month {index}: {}", violation.rule),
            None => survivors.push(name),
        }
    }
    assert!(survivors.is_empty(), "not found: {survivors:?}");
}
