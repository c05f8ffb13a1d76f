//! Gateways and a real server, and what hurts it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::pin::Pin;

use palisade_core::charge::{Fit, Outage, TableSize};
use palisade_core::overrides::Until;
use palisade_core::{KeyHash, Monotonic, Override, OverrideChange, Rate, Spend, Utc};
use palisade_testkit::redis::{Program, Server};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{item, keep, runtime, until};

/// A server of its own for each test and program.
fn each(test: impl Fn(Server)) {
    Program::ALL.map(Program::start).into_iter().for_each(test);
}

struct Gateway {
    redis: Arc<Redis>,
    runtime: Arc<Runtime>,
    keeper: JoinHandle<()>,
}

/// Long enough for a server on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_millis(500);

/// What came of one request.
#[derive(Debug, PartialEq)]
struct Came {
    fit: Fit,
    asked: Asked,
}

/// Whether the request had to wait for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Waited,
    AtOnce,
}

impl Gateway {
    fn start(url: &str) -> Self {
        let runtime = runtime();
        let address = RedisAddress::parse(url).unwrap();
        let redis = Redis::new(address, DEADLINE, Table::new(TableSize::MIN));
        let (redis, keeper) = keep(redis, &runtime);
        Self { redis, runtime, keeper }
    }

    fn up(url: &str) -> Self {
        let gateway = Self::start(url);
        gateway.until_up();
        gateway
    }

    fn until_up(&self) {
        until("up", || self.redis.health().state == State::Up);
    }

    fn until_trouble(&self, miss: Miss) {
        until("the trouble is known", || self.redis.health().trouble == Some(miss));
    }

    /// One request. A server that stands still never answers it, so that it ends shows the deadline.
    fn ask(&self, charge: Charge, outage: Outage) -> Came {
        let mut charges = Charges::default();
        charges.push(charge);
        let (mut verdicts, items) = (Verdicts::default(), [item("api", outage)]);
        let ask = Ask { charges: &charges, items: &items, patience: Patience::default(), now: now() };
        let (fit, asked) = match self.redis.take(&ask, &mut verdicts) {
            Taken::Told(_) => (verdicts.list[0].fit, Asked::AtOnce),
            Taken::Waits(waiting) => (self.runtime.block_on(waiting).verdicts.list[0].fit, Asked::Waited),
        };
        Came { fit, asked }
    }

    fn misses(&self, miss: Miss) -> u64 {
        self.redis.health().misses.iter().find(|(other, _)| *other == miss).unwrap().1
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn now() -> Now {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    Now { monotonic: Monotonic::from_nanos(nanos), utc: Utc::from_nanos(nanos) }
}

fn api(key: u128) -> Charge {
    let rate = Rate::new(5, Duration::from_secs(600), 5).unwrap();
    Charge {
        item: 0,
        key: KeyHash(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) << 64 | key),
        bound: Bound::Rate(rate),
        amount: 1,
        spend: Spend::Now,
    }
}

fn admitted(gateway: &Gateway, key: u128, requests: usize) -> usize {
    (0..requests).filter(|_| gateway.ask(api(key), Outage::Local).fit == Fit::Fits).count()
}

#[test]
fn two_gateways_admit_exactly_the_limit() {
    each(|server| {
        let gateways = [Gateway::up(&server.url()), Gateway::up(&server.url())];
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = gateways.iter().map(|gateway| scope.spawn(|| admitted(gateway, 1, 50))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 5);
    });
}

#[test]
fn a_server_that_stands_still_costs_three_waits() {
    each(|server| {
        let gateways = [Gateway::up(&server.url()), Gateway::up(&server.url())];
        until("both are known", || gateways.iter().all(|gateway| gateway.redis.health().gateways == 2));
        server.stop();
        for gateway in &gateways {
            let came: Vec<_> = (0..10).map(|_| gateway.ask(api(1), Outage::Local)).collect();
            let waited = came.iter().filter(|came| came.asked == Asked::Waited).count();
            assert!(waited <= 3, "{came:?}");
            assert_eq!(came.iter().filter(|came| came.fit == Fit::Fits).count(), 2, "half of five, rounded down");
            assert!(gateway.misses(Miss::Timeout) <= 3 + 10, "requests and some probes");
            let down = [Outage::Open, Outage::Closed].map(|outage| gateway.ask(api(1), outage));
            let at_once = |fit| Came { fit, asked: Asked::AtOnce };
            assert_eq!(down, [at_once(Fit::Waived), at_once(Fit::Unavailable)]);
        }
        server.go_on();
        gateways.iter().for_each(Gateway::until_up);
        assert_eq!(admitted(&gateways[0], 2, 3) + admitted(&gateways[1], 2, 50), 5, "counted together again");
    });
}

#[test]
fn a_server_that_was_killed_is_found_again() {
    for mut server in Program::ALL.map(Program::start) {
        let gateway = Gateway::up(&server.url());
        assert_eq!(admitted(&gateway, 1, 7), 5);
        server.kill();
        until("down", || gateway.redis.health().state == State::Down);
        assert_eq!(admitted(&gateway, 1, 7), 0, "what is known to be used up stays so");
        assert_eq!(admitted(&gateway, 2, 7), 5);
        server.start_again();
        gateway.until_up();
        assert_eq!(gateway.ask(api(3), Outage::Closed), Came { fit: Fit::Fits, asked: Asked::Waited });
    }
}

#[test]
fn a_pause_ends() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        assert_eq!(server.command("CLIENT PAUSE 3000 ALL"), "+OK");
        let first = gateway.ask(api(1), Outage::Closed);
        assert_eq!(first, Came { fit: Fit::Unavailable, asked: Asked::Waited });
        until("asked again", || gateway.ask(api(2), Outage::Closed).fit != Fit::Unavailable);
    });
}

#[test]
fn a_flush_frees_each_key_once() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        assert_eq!(admitted(&gateway, 1, 5), 5);
        assert_eq!(server.command("FLUSHALL"), "+OK");
        assert_eq!(admitted(&gateway, 1, 10), 5);
    });
}

#[test]
fn a_forgotten_script_is_told_again() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        for _ in 0..3 {
            assert_eq!(server.command("SCRIPT FLUSH"), "+OK");
            assert_eq!(gateway.ask(api(1), Outage::Closed), Came { fit: Fit::Fits, asked: Asked::Waited });
        }
    });
}

#[test]
fn what_is_used_up_is_not_asked_again() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        assert_eq!(admitted(&gateway, 1, 6), 5);
        let (began, before) = (std::time::Instant::now(), server.calls("evalsha"));
        assert_eq!(admitted(&gateway, 1, 1_000), 0);
        // One for each second of the request's own, and the gateway's word that it is there.
        let calls = server.calls("evalsha") - before;
        assert!(calls <= 2 * (began.elapsed().as_secs() + 1), "{calls} calls");
    });
}

#[test]
fn errors_are_misses_by_their_names() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        for (hurt, miss, heal) in [
            ("CONFIG SET maxmemory 1", Miss::OutOfMemory, "CONFIG SET maxmemory 0"),
            ("REPLICAOF 127.0.0.1 1", Miss::ReadOnly, "REPLICAOF NO ONE"),
        ] {
            assert_eq!(server.command(hurt), "+OK");
            assert_eq!(gateway.ask(api(1), Outage::Closed).fit, Fit::Unavailable, "{hurt}");
            gateway.until_trouble(miss);
            until("down", || gateway.ask(api(1), Outage::Closed).asked == Asked::AtOnce);
            assert_eq!(server.command(heal), "+OK");
            gateway.until_up();
            assert_eq!(gateway.ask(api(1), Outage::Closed).fit, Fit::Fits, "{heal}");
        }
        let wrong = format!(
            "SET {} x",
            String::from_utf8(request::key(api(9).key, Some(&item("api", Outage::Open))).into()).unwrap()
        );
        assert_eq!(server.command(&wrong), "+OK");
        assert_eq!(gateway.ask(api(9), Outage::Closed).fit, Fit::Unavailable);
        gateway.until_trouble(Miss::Error);
    });
}

#[test]
fn a_server_needs_its_password() {
    for server in Program::ALL.map(|program| program.start_with(&["--requirepass", "open sesame"])) {
        for given in ["", ":wrong@"] {
            let gateway = Gateway::start(&server.url().replace("://", &format!("://{given}")));
            gateway.until_trouble(Miss::Denied);
            assert_eq!(gateway.ask(api(1), Outage::Closed).fit, Fit::Unavailable);
        }
        let gateway = Gateway::up(&server.url().replace("://", "://:open%20sesame@"));
        assert_eq!(gateway.ask(api(1), Outage::Closed).fit, Fit::Fits);
    }
}

#[test]
fn a_database_is_its_own() {
    each(|server| {
        let (first, second) = (Gateway::up(&server.url()), Gateway::up(&format!("{}?db=3", server.url())));
        assert_eq!([admitted(&first, 1, 9), admitted(&second, 1, 9)], [5, 5]);
    });
}

#[test]
fn a_server_that_evicts_is_told_of() {
    for (options, evicts) in [
        (vec!["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"], Evicts::By("allkeys-lru".into())),
        (vec!["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"], Evicts::Never),
        (vec![], Evicts::Never),
    ] {
        for server in Program::ALL.map(|program| program.start_with(&options)) {
            let gateway = Gateway::up(&server.url());
            until("it is known", || gateway.redis.health().evicts == evicts);
        }
    }
}

#[test]
fn what_is_no_server_does_no_harm() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "$99999999999\r\n",
        "*1000\r\n*1000\r\n*1000\r\n*1000\r\n*1000\r\n*1000\r\n",
        ":1\r\n:1\r\n:1\r\n:1\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let gateway = Gateway::start(&url);
        gateway.until_trouble(Miss::Garbled);
        assert_eq!(admitted(&gateway, 1, 9), 5, "{answer:?}");
    }
}

#[test]
fn nobody_is_there_at_the_start() {
    let mut server = Program::Valkey.start();
    server.kill();
    let gateway = Gateway::start(&server.url());
    assert_eq!(admitted(&gateway, 1, 9), 5);
    server.start_again();
    gateway.until_up();
    assert_eq!(gateway.ask(api(2), Outage::Closed), Came { fit: Fit::Fits, asked: Asked::Waited });
}

/// Long enough that a busy machine renews in time.
const LIFE_MS: u64 = 1_500;

#[test]
fn slots_of_a_gateway_that_is_gone_are_free_again() {
    each(|server| {
        let slot = Charge { bound: Bound::Slots(1), ..api(1) };
        let short = |life| {
            let address = RedisAddress::parse(&server.url()).unwrap();
            let terms = Terms { slot_life_ms: life, ..Terms::default() };
            let runtime = runtime();
            let redis = Redis::on_terms(address, Duration::from_secs(1), Table::new(TableSize::MIN), terms);
            let (redis, keeper) = keep(redis, &runtime);
            let gateway = Gateway { redis, runtime, keeper };
            gateway.until_up();
            gateway
        };
        let (gone, stays) = (short(LIFE_MS), short(LIFE_MS));
        let crashed = Charge { bound: Bound::Slots(1), ..api(2) };
        assert_eq!(short(LIFE_MS).ask(crashed, Outage::Closed).fit, Fit::Fits);
        until("its slot is free", || stays.ask(crashed, Outage::Closed).fit == Fit::Fits);
        assert_eq!(gone.ask(slot, Outage::Closed).fit, Fit::Fits);
        assert_eq!(stays.ask(slot, Outage::Closed).fit, Fit::Spent);
        assert_eq!(gone.redis.slots.len(), 1);
        // It lives: its slot is still taken after several lives.
        let began = std::time::Instant::now();
        until("three lives are over", || {
            let ready = gone.redis.ready().unwrap();
            for request in gone.redis.slots.renewals(&gone.redis.name, LIFE_MS) {
                ready.0.post(ready.1.renew.with(&request)).unwrap();
            }
            assert_eq!(stays.ask(slot, Outage::Closed).fit, Fit::Spent);
            began.elapsed() > Duration::from_millis(3 * LIFE_MS)
        });
        drop(gone);
        until("the slot is free", || stays.ask(slot, Outage::Closed).fit == Fit::Fits);
    });
}

/// The server takes a slot for a request that nobody waits for any more.
#[test]
fn slots_of_an_abandoned_step_are_given_back() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        let slot = Charge { bound: Bound::Slots(1), ..api(1) };
        let mut charges = Charges::default();
        charges.push(slot);
        let items = [item("api", Outage::Closed)];
        let ask = Ask { charges: &charges, items: &items, patience: Patience::default(), now: now() };
        server.stop();
        let Taken::Waits(mut waiting) = gateway.redis.take(&ask, &mut Verdicts::default()) else {
            panic!("a shared store is waited for");
        };
        gateway.runtime.block_on(async {
            // Sent, and then the client leaves.
            let sent = std::future::poll_fn(|context| std::task::Poll::Ready(Pin::new(&mut waiting).poll(context)));
            assert!(sent.await.is_pending());
            until("the step is on its way", || gateway.redis.link().is_some_and(|ready| ready.0.is_sent()));
        });
        drop(waiting);
        server.go_on();
        until("the slot is free", || gateway.ask(slot, Outage::Closed).fit == Fit::Fits);
    });
}

/// The commands that the reference of `[store] counters` names are enough.
#[test]
fn a_user_of_its_own_needs_few_commands() {
    each(|server| {
        let allowed = "EVALSHA SCRIPT|LOAD TIME GET SET DEL PEXPIRE ZADD ZREM ZCARD ZREMRANGEBYSCORE HGETALL HSET \
                       HDEL HLEN HEXISTS HSCAN INFO";
        let rules: Vec<_> = allowed.split(' ').map(|command| format!("+{}", command.to_lowercase())).collect();
        let user = format!("ACL SETUSER palisade on >pw ~palisade:* -@all {}", rules.join(" "));
        assert_eq!(server.command(&user), "+OK");
        let url = server.url().replace("redis+unix://", "redis+unix://palisade:pw@");
        let gateway = Gateway::up(&url);
        assert_eq!(admitted(&gateway, 1, 7), 5);
        let slot = Charge { bound: Bound::Slots(1), ..api(2) };
        assert_eq!(gateway.ask(slot, Outage::Closed).fit, Fit::Fits);
        let life = 60_000_000_000;
        let spend = Spend::Reserve { life, unsettled: palisade_core::charge::Unsettled::Spend };
        assert_eq!(gateway.ask(Charge { spend, ..api(3) }, Outage::Closed).fit, Fit::Fits);
        until("presence is told", || gateway.redis.health().evicts != Evicts::Unknown);
        let ban = Some(Until { value: (), end: later() });
        let set = Override { limit: "api".into(), key: "ip".into(), rate: None, ban };
        gateway.runtime.block_on(gateway.redis.keep_override(KeyHash(7), &banning(ban))).unwrap();
        until("it is learned", || gateway.redis.table().overrides().all().find(KeyHash(7)) == Some(&set));
        gateway.runtime.block_on(gateway.redis.keep_override(KeyHash(7), &banning(None))).unwrap();
        until("it is gone", || gateway.redis.table().overrides().load().is_none());
        assert_eq!(gateway.misses(Miss::Denied), 0);
    });
}

fn banning(ban: Option<Until<()>>) -> OverrideChange {
    OverrideChange { limit: "api".into(), key: "ip".into(), rate: None, ban: Some(ban) }
}

/// In whole seconds, as stores keep it.
fn later() -> Utc {
    Utc::from_nanos((now().utc.as_nanos() / 1_000_000_000 + 60) * 1_000_000_000)
}

/// Whoever writes more than there may be, or something else, takes nothing down.
#[test]
fn more_overrides_than_may_be_are_no_trouble() {
    each(|server| {
        let script = "for i=1,24000 do redis.call('HSET','palisade:1:overrides',string.format('%032x:ban',i),'99999999999 {\"limit\":\"api\",\"key\":\"k\",\"ban_end\":99999999999}') end";
        let quoted = script.replace('\\', "\\\\").replace('"', "\\\"");
        assert_eq!(server.command(&format!("EVAL \"{quoted}\" 0")), "$-1");
        assert_eq!(server.command("HSET palisade:1:overrides garbage garbage"), ":1");
        assert_eq!(server.command("SET palisade:1:overrides:changed x"), "+OK");
        let gateway = Gateway::up(&server.url());
        until("they are learned", || {
            gateway.redis.table().overrides().all().len() == palisade_core::overrides::OVERRIDES_MAX
        });
        assert_eq!(admitted(&gateway, 1, 7), 5);
        let ban = Some(Until { value: (), end: later() });
        let one_more = gateway.runtime.block_on(gateway.redis.keep_override(KeyHash(u128::MAX), &banning(ban)));
        assert!(matches!(one_more, Err(crate::counters::OverrideError::TooMany(_))), "{one_more:?}");
        assert_eq!(gateway.ask(api(2), Outage::Closed).fit, Fit::Fits);
    });
}

/// Two operators at the same key, each at another gateway: neither takes back what the other set.
#[test]
fn gateways_change_no_more_than_they_name() {
    each(|server| {
        let gateways = [Gateway::up(&server.url()), Gateway::up(&server.url())];
        let keep = |gateway: &Gateway, change: &OverrideChange| {
            gateway.runtime.block_on(gateway.redis.keep_override(KeyHash(7), change)).unwrap();
        };
        let ban = Some(Until { value: (), end: later() });
        let rate = Some(Until { value: Rate::new(9, Duration::from_secs(60), 9).unwrap(), end: later() });
        let named = OverrideChange { rate: Some(rate), ban: None, ..banning(None) };
        keep(&gateways[0], &banning(ban));
        keep(&gateways[1], &named);
        let both = Override { limit: "api".into(), key: "ip".into(), rate, ban };
        for gateway in &gateways {
            until("both are known", || gateway.redis.table().overrides().all().find(KeyHash(7)) == Some(&both));
        }
        // One that has not heard of it yet takes it back all the same.
        keep(&gateways[1], &banning(None));
        let rest = Override { ban: None, ..both };
        for gateway in &gateways {
            until("the ban is gone", || gateway.redis.table().overrides().all().find(KeyHash(7)) == Some(&rest));
        }
    });
}

/// Who is banned stays so while the store is away.
#[test]
fn a_ban_outlasts_the_store() {
    each(|mut server| {
        let gateway = Gateway::up(&server.url());
        let items = [item("api", Outage::Local)];
        let minute = Duration::from_secs(60);
        let rule = palisade_core::charge::BanRule::new(1, minute, &[minute]).unwrap();
        let mut charges = Charges::default();
        charges.push(api(1));
        let ban = KeyHash(1 << 70 | 99);
        charges.ban(palisade_core::Ban { item: 0, key: ban, first: 0, end: 1, rule });
        let ask = || {
            let mut verdicts = Verdicts::default();
            let ask = Ask { charges: &charges, items: &items, patience: Patience::default(), now: now() };
            match gateway.redis.take(&ask, &mut verdicts) {
                Taken::Told(_) => verdicts.bans[0],
                Taken::Waits(waiting) => gateway.runtime.block_on(waiting).verdicts.bans[0],
            }
        };
        for _ in 0..5 {
            assert_eq!(ask(), Standoff::Clear);
        }
        assert_eq!(ask(), Standoff::Begins(minute));
        server.kill();
        until("down", || gateway.redis.health().state == State::Down);
        assert!(matches!(ask(), Standoff::Lasts(_)));
    });
}

/// Also those of the step whose miss ended the asking.
#[test]
fn slots_of_late_steps_are_given_back() {
    each(|server| {
        let gateway = Gateway::up(&server.url());
        let slot = |key| Charge { bound: Bound::Slots(1), ..api(key) };
        server.stop();
        let late =
            (1..9).take_while(|key| gateway.ask(slot(*key), Outage::Closed).asked == Asked::Waited).count() as u128;
        assert!(late > 0);
        server.go_on();
        gateway.until_up();
        for key in 1..=late {
            until("the slot is free", || gateway.ask(slot(key), Outage::Closed).fit == Fit::Fits);
        }
    });
}
