//! `[store]`: where what has to last is kept, and where counters live that several gateways share.

use std::path::{Path, PathBuf};

use palisade_core::config::{Code, Fault, Problem, Problems, SecretRef, Setting, Shape, Text, TextOr};
use palisade_core::section;
use palisade_core::store::RedisAddress;

use crate::inputs::{Inputs, Secrets};
use crate::secrets;

section! {
    /// Where what has to last is kept, and where counters live that several gateways share.
    pub struct RawStore {
        /// The state directory: what has to survive a restart, such as spent limits and bans. Made if
        /// it is not there, for the gateway's user alone. One gateway runs on it at a time. By default
        /// `$STATE_DIRECTORY`, which systemd sets, else `.palisade` beside the file; without a file,
        /// nowhere. Applies at start.
        directory: Option<Setting<String>>,
        /// Where counters live that several gateways share. Without it each gateway counts for itself, in
        /// its own memory. A Redis (6.2 or newer) or Valkey (7.2 or newer) server: `redis://host:6379`, with TLS
        /// `rediss://host:6379`, or `redis+unix:///path`. A number behind `/`, or behind a socket's
        /// `?db=`, picks the database. With a password, `redis://user:password@host:6379`, the whole
        /// address is a secret: `{ env = "REDIS_URL" }` or `{ file = "/path" }`. A user of its own needs the keys `palisade:*` and
        /// the commands `EVALSHA SCRIPT|LOAD TIME GET SET DEL PEXPIRE ZADD ZREM ZCARD ZREMRANGEBYSCORE HGETALL
        /// HSET HDEL HLEN HEXISTS HSCAN`, and `INFO` to be warned of a server that evicts. Bans and what `palisade limit set` gave live there,
        /// too: a server without persistence forgets them when it ends. Applies at start.
        counters: Option<Setting<TextOr<PublicAddress, SecretRef>>>,
    }
}

/// An address without a password, so that it may stand in a file.
#[derive(Clone, Debug)]
pub(crate) struct PublicAddress(RedisAddress);

impl Text for PublicAddress {
    fn parse(text: &str) -> Result<Self, Fault> {
        // The line may hold a password.
        let address = RedisAddress::parse(text).map_err(|error| Fault::invalid(error.to_string()).masked())?;
        if address.password.is_some() {
            let message = "holds a password: keep the whole address elsewhere, and write { env = \"REDIS_URL\" }";
            return Err(Fault::invalid(message).masked());
        }
        Ok(Self(address))
    }

    fn shape() -> Shape {
        let examples = &["redis://cache:6379", "rediss://cache:6379/1", "redis+unix:///run/valkey/valkey.sock"];
        Shape::Text { syntax: "address of a Redis or Valkey server".to_owned(), examples }
    }
}

/// Where counters are kept.
#[derive(Clone, Debug, Default)]
pub enum CounterStore {
    /// In this process.
    #[default]
    Memory,
    /// In a server that others use, too; `None` if secrets were not looked up.
    Shared(Option<RedisAddress>),
}

/// Where counters are, and the state directory; `None`: nothing is kept.
pub(crate) fn compile(raw: RawStore, inputs: &Inputs, problems: &mut Problems) -> (CounterStore, Option<PathBuf>) {
    let RawStore { directory, counters } = raw;
    let state = state(directory, inputs, problems);
    (store(counters, &inputs.directory, inputs.secrets, problems), state)
}

fn state(raw: Option<Setting<String>>, inputs: &Inputs, problems: &mut Problems) -> Option<PathBuf> {
    let Some(Setting { value, place }) = raw else { return inputs.state.clone() };
    if value.is_empty() {
        let problem = Problem::new(Code::InvalidValue, &place, "`store.directory` names no directory");
        problems.report(problem.label("for example \"/var/lib/palisade\""));
    }
    Some(inputs.directory.join(value))
}

fn store(
    counters: Option<Setting<TextOr<PublicAddress, SecretRef>>>,
    directory: &Path,
    secrets: Secrets,
    problems: &mut Problems,
) -> CounterStore {
    let Some(Setting { value, place }) = counters else { return CounterStore::Memory };
    match value {
        TextOr::Text(PublicAddress(address)) => CounterStore::Shared(Some(address)),
        TextOr::Table(_) if secrets == Secrets::Skip => CounterStore::Shared(None),
        TextOr::Table(reference) => {
            let reference = Setting { value: reference, place };
            let Some(secret) = secrets::resolve(&reference, directory, problems) else {
                return CounterStore::Shared(None);
            };
            let text = String::from_utf8_lossy(secret.reveal());
            let address = RedisAddress::parse(text.trim_end());
            let address = address.map_err(|error| {
                let message = format!("the secret of `{}` {error}", reference.place.key);
                problems.report(Problem::new(Code::InvalidValue, &reference.place, message));
            });
            CounterStore::Shared(address.ok())
        }
    }
}
