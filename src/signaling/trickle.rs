//! ICE candidates as they travel in `ice_trickle` (RFC 8838).

use crate::secret::Sdp;
use serde::{Deserialize, Serialize};

/// An ICE candidate, or the end of candidates (RFC 8838).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Option<CandidateFields>", into = "Option<CandidateFields>")]
pub enum Trickle {
    Candidate(Candidate),
    /// The end of candidates: `null`, or `{"completed":true}`.
    #[default]
    Completed,
}

/// One ICE candidate in `ice_trickle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The candidate attribute without `a=`.
    pub candidate: Sdp,
    /// The identification of the m-line; media servers leave it out (docs/workarounds.md, "janus: candidates come
    /// without a mid").
    pub sdp_mid: Option<String>,
    /// The index of the m-line.
    #[serde(rename = "sdpMLineIndex")]
    pub sdp_m_line_index: Option<u16>,
}

#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<Sdp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sdp_mid: Option<String>,
    #[serde(default, rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    sdp_m_line_index: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed: Option<bool>,
}

impl From<Option<CandidateFields>> for Trickle {
    fn from(fields: Option<CandidateFields>) -> Self {
        match fields {
            Some(CandidateFields { candidate: Some(candidate), sdp_mid, sdp_m_line_index, .. })
                if !candidate.is_empty() =>
            {
                Self::Candidate(Candidate { candidate, sdp_mid, sdp_m_line_index })
            }
            _ => Self::Completed,
        }
    }
}

impl From<Trickle> for Option<CandidateFields> {
    fn from(trickle: Trickle) -> Self {
        Some(match trickle {
            Trickle::Candidate(Candidate { candidate, sdp_mid, sdp_m_line_index }) => {
                CandidateFields { candidate: Some(candidate), sdp_mid, sdp_m_line_index, completed: None }
            }
            Trickle::Completed => CandidateFields { completed: Some(true), ..CandidateFields::default() },
        })
    }
}
