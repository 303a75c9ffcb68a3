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
    let mut names = Mutant::ALL.map(|mutant| (mutant, format!("{mutant:?}"))).to_vec();
    names.retain(|(_, name)| only.as_ref().is_none_or(|only| only == name));
    assert!(!names.is_empty(), "there is no bug {only:?}; there are: {:?}", Mutant::ALL);
    let mut survivors = Vec::new();
    for (mutant, name) in names {
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
