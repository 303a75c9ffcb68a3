//! The DTLS certificate of a call.

use std::time::{Duration, SystemTime};

use rtc::peer_connection::certificate::CertificateParams;
use tokio::sync::Mutex;
use webrtc::peer_connection::RTCCertificate;

use super::MediaError;

/// A certificate that expires within this time is replaced.
const CERTIFICATE_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// The DTLS certificate of one call. It is generated when it is first needed, and used by every peer connection of the
/// call.
#[derive(Default)]
pub(super) struct Identity(Mutex<Option<RTCCertificate>>);

impl Identity {
    pub(super) async fn certificate(&self) -> Result<RTCCertificate, MediaError> {
        let mut kept = self.0.lock().await;
        let fresh = |certificate: &RTCCertificate| certificate.expires > SystemTime::now() + CERTIFICATE_MARGIN;
        if let Some(certificate) = kept.as_ref().filter(|certificate| fresh(certificate)) {
            return Ok(certificate.clone());
        }
        const MAKE: &str = "make a DTLS certificate";
        let provider = rtc::crypto::default_provider().map_err(MediaError::library(MAKE))?;
        let parameters = CertificateParams::new(vec!["callbox".to_owned()]).map_err(MediaError::library(MAKE))?;
        let scheme = rtc::crypto::SignatureScheme::EcdsaP256Sha256;
        let certificate =
            RTCCertificate::generate(provider.crypto(), scheme, parameters).map_err(MediaError::library(MAKE))?;
        *kept = Some(certificate.clone());
        Ok(certificate)
    }
}
