//! Finds out whose code somebody has typed.

use std::sync::Arc;

use crate::code_hash::{CodeHash, matching};
use crate::config::{CodeIndex, Config};
use crate::secret::DoorCode;

/// The hashes of all codes, in the order of the configuration. It is cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Verifier(Arc<[Option<CodeHash>]>);

impl Verifier {
    /// Reads the files of all codes. A file that cannot be read leaves its code out.
    pub fn new(config: &Config) -> Self {
        let hashes = config.codes.iter().map(|code| {
            let refused = |error| tracing::warn!(file = %code.secret_file.display(), %error, "a code does not count");
            CodeHash::read(&code.secret_file).map_err(refused).ok()
        });
        Self(hashes.collect())
    }

    /// Those of the codes that are this one. It may take a second, so it must not run on the event loop.
    pub fn check(&self, typed: &DoorCode, codes: &[CodeIndex]) -> Vec<CodeIndex> {
        let hashes = codes.iter().filter_map(|CodeIndex(index)| Some((*index, self.0.get(*index)?.as_ref()?)));
        matching(&typed.to_ascii_uppercase(), hashes).into_iter().map(CodeIndex).collect()
    }
}
