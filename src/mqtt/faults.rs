//! Why there is no connection to the broker, in words.

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError, mqttbytes};

use crate::signaling::{ServerRole, tls_message};

/// A broker ends a connection when another client comes with its identifier.
const CLOSED: &str =
    "the broker has closed the connection; look whether another client has the identifier of this station";

/// The words for an error, with a remedy where there is one.
pub(super) fn message(error: &ConnectionError) -> String {
    // docs/workarounds.md, "libraries: error texts are for programmers".
    tracing::debug!(%error, "MQTT");
    match error {
        ConnectionError::ConnectionRefused(code) => refusal(*code).to_owned(),
        ConnectionError::Io(error)
        | ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::MqttState(StateError::Io(error)) => io_message(error),
        ConnectionError::Tls(_) => "TLS cannot be set up; look at control.mqtt_url and control.mqtt_ca_file".to_owned(),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "the broker does not answer".to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker does not answer any more".to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => CLOSED.to_owned(),
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::PayloadSizeLimitExceeded(_))) => {
            "the broker passes on a message that is far too long for a command; delete it, if it is retained".to_owned()
        }
        ConnectionError::NotConnAck(_) | ConnectionError::MqttState(_) => {
            "what answers there is no MQTT broker, or a broken one".to_owned()
        }
        ConnectionError::RequestsDone => "the connection has ended".to_owned(),
    }
}

fn io_message(error: &std::io::Error) -> String {
    tls_message(error, ServerRole::Broker).unwrap_or_else(|| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused: no broker listens there".to_owned(),
        std::io::ErrorKind::UnexpectedEof
        | std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::ConnectionAborted => CLOSED.to_owned(),
        _ => crate::plain_text::shortened(&error.to_string()),
    })
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "the broker refuses the login; look at control.mqtt_user and control.mqtt_password_file"
        }
        ConnectReturnCode::ServiceUnavailable => "the broker is not ready",
        ConnectReturnCode::BadClientId => "the broker refuses the station's identifier; set core.identifier",
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not know MQTT 3.1.1",
        ConnectReturnCode::Success => "the broker has closed the connection",
    }
}
