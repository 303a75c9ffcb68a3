//! Texts that know that they are secret.
//!
//! A recording replaces them by their type (`blackbox`), so that a new field of such a type cannot leak. Those that
//! nobody needs to read are not shown by `Debug` either.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

macro_rules! secret_text {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// The name that serde has for this type.
            pub(crate) const TYPE: &'static str = stringify!($name);

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(secret: $name) -> Self {
                secret.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }
    };
}

macro_rules! shown {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }
    };
}

macro_rules! hidden {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}(…)", Self::TYPE)
            }
        }
    };
}

secret_text! {
    /// A telephone number, with its domain where it is not of the account's own: `100`, `100@elsewhere.example`. Empty
    /// where nobody said it.
    PhoneNumber
}
shown!(PhoneNumber);

secret_text! {
    /// The name of a person or an account.
    PersonName
}
shown!(PersonName);

secret_text! {
    /// A session description (RFC 8866) or a part of one: it has addresses and ICE passwords.
    Sdp
}
shown!(Sdp);

secret_text! {
    /// The body of a SIP message that callbox only looks into.
    MessageBody
}
shown!(MessageBody);

secret_text! {
    /// Digits that open something.
    DoorCode
}
hidden!(DoorCode);

impl DoorCode {
    /// One more digit.
    pub fn push(&mut self, DtmfDigit(digit): DtmfDigit) {
        self.0.push(digit);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

secret_text! {
    /// What opens a session or a relay: a token, a password. It is in no recording at all.
    Credential
}
hidden!(Credential);

/// One digit that somebody typed: `0` to `9`, `*`, `#`, `A` to `D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtmfDigit(pub char);

impl fmt::Display for DtmfDigit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl DtmfDigit {
    /// The name that serde has for this type.
    pub(crate) const TYPE: &'static str = "DtmfDigit";
}
