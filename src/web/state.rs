//! What the handlers share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::api_error::ApiError;
use crate::config::HttpToken;
use crate::http::{Attempts, Places};
use crate::running_tasks::StopSignal;
use crate::station::StationHandle;

/// What the handlers share.
pub(super) struct Web {
    pub(super) station: StationHandle,
    /// None: everything can be read, and nothing commanded.
    pub(super) tokens: Vec<HttpToken>,
    pub(super) places: Arc<Places>,
    pub(super) attempts: Mutex<Attempts>,
    pub(super) refused: RefusedCounts,
    pub(super) signal: StopSignal,
}

impl Web {
    pub(super) fn new(station: StationHandle, tokens: Vec<HttpToken>, places: Arc<Places>, signal: StopSignal) -> Self {
        Self { station, tokens, places, attempts: Mutex::default(), refused: RefusedCounts::default(), signal }
    }
}

/// Requests that were refused, by the code of their error.
#[derive(Default)]
pub(super) struct RefusedCounts(Mutex<BTreeMap<String, u64>>);

impl RefusedCounts {
    /// Counts an error, and returns it.
    pub(super) fn count(&self, error: ApiError) -> ApiError {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(error.code().to_owned()).or_default() += 1;
        error
    }

    pub(super) fn read(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
