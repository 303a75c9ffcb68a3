//! Hashes of PINs and card numbers, as `callbox code hash` prints them: Argon2id (RFC 9106) in the PHC string format.
//!
//! A hash does not make a PIN of four digits safe from somebody who has its file: 10,000 tries are soon made. It keeps
//! PINs out of backups, and long card numbers from being copied.

use std::path::Path;
use std::str::FromStr;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};

/// The longest code.
pub const MAX_CODE: usize = 32;
/// Shorter codes are refused: they are soon guessed.
pub const MIN_CODE: usize = 4;
/// 4 MiB of memory and two passes: a Raspberry Pi Zero bears it (docs/figures.md).
const MEMORY_KIB: u32 = 4096;
const PASSES: u32 = 2;
/// A file must not make the station work for minutes, or use all of its memory.
const MAX_MEMORY_KIB: u32 = 65_536;
const MAX_PASSES: u32 = 8;
const MAX_FILE_BYTES: u64 = 1024;

/// The salted hash of a code.
#[derive(Debug, Clone)]
pub struct CodeHash {
    work: Work,
    output: Output,
}

/// What it takes to compute a hash. Codes that share it are all compared with one computation.
#[derive(Debug, Clone)]
pub struct Work {
    params: Params,
    salt: Salt,
}

/// Why a file holds no hash of a code.
#[derive(Debug, thiserror::Error)]
pub enum CodeHashError {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("does not hold what `callbox code hash` prints")]
    NotAHash,
    #[error("demands more memory or time than a station has (at most m={MAX_MEMORY_KIB}, t={MAX_PASSES}, p=1)")]
    TooDear,
}

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("a code has {MIN_CODE} to {MAX_CODE} characters")]
    Length,
    #[error("a code has digits and letters alone: a keypad ends it with # or Enter, and clears it with *")]
    Characters,
    #[error("the hash cannot be computed: {0}")]
    Failed(argon2::Error),
}

/// A code as readers type it: letters are upper-case.
///
/// # Errors
///
/// It is too short, too long, or has characters that no reader types.
pub fn code(text: &str) -> Result<String, CodeError> {
    let text = text.trim().to_ascii_uppercase();
    if !text.chars().all(|character| character.is_ascii_alphanumeric()) {
        return Err(CodeError::Characters);
    }
    if !(MIN_CODE..=MAX_CODE).contains(&text.len()) {
        return Err(CodeError::Length);
    }
    Ok(text)
}

impl Work {
    /// The usual work, with a salt of its own.
    pub fn new(salt: [u8; 16]) -> Option<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(Params::DEFAULT_OUTPUT_LEN)).ok()?;
        Some(Self { params, salt: Salt::new(&salt).ok()? })
    }

    /// Computes the hash of a code. It takes some milliseconds on a computer, and a fifth of a second on a small board.
    ///
    /// # Errors
    ///
    /// There is not enough memory.
    pub fn hash(&self, code: &str) -> Result<CodeHash, CodeError> {
        let length = self.params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut bytes = vec![0; length];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        argon2.hash_password_into(code.as_bytes(), self.salt.as_ref(), &mut bytes).map_err(CodeError::Failed)?;
        let output = Output::new(&bytes).map_err(|_| CodeError::Length)?;
        Ok(CodeHash { work: self.clone(), output })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.salt == other.salt
            && (self.params.m_cost(), self.params.t_cost(), self.params.output_len())
                == (other.params.m_cost(), other.params.t_cost(), other.params.output_len())
    }
}

impl CodeHash {
    /// Reads a file of a code.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, CodeHashError> {
        crate::regular_file::read_text(path, MAX_FILE_BYTES)?.trim().parse()
    }

    pub fn work(&self) -> &Work {
        &self.work
    }
}

/// The places of the hashes that are those of `code`. Each hash is compared, whatever the others say, and in a time that
/// does not depend on the code.
pub fn matching<'a>(code: &str, hashes: impl Iterator<Item = (usize, &'a CodeHash)>) -> Vec<usize> {
    let mut computed: Vec<CodeHash> = Vec::new();
    let mut found = Vec::new();
    for (place, hash) in hashes {
        let known = computed.iter().find(|one| one.work.is_same(&hash.work)).cloned();
        let Some(own) = known.or_else(|| hash.work.hash(code).ok()) else { continue };
        if own.output == hash.output {
            found.push(place);
        }
        if !computed.iter().any(|one| one.work.is_same(&own.work)) {
            computed.push(own);
        }
    }
    found
}

/// How many computations it takes to compare a code with these hashes.
pub fn computations<'a>(hashes: impl Iterator<Item = &'a CodeHash>) -> usize {
    let mut works: Vec<&Work> = Vec::new();
    for hash in hashes {
        if !works.iter().any(|work| work.is_same(&hash.work)) {
            works.push(&hash.work);
        }
    }
    works.len()
}

impl FromStr for CodeHash {
    type Err = CodeHashError;

    fn from_str(text: &str) -> Result<Self, CodeHashError> {
        let hash = PasswordHash::new(text).map_err(|_| CodeHashError::NotAHash)?;
        let params = Params::try_from(&hash).map_err(|_| CodeHashError::NotAHash)?;
        let is_ours = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
        let (Some(salt), Some(output), true) = (hash.salt, hash.hash, is_ours) else {
            return Err(CodeHashError::NotAHash);
        };
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() != 1 {
            return Err(CodeHashError::TooDear);
        }
        Ok(Self { work: Work { params, salt }, output })
    }
}

impl std::fmt::Display for CodeHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Work { params, salt } = &self.work;
        let (memory, passes) = (params.m_cost(), params.t_cost());
        write!(formatter, "$argon2id$v=19$m={memory},t={passes},p=1${}${}", salt.to_salt_string(), self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_its_hash_and_no_other_code_is() {
        let anna = Work::new([7; 16]).unwrap().hash("4711").unwrap();
        let text = anna.to_string();
        assert!(text.starts_with("$argon2id$v=19$m=4096,t=2,p=1$") && !text.contains("4711"), "{text}");
        let read: CodeHash = text.parse().unwrap();
        assert_eq!(matching("4711", [(3, &read)].into_iter()), [3]);
        assert_eq!(matching("4712", [(3, &read)].into_iter()), Vec::<usize>::new());
    }

    #[test]
    fn codes_that_share_their_salt_take_one_computation() {
        let work = Work::new([7; 16]).unwrap();
        let codes: Vec<CodeHash> = (1000..1050).map(|code| work.hash(&code.to_string()).unwrap()).collect();
        let own = Work::new([8; 16]).unwrap().hash("1049").unwrap();
        let all = || codes.iter().chain([&own]);
        assert_eq!(computations(all()), 2);
        assert_eq!(matching("1049", all().enumerate()), [49, 50]);
    }

    #[test]
    fn what_is_no_hash_or_would_stop_a_station_is_refused() {
        let good = Work::new([7; 16]).unwrap().hash("4711").unwrap().to_string();
        for text in ["", "4711", "$argon2id$", "$argon2i$v=19$m=4096,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAA", &good[..40]]
        {
            assert!(text.parse::<CodeHash>().is_err(), "{text}");
        }
        for dear in ["m=9999999,t=2", "m=4096,t=100"] {
            let text = good.replace("m=4096,t=2", dear);
            assert!(matches!(text.parse::<CodeHash>(), Err(CodeHashError::TooDear)), "{text}");
        }
    }

    #[test]
    fn codes_are_those_that_a_reader_can_type() {
        assert_eq!(code(" 04af39\n").as_deref(), Ok("04AF39"));
        assert_eq!(code("123"), Err(CodeError::Length));
        assert_eq!(code(&"1".repeat(33)), Err(CodeError::Length));
        for text in ["12#34", "12 34", "12é4"] {
            assert_eq!(code(text), Err(CodeError::Characters), "{text}");
        }
    }
}
