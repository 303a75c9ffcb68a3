//! The accounts that can log in.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// An account of the sandbox.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The number, which is also the login.
    pub number: String,
    /// The name that the called side sees.
    pub name: String,
    pub password: String,
}

/// Why a file contains no usable accounts.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}; write [[account]] tables with number, name and password", path = path.display())]
pub struct AccountsError {
    path: PathBuf,
    problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    account: Vec<Account>,
}

/// The accounts 100 to 109. Everybody knows their password, so they are for loopback only.
pub fn default_accounts() -> Vec<Account> {
    (100..110)
        .map(|number| Account {
            number: number.to_string(),
            name: format!("Phone {number}"),
            password: "callbox".into(),
        })
        .collect()
}

/// Reads the `[[account]]` tables of a TOML file.
///
/// # Errors
///
/// The file cannot be read or parsed, it contains no account, or an account has no password or an invalid or repeated
/// number.
pub fn load_accounts(path: &Path) -> Result<Vec<Account>, AccountsError> {
    let error = |problem: String| AccountsError { path: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|problem| error(problem.to_string()))?;
    let file: File = config::Config::builder()
        .add_source(config::File::from_str(&text, config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|problem| error(problem.to_string()))?;
    for (index, account) in file.account.iter().enumerate() {
        if !crate::config::is_number(&account.number) {
            return Err(error(format!("\"{}\" is not a number", account.number)));
        }
        if account.password.is_empty() {
            return Err(error(format!("the account {} has no password", account.number)));
        }
        if file.account.iter().take(index).any(|other| other.number == account.number) {
            return Err(error(format!("the account {} appears twice", account.number)));
        }
    }
    if file.account.is_empty() {
        return Err(error("there is no account".into()));
    }
    Ok(file.account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Vec<Account>, AccountsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load_accounts(file.path())
    }

    #[test]
    fn accounts_are_read_from_a_file() {
        let accounts = load("[[account]]\nnumber = \"201\"\nname = \"Flat 1\"\npassword = \"p\"\n").unwrap();
        assert_eq!(accounts.len(), 1);
        assert_eq!(accounts[0].name, "Flat 1");
    }

    #[test]
    fn accounts_that_cannot_work_are_refused_with_their_number() {
        let twice = "[[account]]\nnumber = \"201\"\nname = \"A\"\npassword = \"p\"\n".repeat(2);
        assert!(load(&twice).err().unwrap().to_string().contains("201 appears twice"));
        assert!(load("[[account]]\nnumber = \"201\"\nname = \"A\"\npassword = \"\"\n").is_err());
        assert!(load("").is_err());
    }
}
