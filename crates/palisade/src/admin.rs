//! Calls of a running gateway's admin API.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use palisade_config::{Secrets, Seed};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::cli::Source;
use crate::exit::Exit;
use crate::source;

/// How long a call may take: longer than the gateway waits for its store.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer: all limits with all their plans.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Where a gateway listens to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gateway {
    /// At `127.0.0.1:9901`.
    Listener(String),
    /// At the control socket of its state directory.
    Control(PathBuf),
}

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The address is none.
    #[error("that is no address of an admin listener: write http://127.0.0.1:9901")]
    Address,
    /// The configuration has no admin listener.
    #[error("the configuration says `[admin] listen = false`, so there is nobody to ask")]
    NoListener,
    /// The configuration can't be read.
    #[error("the configuration is invalid, so nobody knows where the gateway is: say it with --admin URL")]
    Config,
    /// The gateway can't be reached, or is none.
    #[error("no gateway answers at {place}: {why}")]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// It refused.
    #[error("{code}: {detail}")]
    Refused {
        /// The reason's code.
        code: String,
        /// What it said.
        detail: String,
    },
}

impl CallError {
    /// Says so to the person who typed the command.
    pub(crate) fn complain(&self) -> Exit {
        eprintln!("palisade: {self}");
        match self {
            Self::Refused { code, .. } => {
                eprintln!("Try: palisade explain {code}");
                Exit::Findings
            }
            Self::Unreachable { .. } => {
                eprintln!("Is it running? --admin URL says where else.");
                Exit::Unreachable
            }
            Self::NoListener => Exit::Unreachable,
            Self::Config => Exit::Config,
            Self::Address => Exit::Usage,
        }
    }
}

impl Gateway {
    /// The one at this address, or the one of the configuration: by its control socket if it has one.
    pub(crate) fn find(admin: Option<&str>, from: &Source) -> Result<Self, CallError> {
        let Some(url) = admin else { return Self::configured(from) };
        let uri: Uri = url.parse().map_err(|_| CallError::Address)?;
        let is_plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        match uri.authority().filter(|authority| is_plain && !authority.as_str().contains('@')) {
            Some(authority) if authority.port().is_some() => Ok(Self::Listener(authority.to_string())),
            Some(authority) => Ok(Self::Listener(format!("{authority}:80"))),
            None => Err(CallError::Address),
        }
    }

    /// Secrets are not needed to know where it is, and neither is a file.
    fn configured(from: &Source) -> Result<Self, CallError> {
        let inputs = match source::inputs(from, None) {
            Ok(inputs) => inputs,
            Err(source::SourceError::NoFile) => source::defaults(),
            Err(source::SourceError::Environment(_)) => return Err(CallError::Config),
        };
        let read = palisade_config::load(&inputs.secrets(Secrets::Skip), Seed([0; 16]));
        let (snapshot, _) = read.map_err(|_| CallError::Config)?;
        let control = snapshot.state.as_ref().map(|state| state.join(palisade_server::CONTROL));
        if let Some(control) = control.filter(|control| control.exists()) {
            return Ok(Self::Control(control));
        }
        let listen = snapshot.admin.listen.ok_or(CallError::NoListener)?;
        Ok(Self::Listener(listen.to_string()))
    }

    /// Makes a call below `/api/v1/`.
    pub(crate) fn call(&self, method: Method, path: &str, content: Option<&Value>) -> Result<Value, CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.unreachable(&error.to_string()))?;
        let call = async {
            match timeout(PATIENCE, self.send(method, path, content)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(why)) => Err(self.unreachable(&why.to_string())),
                Err(_) => Err(self.unreachable("it takes too long")),
            }
        };
        let (status, answer) = runtime.block_on(call)?;
        let read: Option<Value> = serde_json::from_slice(&answer).ok();
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        match read {
            // Whatever else answers there has neither.
            Some(answer) if status.is_success() && (answer.get("limit").or(answer.get("limits"))).is_some() => {
                Ok(answer)
            }
            Some(problem) if text(&problem, "code").is_some() => {
                let detail = text(&problem, "detail").or_else(|| text(&problem, "title")).unwrap_or_default();
                Err(CallError::Refused { code: text(&problem, "code").unwrap_or_default(), detail })
            }
            Some(_) | None => Err(self.unreachable("what answers there is no gateway")),
        }
    }

    fn unreachable(&self, why: &str) -> CallError {
        CallError::Unreachable { place: self.to_string(), why: why.to_owned() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let (mut sender, host) = match self {
            Self::Listener(authority) => (over(TcpStream::connect(authority).await?).await?, &**authority),
            Self::Control(path) => (over(UnixStream::connect(path).await?).await?, "localhost"),
        };
        let request = Request::builder().method(method).uri(format!("/api/v1/{path}")).header(HOST, host);
        let body = content.map(Value::to_string).unwrap_or_default();
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body)))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let answer = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok((head.status, answer))
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(authority) => write!(f, "http://{authority}"),
            Self::Control(path) => write!(f, "{}", path.display()),
        }
    }
}

async fn over<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_is_an_address() {
        let find = |url: &str| {
            let source = Source { config: None, env: None };
            Gateway::find(Some(url), &source).ok().map(|gateway| gateway.to_string())
        };
        assert_eq!(find("http://127.0.0.1:9901").as_deref(), Some("http://127.0.0.1:9901"));
        assert_eq!(find("http://[::1]:9901/").as_deref(), Some("http://[::1]:9901"));
        assert_eq!(find("http://ops").as_deref(), Some("http://ops:80"));
        for url in
            ["", "127.0.0.1:9901", "https://ops", "http://ops/console", "http://ops?x", "ftp://ops", "http://me:pw@ops"]
        {
            assert_eq!(find(url), None, "{url}");
        }
    }
}
