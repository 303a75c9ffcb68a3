//! Passwords, tokens, and a limit on guesses.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::accounts::Account;
use crate::http::Attempts;

/// Tokens of one account with one scope. A further token replaces the oldest one.
const MAX_TOKENS: usize = 16;
/// The use of a token. A token is valid only for its own scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The session API and the signaling of a client.
    Session,
    Panel,
    /// The signaling of the sandbox's own station. Such a token does not expire, and other logins do not replace it.
    Station,
}

impl Scope {
    fn life(self) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        match self {
            Self::Session => 30 * DAY,
            Self::Panel => DAY / 2,
            Self::Station => Duration::MAX,
        }
    }
}

struct Token {
    text: String,
    number: String,
    scope: Scope,
    made: Instant,
}

impl Token {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.made) < self.scope.life()
    }
}

/// The logins of the session API and of the front panel, and their tokens.
pub(super) struct Auth {
    accounts: Vec<Account>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Oldest first.
    tokens: VecDeque<Token>,
    attempts: Attempts,
}

/// Why a login failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LoginError {
    Incorrect,
    /// Too many wrong passwords: the next attempt is possible after this time.
    Limited(Duration),
    /// The system provides no random numbers.
    NoRandom(String),
}

impl Auth {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        Self { accounts, state: Mutex::default() }
    }

    /// Checks a login, and returns the number of its account.
    pub(super) fn check(&self, login: &str, password: &str, from: IpAddr) -> Result<String, LoginError> {
        self.check_at(login, password, from, Instant::now())
    }

    /// Wrong passwords slow down the network that they come from; the account stays open for everybody else.
    fn check_at(&self, login: &str, password: &str, from: IpAddr, now: Instant) -> Result<String, LoginError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = state.attempts.wait(from, now);
        if !wait.is_zero() {
            return Err(LoginError::Limited(wait));
        }
        let account = self.accounts.iter().find(|account| account.number == login);
        // An unknown account takes the same path as a wrong password.
        let expected = account.map_or("", |account| account.password.as_str());
        let right = bool::from(expected.as_bytes().ct_eq(password.as_bytes()));
        match account {
            Some(account) if right => {
                state.attempts.succeeded(from);
                Ok(account.number.clone())
            }
            _ => {
                state.attempts.failed(from, now);
                Err(LoginError::Incorrect)
            }
        }
    }

    /// Checks a login, and makes a token for it.
    pub(super) fn log_in(&self, login: &str, password: &str, from: IpAddr, scope: Scope) -> Result<String, LoginError> {
        let number = self.check(login, password, from)?;
        self.new_token(&number, scope).map_err(LoginError::NoRandom)
    }

    /// Makes a new, URL-safe token for an account.
    pub(super) fn new_token(&self, number: &str, scope: Scope) -> Result<String, String> {
        let text = random_text(40)?;
        let made = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens.retain(|token| token.lives(made));
        let same = |token: &Token| token.number == number && token.scope == scope;
        if state.tokens.iter().filter(|token| same(token)).count() >= MAX_TOKENS
            && let Some(oldest) = state.tokens.iter().position(same)
        {
            state.tokens.remove(oldest);
        }
        state.tokens.push_back(Token { text: text.clone(), number: number.to_owned(), scope, made });
        Ok(text)
    }

    /// The account number of a token that is valid for one of these scopes.
    pub(super) fn number(&self, token: &str, scopes: &[Scope]) -> Option<String> {
        self.number_at(token, scopes, Instant::now())
    }

    fn number_at(&self, token: &str, scopes: &[Scope], now: Instant) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.tokens.iter().find(|known| bool::from(known.text.as_bytes().ct_eq(token.as_bytes())))?;
        (scopes.contains(&found.scope) && found.lives(now)).then(|| found.number.clone())
    }

    /// Revokes a client's token, and returns the number of its account.
    pub(super) fn revoke(&self, token: &str) -> Option<String> {
        let number = self.number(token, &[Scope::Session])?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens.retain(|known| known.text != token);
        Some(number)
    }

    pub(super) fn name(&self, number: &str) -> Option<&str> {
        self.accounts.iter().find(|account| account.number == number).map(|account| account.name.as_str())
    }
}

/// A text of random letters and digits.
pub(super) fn random_text(length: usize) -> Result<String, String> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        // Bytes that are not a letter or a digit are left out, so that all characters are equally likely.
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
    fn wrong_passwords_slow_a_network_down_and_nobody_else() {
        let (auth, now) = (auth(), Instant::now());
        let wrong = |now| auth.check_at("100", "wrong", HOME, now);
        for _ in 0..5 {
            assert_eq!(wrong(now), Err(LoginError::Incorrect));
        }
        assert_eq!(auth.check_at("100", "right", HOME, now), Err(LoginError::Limited(Duration::from_secs(2))));
        assert_eq!(auth.check_at("100", "right", IpAddr::from([192, 0, 2, 7]), now), Ok("100".into()));
        let mut at = now + Duration::from_secs(2);
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(wrong(at), Err(LoginError::Incorrect));
            let Err(LoginError::Limited(wait)) = wrong(at) else { panic!("no wait") };
            waits.push(wait.as_secs());
            at += wait;
        }
        assert_eq!(waits, [4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300, 300]);
        assert_eq!(auth.check_at("100", "right", HOME, at), Ok("100".into()), "the account is never locked");
    }

    #[test]
    fn a_network_of_many_addresses_is_one() {
        let (auth, now) = (auth(), Instant::now());
        let from = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
        for host in 0..5 {
            assert_eq!(auth.check_at("100", "wrong", from(host), now), Err(LoginError::Incorrect));
        }
        assert!(matches!(auth.check_at("100", "right", from(99), now), Err(LoginError::Limited(_))));
        // An address of this network that has logged in is not slowed down by the others.
        let later = now + Duration::from_secs(300);
        assert_eq!(auth.check_at("100", "right", from(7), later), Ok("100".into()));
        let _ = auth.check_at("100", "wrong", from(8), later);
        assert!(matches!(auth.check_at("100", "right", from(9), later), Err(LoginError::Limited(_))));
        assert_eq!(auth.check_at("100", "right", from(7), later), Ok("100".into()));
    }

    #[test]
    fn an_account_that_does_not_exist_has_no_password_that_fits() {
        assert_eq!(auth().check("999", "", HOME), Err(LoginError::Incorrect));
    }

    #[test]
    fn a_revoked_token_is_worth_nothing() {
        let auth = auth();
        let token = auth.log_in("100", "right", HOME, Scope::Session).unwrap();
        assert_eq!(auth.number(&token, &[Scope::Session]), Some("100".into()));
        assert_eq!(auth.revoke(&token), Some("100".into()));
        assert_eq!(auth.number(&token, &[Scope::Session]), None);
    }

    #[test]
    fn a_token_is_good_for_its_use_and_its_time() {
        let auth = auth();
        let now = Instant::now();
        let all = [Scope::Session, Scope::Panel, Scope::Station];
        for scope in all {
            let token = auth.new_token("100", scope).unwrap();
            for other in all {
                assert_eq!(auth.number(&token, &[other]).is_some(), other == scope, "{scope:?} as {other:?}");
            }
            let month = now + Duration::from_secs(31 * 24 * 3600);
            assert_eq!(auth.number_at(&token, &all, month).is_some(), scope == Scope::Station);
        }
    }

    #[test]
    fn an_account_keeps_its_newest_tokens_and_the_station_its_own() {
        let auth = auth();
        let own = auth.new_token("100", Scope::Station).unwrap();
        let first = auth.new_token("100", Scope::Session).unwrap();
        let rest: Vec<String> = (0..MAX_TOKENS).map(|_| auth.new_token("100", Scope::Session).unwrap()).collect();
        assert_eq!(auth.number(&first, &[Scope::Session]), None);
        assert!(rest.iter().all(|token| auth.number(token, &[Scope::Session]).is_some()));
        assert!(auth.number(&own, &[Scope::Station]).is_some());
    }
}
