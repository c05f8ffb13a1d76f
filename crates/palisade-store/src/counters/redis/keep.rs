//! Keeps the server in reach: connects, probes, tells that this gateway is there.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_core::Utc;
use tokio::time::{Instant, sleep, timeout};

use super::connect::{Connected, connect};
use super::figures::Evicts;
use super::link::Link;
use super::miss::Miss;
use super::overrides::CHANGED;
use super::resp::{Command, Reply};
use super::scripts::{Request, Scripts};
use super::{Known, Redis};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How often it is tried again, or probed.
const PROBE: Duration = Duration::from_millis(250);
/// A connection on which so many probes in a row got no answer is given up: its server may be gone
/// without a word.
const SILENT_PROBES: u32 = 8;
/// How often this gateway tells that it is there.
const PRESENCE: Duration = Duration::from_secs(1);
/// After so long without that it is gone.
const GONE_MS: u64 = 3_000;
/// How often slots are renewed, which live three times as long.
const RENEW: Duration = Duration::from_secs(10);

/// The set of gateways. No counter has this name: theirs begin with a hash.
const GATEWAYS: &[u8] = b"palisade:1:gateways";

impl Redis {
    /// Keeps the server in reach, for ever.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let miss = match timeout(CONNECT_MAX, connect(&self.address)).await {
                Ok(Ok(connected)) => self.tend(connected).await,
                Ok(Err(miss)) => miss,
                Err(_) => Miss::Timeout,
            };
            self.reach(None);
            self.known(|known| known.trouble = Some(miss));
            sleep(pause()).await;
        }
    }

    async fn tend(&self, connected: Connected) -> Miss {
        let Connected { link, scripts, driver } = connected;
        self.reach(Some(Arc::new((link.clone(), scripts))));
        tokio::select! {
            miss = driver => miss,
            miss = self.visit(&link, &scripts) => miss,
        }
    }

    /// Visits the server until it is silent for too long.
    async fn visit(&self, link: &Link, scripts: &Scripts) -> Miss {
        let (mut present, mut renewed) = (None::<Instant>, Instant::now());
        let mut silent = 0;
        let mut asked = None;
        let mut known = None;
        loop {
            let is_due = present.is_none_or(|present| present.elapsed() >= PRESENCE);
            if is_due || self.breaker.ask().is_err() {
                match self.tell_presence(link, scripts).await {
                    Ok(Present { gateways, changed }) => {
                        self.breaker.success();
                        self.gateways.store(gateways.max(1), Ordering::Relaxed);
                        (present, silent) = (Some(Instant::now()), 0);
                        // Until they are read the last known ones hold.
                        if known.as_ref() != Some(&changed) && self.learn_overrides(link, utc()).await.is_ok() {
                            known = Some(changed);
                        }
                    }
                    Err(miss) => {
                        self.figures.missed(miss);
                        self.breaker.miss(miss);
                        self.known(|known| known.trouble = Some(miss));
                        silent += u32::from(miss == Miss::Timeout);
                        if silent >= SILENT_PROBES {
                            return Miss::Timeout;
                        }
                    }
                }
            }
            if asked.is_none() && silent == 0 {
                asked = Some(());
                let evicts = timeout(CONNECT_MAX, evicts(link)).await.unwrap_or_default();
                self.known(|known| known.evicts = evicts);
            }
            if renewed.elapsed() >= RENEW {
                renewed = Instant::now();
                self.renew(link, scripts).await;
            }
            sleep(pause()).await;
        }
    }

    async fn tell_presence(&self, link: &Link, scripts: &Scripts) -> Result<Present, Miss> {
        let mut request = Request { keys: vec![GATEWAYS.into(), CHANGED.into()], ..Request::default() };
        request.arguments.push(self.name.as_bytes());
        request.arguments.number(GONE_MS);
        let reply = timeout(self.deadline, scripts.presence.run(link, &request)).await.unwrap_or(Err(Miss::Timeout))?;
        let Reply::List(list) = reply else { return Err(Miss::of(&reply)) };
        match &*list {
            [Reply::Number(count), Reply::Text(changed)] => {
                let gateways = u32::try_from(*count).map_err(|_| Miss::Garbled)?;
                Ok(Present { gateways, changed: changed.clone() })
            }
            _ => Err(Miss::Garbled),
        }
    }

    /// What gets lost is tried again long before a slot's life is over.
    async fn renew(&self, link: &Link, scripts: &Scripts) {
        for request in self.slots.renewals(&self.name, self.terms.slot_life_ms) {
            let renewed = timeout(CONNECT_MAX, scripts.renew.run(link, &request)).await.unwrap_or(Err(Miss::Timeout));
            if let Err(miss) = renewed {
                self.figures.missed(miss);
                return;
            }
        }
    }

    fn reach(&self, link: Option<Arc<(Link, Scripts)>>) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    fn known(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a gateway learns when it tells that it is there.
struct Present {
    gateways: u32,
    /// Which change of overrides was the last.
    changed: Box<[u8]>,
}

fn utc() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// 250 ms, a fifth more or less: gateways that lost the server together don't come back together.
fn pause() -> Duration {
    PROBE.mul_f64(fastrand::f64().mul_add(0.4, 0.8))
}

/// Whether the server may drop keys when its memory is used up.
async fn evicts(link: &Link) -> Evicts {
    let Ok(Reply::Text(info)) = link.call(Command::new("INFO").word(b"memory")).await else { return Evicts::Unknown };
    let info = String::from_utf8_lossy(&info);
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (value("maxmemory:"), value("maxmemory_policy:")) {
        (Some("0"), _) | (_, Some("noeviction")) => Evicts::Never,
        (_, Some(policy)) => Evicts::By(policy.into()),
        (_, None) => Evicts::Unknown,
    }
}
