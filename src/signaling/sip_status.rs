//! SIP status codes (RFC 3261, section 21, unless stated otherwise) that callbox acts on, sends or explains.

pub const RINGING: i64 = 180;
pub const SESSION_PROGRESS: i64 = 183;
pub const OK: i64 = 200;
pub const BAD_REQUEST: i64 = 400;
pub const UNAUTHORIZED: i64 = 401;
pub const FORBIDDEN: i64 = 403;
pub const NOT_FOUND: i64 = 404;
pub const PROXY_AUTHENTICATION_REQUIRED: i64 = 407;
pub const REQUEST_TIMEOUT: i64 = 408;
pub const GONE: i64 = 410;
pub const REQUEST_URI_TOO_LONG: i64 = 414;
pub const UNSUPPORTED_MEDIA_TYPE: i64 = 415;
pub const UNSUPPORTED_URI_SCHEME: i64 = 416;
/// RFC 5626, section 11.6: the connection to the phone has failed.
pub const FLOW_FAILED: i64 = 430;
/// RFC 5079
pub const ANONYMITY_DISALLOWED: i64 = 433;
pub const TEMPORARILY_UNAVAILABLE: i64 = 480;
/// "Call/Transaction Does Not Exist".
pub const NO_SUCH_CALL: i64 = 481;
pub const ADDRESS_INCOMPLETE: i64 = 484;
pub const AMBIGUOUS: i64 = 485;
pub const BUSY_HERE: i64 = 486;
pub const REQUEST_TERMINATED: i64 = 487;
pub const NOT_ACCEPTABLE_HERE: i64 = 488;
/// Both sides have sent a re-INVITE at once (section 14.1).
pub const REQUEST_PENDING: i64 = 491;
pub const SERVER_INTERNAL_ERROR: i64 = 500;
pub const SERVICE_UNAVAILABLE: i64 = 503;
pub const BUSY_EVERYWHERE: i64 = 600;
pub const DECLINE: i64 = 603;
pub const DOES_NOT_EXIST_ANYWHERE: i64 = 604;
/// RFC 8197
pub const UNWANTED: i64 = 607;
/// RFC 8688
pub const REJECTED: i64 = 608;
