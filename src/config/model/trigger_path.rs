//! Where a trigger stands in the configuration.

/// Where a trigger stands: the `press` of the second `[[button]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerPath {
    /// The name of the table.
    pub table: &'static str,
    /// Its place among those of its name, from 0.
    pub index: usize,
    pub key: &'static str,
}

/// As errors and warnings name it: `button[1].press`.
impl std::fmt::Display for TriggerPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}[{}].{}", self.table, self.index, self.key)
    }
}
