//! `[limits]`

mod checks;
mod compile;
mod cost;
mod count;
mod exempt;
mod overlap;
mod plans;
mod text;

use palisade_core::charge::{Outage, TableSize};
use palisade_core::config::{Map, Name, Named, OneOrMany, OrOff, Period, Setting, Size, Whole};
use palisade_core::{Mode, Quota, Rate, Target};

use super::{Key, Style};

pub use compile::{Compiled, compile};
pub use cost::{RawCost, RawReserve};
pub use count::RawCount;
pub use exempt::{Ceiling, ExemptTarget, RawExemption};
pub use plans::RawByPlan;
pub use text::PrefixBits;

palisade_core::section! {
    /// How much a client may use. Without this table `per_ip` is watched with its default and
    /// refuses nobody. A named table below it, `[limits.chat]`, is a limit of your own.
    pub struct RawLimits {
        /// Whether limits refuse requests, only record what they would refuse, or are not asked.
        /// Writing the table is asking for limits, so they are enforced. Each limit may differ.
        mode: Setting<Mode> = "enforce",
        /// Requests per client address: an IPv4 address or an IPv6 /64. The default lets a person
        /// load several pages with all their parts each minute.
        per_ip: Setting<OrOff<Rate>> = "300/m",
        /// Requests per user, the same for all or by plan; of anonymous clients per address. Off,
        /// since only you know your plans.
        per_user: Setting<OrOff<RawByPlan<Rate>>> = "off",
        /// Requests per client address to routes of assets (`/_next/static/**`), in place of `per_ip` and `per_user`. The
        /// default is ten times that of `per_ip`, because a page has many parts.
        assets: Setting<OrOff<Rate>> = "3000/m",
        /// Preflights of CORS per client address. They count here alone, unless a limit's `on` names
        /// OPTIONS: a browser asks them, not the user.
        preflight: Setting<OrOff<Rate>> = "600/m",
        /// In which fields clients are told: `ietf` are `RateLimit-Policy` and `RateLimit`, `legacy`
        /// the three `X-RateLimit-…`, `both` all of these, `draft-6` and `draft-7` older forms of the
        /// first. `Retry-After` is sent in any case.
        headers: Setting<Style> = "ietf",
        /// What limits do while `[store] counters` can't be asked: each gateway admits its share from
        /// its own memory (`local`), they admit everything (`open`), or refuse everything with 503
        /// (`closed`). An outage of the store should be nobody's holiday, nor everybody's.
        outage: Setting<Outage> = "local",
        /// How long a request may wait for `[store] counters`, in all. A server nearby answers within
        /// one or two milliseconds. Applies at start.
        store_deadline: Setting<Period<1, 1_000>> = "20ms",
        /// Memory for counters, 16 bytes each. It is taken only as counters are used, never grows,
        /// and when it is full the counters nearest to empty make room: the default holds four
        /// million clients.
        table: Setting<Size<{ TableSize::MIN.bytes() }, { TableSize::MAX.bytes() }>> = "64MiB",
        /// By how many bits IPv6 clients are told apart. A provider gives a home at least a /64, so
        /// whoever counts single addresses counts nothing.
        ipv6_prefix: Setting<Whole<32, 128>> = 64,
        /// Wider IPv6 prefixes and how many times a limit's rate each of them has, so that changing
        /// the address gains little. Providers give a home a /56, a company a /48.
        ipv6_ladder: Setting<Map<PrefixBits<128>, Whole<1, 65_536>>> = { "56" = 4, "48" = 16 },
        /// The same for IPv4, where addresses are dear and a network has many owners: none.
        ipv4_ladder: Setting<Map<PrefixBits<32>, Whole<1, 65_536>>> = {},
        /// Requests that no limit is on but the ceiling given here: the method and exact path, or a
        /// path that ends in `/**`, and a rate for each address, `"60/m per ip"`, or for all of them
        /// together, `"100/s"`. A request in any other spelling is not exempt.
        exempt: Setting<Map<ExemptTarget, RawExemption>> = {},
        ..limits: Named<Name, RawLimit>,
    }
}

palisade_core::section! {
    /// A limit of your own: the requests it is on, whose they are, and how much of them.
    pub struct RawLimit {
        /// The requests: a path pattern, perhaps behind methods, or a list. Spellings that some
        /// applications take for the same path are covered too. Everything, unless said.
        on: Setting<OneOrMany<Target>> = "/**",
        /// Whose requests count together: `ip`, `user`, `api_key`, `route`, `header.<name>`,
        /// `claim.<path>`, `body.<field>` (of JSON or a form, deeper with dots), `global`, or several with `+` between them. A list makes independent
        /// limits. What a request does not have is replaced by its address.
        key: Setting<OneOrMany<Key>> = "ip",
        /// How many, and how fast more become possible: one rate, or one for each plan.
        rate: Option<Setting<RawByPlan<Rate>>>,
        /// How many in a calendar window of UTC, `"200 per day"`: one quota, or one for each plan.
        quota: Option<Setting<RawByPlan<Quota>>>,
        /// How many at a time: one number, or one for each plan. A request takes a slot when it is
        /// admitted, and gives it back when its answer has ended, or the client left; a WebSocket or
        /// an event stream keeps it until it closes.
        concurrent: Option<Setting<RawByPlan<Whole<1, 1_000_000>>>>,
        /// Units that a request costs: one, so that rates and quotas count requests. `"tokens"` makes
        /// them budgets of a language model's tokens: a request reserves an estimate, and what its
        /// answer says was used is charged.
        cost: Setting<RawCost> = 1,
        /// Tokens that a request reserves: a number, or `auto`, a quarter of its body's bytes and what
        /// it says its answer may take. Auto, unless said: a fixed number is wrong for most requests.
        reserve: Option<Setting<RawReserve>>,
        /// Tokens that an answer is taken to have if the request says nothing of it. 1024, unless
        /// said: a long answer.
        default_output: Option<Setting<Whole<1, 10_000_000>>>,
        /// Counts only requests with these answers, `[401, 403, 422]`, or
        /// `{ status = [401], location_contains = "error=" }`, whoever gave them but for limits. Such a
        /// request is reserved when it arrives, and clients are never told of such a limit. What tells
        /// of a failure only in its body is not counted: Auth.js answers 200 to its own script and to
        /// whoever says to be it, so its sign-in needs a limit without `count` as well.
        count: Option<Setting<RawCount>>,
        /// How long an answer may take before what was reserved counts. A minute, unless said: longer
        /// than applications take. Of tokens a quarter of an hour: longer than models do.
        hold: Option<Setting<Period<1_000, 3_600_000>>>,
        /// Bans who is refused by this limit again and again, `["15m", "1h", "24h"]`: first for the
        /// first length, then for the next one; the last repeats. Seven days without a ban forget
        /// the steps.
        ban: Option<Setting<Vec<Setting<Period<1_000, 31_536_000_000>>>>>,
        /// At which refusal within `ban_within` a ban begins. The third is no accident.
        ban_after: Setting<Whole<1, 16>> = 3,
        /// Within which time refusals are counted together. Ten minutes are shorter than most people
        /// need to give up, and longer than programs do.
        ban_within: Setting<Period<1_000, 86_400_000>> = "10m",
        /// The limit's own mode, where it differs from that of the table.
        mode: Option<Setting<Mode>>,
        /// What this limit does while its store can't be asked, where it differs.
        outage: Option<Setting<Outage>>,
    }
}
