//! Passwords, tokens, and a limit on guesses.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::accounts::Account;

/// Tokens of one account; the oldest goes first.
const MAX_TOKENS: usize = 16;
/// Wrong passwords from one address, or for one account, within the window.
const MAX_FAILURES: usize = 5;
/// The window of wrong passwords.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Failures that are remembered at all.
const MAX_REMEMBERED: usize = 1024;

/// Logins of the session API and of the front panel.
pub(super) struct Auth {
    accounts: Vec<Account>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Token and number, oldest first.
    tokens: VecDeque<(String, String)>,
    failures: VecDeque<(Instant, IpAddr, String)>,
}

/// Why a login failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LoginError {
    Incorrect,
    /// Too many wrong passwords: not before this long.
    Limited(Duration),
    /// The system has no randomness.
    NoRandom(String),
}

impl Auth {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        Self { accounts, state: Mutex::default() }
    }

    /// The account's number where the password is right.
    pub(super) fn check(&self, login: &str, password: &str, from: IpAddr) -> Result<String, LoginError> {
        self.check_at(login, password, from, Instant::now())
    }

    fn check_at(&self, login: &str, password: &str, from: IpAddr, now: Instant) -> Result<String, LoginError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures.retain(|(at, _, _)| now.duration_since(*at) < FAILURE_WINDOW);
        let recent: Vec<Instant> = state
            .failures
            .iter()
            .filter(|(_, address, account)| *address == from || account == login)
            .map(|(at, _, _)| *at)
            .collect();
        if let (true, Some(oldest)) = (recent.len() >= MAX_FAILURES, recent.first()) {
            return Err(LoginError::Limited(FAILURE_WINDOW.saturating_sub(now.duration_since(*oldest))));
        }
        let account = self.accounts.iter().find(|account| account.number == login);
        // An unknown account takes the same way as a wrong password.
        let expected = account.map_or("", |account| account.password.as_str());
        let right = bool::from(expected.as_bytes().ct_eq(password.as_bytes()));
        match account {
            Some(account) if right => Ok(account.number.clone()),
            _ => {
                if state.failures.len() >= MAX_REMEMBERED {
                    state.failures.pop_front();
                }
                state.failures.push_back((now, from, login.chars().take(64).collect()));
                Err(LoginError::Incorrect)
            }
        }
    }

    /// Logs in.
    pub(super) fn log_in(&self, login: &str, password: &str, from: IpAddr) -> Result<String, LoginError> {
        let number = self.check(login, password, from)?;
        self.new_token(&number).map_err(LoginError::NoRandom)
    }

    /// A new, URL-safe token of an account.
    pub(super) fn new_token(&self, number: &str) -> Result<String, String> {
        let token = random_text(40)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let own = state.tokens.iter().filter(|(_, of)| of == number).count();
        if own >= MAX_TOKENS
            && let Some(oldest) = state.tokens.iter().position(|(_, of)| of == number)
        {
            state.tokens.remove(oldest);
        }
        state.tokens.push_back((token.clone(), number.to_owned()));
        Ok(token)
    }

    /// The account of a token.
    pub(super) fn number(&self, token: &str) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .tokens
            .iter()
            .find(|(known, _)| bool::from(known.as_bytes().ct_eq(token.as_bytes())))
            .map(|(_, number)| number.clone())
    }

    /// Makes a token worthless; gives its account.
    pub(super) fn revoke(&self, token: &str) -> Option<String> {
        let number = self.number(token)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens.retain(|(known, _)| known != token);
        Some(number)
    }

    /// The account's name.
    pub(super) fn name(&self, number: &str) -> Option<&str> {
        self.accounts.iter().find(|account| account.number == number).map(|account| account.name.as_str())
    }
}

/// Random letters and digits.
pub(super) fn random_text(length: usize) -> Result<String, String> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        // Bytes that are no letter or digit are left out, so that all are equally likely.
        let characters = bytes.iter().map(|byte| char::from(byte & 0x7F)).filter(char::is_ascii_alphanumeric);
        text.extend(characters.take(length - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn auth() -> Auth {
        Auth::new(vec![Account { number: "100".into(), name: "A".into(), password: "right".into() }])
    }

    #[test]
    fn the_sixth_guess_is_not_looked_at_even_if_it_is_right() {
        let (auth, now) = (auth(), Instant::now());
        for _ in 0..MAX_FAILURES {
            assert_eq!(auth.check_at("100", "wrong", HOME, now), Err(LoginError::Incorrect));
        }
        assert!(matches!(auth.check_at("100", "right", HOME, now), Err(LoginError::Limited(_))));
        let later = now + FAILURE_WINDOW;
        assert_eq!(auth.check_at("100", "right", HOME, later), Ok("100".into()));
    }

    #[test]
    fn an_account_that_does_not_exist_has_no_password_that_fits() {
        assert_eq!(auth().check("999", "", HOME), Err(LoginError::Incorrect));
    }

    #[test]
    fn a_revoked_token_is_worth_nothing() {
        let auth = auth();
        let token = auth.log_in("100", "right", HOME).unwrap();
        assert_eq!(auth.number(&token), Some("100".into()));
        assert_eq!(auth.revoke(&token), Some("100".into()));
        assert_eq!(auth.number(&token), None);
    }

    #[test]
    fn an_account_keeps_its_newest_tokens() {
        let auth = auth();
        let first = auth.new_token("100").unwrap();
        let rest: Vec<String> = (0..MAX_TOKENS).map(|_| auth.new_token("100").unwrap()).collect();
        assert_eq!(auth.number(&first), None);
        assert!(rest.iter().all(|token| auth.number(token).is_some()));
    }
}
