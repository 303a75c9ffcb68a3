//! SIP status codes (RFC 3261, section 21) that callbox acts on or sends.

pub const RINGING: i64 = 180;
pub const SESSION_PROGRESS: i64 = 183;
pub const OK: i64 = 200;
pub const FORBIDDEN: i64 = 403;
pub const REQUEST_TIMEOUT: i64 = 408;
pub const GONE: i64 = 410;
pub const TEMPORARILY_UNAVAILABLE: i64 = 480;
/// "Call/Transaction Does Not Exist".
pub const NO_SUCH_CALL: i64 = 481;
pub const BUSY_HERE: i64 = 486;
pub const REQUEST_TERMINATED: i64 = 487;
pub const NOT_ACCEPTABLE_HERE: i64 = 488;
/// Both sides have sent a re-INVITE at once (section 14.1).
pub const REQUEST_PENDING: i64 = 491;
pub const SERVER_INTERNAL_ERROR: i64 = 500;
pub const SERVICE_UNAVAILABLE: i64 = 503;
pub const DECLINE: i64 = 603;
