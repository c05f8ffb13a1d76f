//! Every reason for which Palisade refuses a request or fails to answer it.
//!
//! Closed on purpose: a refusal that isn't in this list can't be made, and one that is has a
//! status, a public text and a page. The list is also the set of label values, the reference page
//! and what `palisade explain CODE` prints.

use http::StatusCode;

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal $status:ident $title:literal $type:ident; )+) => {
        /// Why a request was refused, or why there was no answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $( $(#[doc = $doc])+ $name, )+ }

        impl Reason {
            /// All reasons, in the order of the reference page.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The code in config, records, labels and problem documents.
            pub const fn code(self) -> &'static str {
                match self { $( Self::$name => $code, )+ }
            }

            /// The status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $( Self::$name => StatusCode::$status, )+ }
            }

            /// The one line that the client is told.
            pub const fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )+ }
            }

            /// What the problem document's `type` is.
            pub const fn problem_type(self) -> ProblemType {
                match self { $( Self::$name => ProblemType::$type, )+ }
            }

            /// The reason's page: what happened, and what to do.
            pub const fn page(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc, "\n"),+), )+ }
            }
        }
    };
}

/// What a problem document's `type` says (RFC 9457 §3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemType {
    /// `urn:palisade:problem:<code>`
    Own,
    /// A quota is used up; registered with IANA.
    QuotaExceeded,
    /// The client's requests are unusual; registered with IANA.
    AbnormalUsage,
    /// The server can't do more for now; registered with IANA.
    ReducedCapacity,
}

reasons! {
    /// The request's framing or head breaks a rule on which every reader must agree: where the
    /// message ends, which host it is for, what a field is called. It is refused, and the
    /// connection closed, so that no one behind the gateway can read it differently.
    HttpMalformed = "http.malformed" BAD_REQUEST "Malformed request" Own;
    /// A field name holds bytes other than letters, digits and `-`, and
    /// `[headers.inbound] odd_names` is `reject`. Servers fold `_` and `.` into `-`, so such a
    /// name can pose as another one.
    HttpHeaderName = "http.header_name" BAD_REQUEST "Invalid header name" Own;
    /// The head or the body came too slowly. Raise `[app.timeouts] header` only if real clients
    /// need it; the limit is what keeps slow connections from using up the gateway.
    HttpTimeout = "http.timeout" REQUEST_TIMEOUT "Request took too long to arrive" Own;
    /// The body is longer than `[app] max_body`, by its declared length or at that byte.
    HttpBodyTooLarge = "http.body_too_large" PAYLOAD_TOO_LARGE "Request body too large" Own;
    /// The request target is longer than 8 KiB.
    HttpTargetTooLong = "http.target_too_long" URI_TOO_LONG "Request target too long" Own;
    /// The head is larger than `[app] max_header`, or has more than 100 fields.
    HttpHeadTooLarge = "http.head_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE "Request header too large" Own;
    /// `TRACE` and `CONNECT` are never forwarded; paths of Palisade's own answer the methods in
    /// `Allow`.
    HttpMethodNotAllowed = "http.method_not_allowed" METHOD_NOT_ALLOWED "Method not allowed" Own;
    /// The `Host` is not one that this gateway answers for: neither that of `[app] public_url`,
    /// nor listed in `[app] hosts`, nor a loopback name. Applications build links from `Host`, so
    /// a foreign one would poison them.
    HttpUnknownHost = "http.unknown_host" MISDIRECTED_REQUEST "This host is not served here" Own;
    /// Nothing of Palisade's own has this path. Everything under `/.palisade/` is reserved and
    /// never reaches the application.
    HttpNotFound = "http.not_found" NOT_FOUND "Not found" Own;
    /// The path has no normal form on which every reader would agree: a backslash, a control
    /// byte, a broken or doubly made escape, or `..` above the root.
    PathMalformed = "path.malformed" BAD_REQUEST "Invalid request path" Own;
    /// A rate limit is used up. `Retry-After` says when the next request fits; `RateLimit-Policy`
    /// names the limit.
    LimitsRate = "limits.rate" TOO_MANY_REQUESTS "Request cannot be satisfied as assigned quota has been exceeded" QuotaExceeded;
    /// A quota is used up until its calendar window ends, in UTC. `Retry-After` says when that is.
    LimitsQuota = "limits.quota" TOO_MANY_REQUESTS "Request cannot be satisfied as assigned quota has been exceeded" QuotaExceeded;
    /// As many requests as the limit lets through at a time are under way. One more fits when one of
    /// them is over.
    LimitsConcurrent = "limits.concurrent" TOO_MANY_REQUESTS "Request cannot be satisfied as assigned quota has been exceeded" QuotaExceeded;
    /// The client was refused by one limit again and again, and is refused by it for a while,
    /// whatever it asks. `Retry-After` says when that ends; asking meanwhile doesn't extend it.
    LimitsBanned = "limits.banned" TOO_MANY_REQUESTS "Request not satisfied due to detection of abnormal request pattern" AbnormalUsage;
    /// A field of the body that a limit is keyed on stands there twice, so that application and
    /// limit could each take another one. Send it once.
    LimitsKeyAmbiguous = "limits.key_ambiguous" BAD_REQUEST "Invalid request data" Own;
    /// The token budget has no room for what the request may use: with `reserve = "auto"` a quarter of its
    /// body's bytes, and what its `max_tokens` or a field like it says, else `default_output`. A smaller
    /// `max_tokens`, in a body of type `application/json`, may fit. `Retry-After` says when this one does.
    LimitsTokens = "limits.tokens" TOO_MANY_REQUESTS "Request cannot be satisfied as assigned quota has been exceeded" QuotaExceeded;
    /// The store of counters can't be asked, and a limit with `outage = "closed"` is on the request; or
    /// the request reads in so many ways that more limits apply to it than can be asked at once.
    LimitsUnavailable = "limits.unavailable" SERVICE_UNAVAILABLE "Request cannot be satisfied due to temporary server capacity constraints" ReducedCapacity;
    /// No limit has this name. The answer lists those that there are.
    LimitsUnknownLimit = "limits.unknown_limit" NOT_FOUND "No such limit" Own;
    /// What was asked for names no counter of the limit. Each part of the limit's key stands with its
    /// value behind a colon, parts with `+` between them, and `%` and `+` in values escaped:
    /// `user:google:42+route:/api/chat`. In the place of what a request does not have stands its
    /// address, `ip:203.0.113.7`.
    LimitsBadKey = "limits.bad_key" BAD_REQUEST "Not a key of this limit" Own;
    /// What was to be set can't be: a rate is `6000/m` or `60/m burst 10`, a time `1h`, and only a limit
    /// that has a rate can have another one.
    LimitsBadRate = "limits.bad_rate" BAD_REQUEST "Not a rate that can be set" Own;
    /// As many keys have something set for them as may have. Take one back, wait for one to end, or
    /// write a plan into the configuration.
    LimitsTooManyOverrides = "limits.too_many_overrides" CONFLICT "Too many overrides" Own;
    /// More requests are under way than the application answers in time. Those that would wait
    /// longest are turned away at once, so that the others are served.
    ShedOverload = "shed.overload" SERVICE_UNAVAILABLE "Too busy, try again shortly" Own;
    /// A page of another origin asked for a change. A browser sends such requests with whatever
    /// the user is allowed to do, so they are refused before anything is looked at.
    CsrfCrossSite = "csrf.cross_site" FORBIDDEN "Cross-site request refused" Own;
    /// The admin listener was asked for under a name that isn't its own, as a page would do that
    /// made its own name lead to this machine. Add further names to `[admin] hosts`.
    AdminUnknownHost = "admin.unknown_host" MISDIRECTED_REQUEST "This host is not served here" Own;
    /// Readiness has no condition of this name. `/readyz?verbose` on the admin listener lists all.
    HealthUnknownCondition = "health.unknown_condition" NOT_FOUND "No such condition" Own;
    /// No connection to the application could be made. Is it running, and is `[app] upstream`
    /// right?
    UpstreamUnreachable = "upstream.unreachable" BAD_GATEWAY "The application can't be reached" Own;
    /// The application closed the connection before its answer was complete.
    UpstreamReset = "upstream.reset" BAD_GATEWAY "The application closed the connection" Own;
    /// The application's answer broke the rules of HTTP framing, so its end or its meaning would
    /// be a guess.
    UpstreamMalformed = "upstream.malformed" BAD_GATEWAY "The application's answer was malformed" Own;
    /// The application did not begin to answer within `[app.timeouts] response`.
    UpstreamTimeout = "upstream.timeout" GATEWAY_TIMEOUT "The application did not answer in time" Own;
    /// Handling this request failed inside Palisade. The request id finds it in the log; please
    /// report it.
    InternalPanic = "internal.panic" INTERNAL_SERVER_ERROR "Internal error" Own;
}

impl Reason {
    /// The reason with this code.
    pub fn find(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// Whether the client is at fault (4xx) rather than somebody behind the gateway (5xx).
    pub fn is_client_fault(self) -> bool {
        self.status().is_client_error()
    }
}
