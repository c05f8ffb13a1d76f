//! What can be wrong with a configuration. Closed, so that each code has a page.

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is accepted, and probably not what was meant.
    Warning,
    /// It is accepted and worth knowing.
    Notice,
}

impl Severity {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal $severity:ident; )+) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( $(#[doc = $doc])+ $name, )+ }

        impl Code {
            /// All codes, in the order of the reference page.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The code in reports.
            pub const fn code(self) -> &'static str {
                match self { $( Self::$name => $code, )+ }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $( Self::$name => Severity::$severity, )+ }
            }

            /// The code's page: what it means, and what to do.
            pub const fn page(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc, "\n"),+), )+ }
            }
        }
    };
}

codes! {
    /// The file could not be read: it is absent, longer than 1 MiB, or not UTF-8.
    FileUnreadable = "config.file_unreadable" Error;
    /// The text is not TOML at this place. Reading goes on behind it as far as possible, so one
    /// slip may be reported more than once.
    Syntax = "config.syntax" Error;
    /// There is no such key in this table. Keys are never ignored: a misspelled limit would be no
    /// limit.
    UnknownKey = "config.unknown_key" Error;
    /// A key without a default is not there.
    MissingKey = "config.missing_key" Error;
    /// The value is of another type, such as a number where text belongs.
    WrongType = "config.wrong_type" Error;
    /// A duration or size was written as a bare number. `30` could be seconds or milliseconds, so
    /// the unit is part of the value: `"30s"`.
    MissingUnit = "config.missing_unit" Error;
    /// The value does not have the form that this key needs.
    InvalidValue = "config.invalid_value" Error;
    /// The value has the right form but is smaller or larger than makes sense.
    OutOfRange = "config.out_of_range" Error;
    /// Two settings contradict each other.
    Conflict = "config.conflict" Error;
    /// The setting takes a protection away for everybody. If that is meant, say so with the key
    /// that begins with `insecure_`.
    Insecure = "config.insecure" Error;
    /// The value is known but this version can't do it.
    NotAvailable = "config.not_available" Error;
    /// A secret's environment variable or file is not there, or is empty.
    SecretMissing = "config.secret_missing" Error;
    /// A secret's file can't be read, is longer than 64 KiB, is no regular file, or lies in
    /// `/proc`, `/sys` or `/dev`.
    SecretUnreadable = "config.secret_unreadable" Error;
    /// The running gateway can't take this change over. Start it anew.
    NeedsRestart = "config.needs_restart" Error;
    /// Other users of this machine can read a secret's file.
    SecretExposed = "config.secret_exposed" Warning;
    /// The setting can never have an effect, because another one always comes first.
    Shadowed = "config.shadowed" Warning;
    /// The setting holds less than it seems to.
    Weak = "config.weak" Warning;
    /// A plan is named in one map and missing in another one, where it gets what `default` says, or
    /// the strictest entry.
    PlanGap = "config.plan_gap" Warning;
    /// A protection is switched off.
    Off = "config.off" Notice;
}

impl Code {
    /// The code spelled like this.
    pub fn find(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}
