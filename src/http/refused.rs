//! Why a request is not looked at.

/// Why a request is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It names another server.
    ForeignHost,
    /// It comes from a web page of another server.
    ForeignOrigin,
    BodyTooLarge,
    BodyTooSlow,
    BrokenBody,
}
