//! The command line, declared once: parsing, help, completions and the manual page follow.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Stands in front of a web application and makes it fit for production.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, max_term_width = 100)]
#[command(after_help = "Examples:\n  palisade demo\n  palisade run --upstream http://127.0.0.1:3000\n\n\
    Exit codes: 0 good · 1 findings · 2 usage · 3 configuration invalid ·\n\
    4 gateway not reachable · 6 time limit reached · 130 interrupted")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    ///
    /// Prints what it listens on and what every protection does, then one JSON line per request.
    /// SIGHUP reloads the configuration; SIGTERM ends it once the requests under way are answered.
    #[command(after_help = "Examples:\n  palisade run --upstream http://127.0.0.1:3000\n  \
        palisade run --config /etc/palisade/palisade.toml --env production\n\n\
        Exit codes: 0 ended as asked · 3 configuration invalid · 6 something was cut at the end")]
    Run(Run),
    /// Run the gateway in front of the reference application, on loopback.
    ///
    /// Needs nothing and leaves nothing behind: it writes only under a temporary directory.
    #[command(after_help = "Examples:\n  palisade demo\n  palisade demo --traffic\n\nExit codes: 0 ended as asked")]
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Find every mistake of the configuration at once.
    #[command(
        after_help = "Examples:\n  palisade check\n  palisade check --env production --no-secrets --format json\n\n\
        Exit codes: 0 good · 3 configuration invalid"
    )]
    Check(Check),
    /// Say what would happen to a request, what a code means, or what a key does.
    #[command(after_help = "Examples:\n  palisade explain 'POST /api/chat' -H 'Origin: https://evil.example'\n  \
        palisade explain 'POST /api/chat' --as google:42 --plan pro\n  \
        palisade explain http.unknown_host\n  palisade explain limits.per_ip\n\n\
        Without a file, a request is explained as `palisade run --upstream` would treat it.\n\n\
        Exit codes: 0 explained · 2 nothing by that name · 3 configuration invalid")]
    Explain(Explain),
    /// See and change limits of a running gateway.
    ///
    /// A key is written as the limit keeps its counters: ip:203.0.113.7, user:google:42, of several
    /// parts with + between them, user:google:42+route:/api/chat. In the place of what a request does
    /// not have stands its address. A wider prefix of addresses is a limit of its own, api/56.
    #[command(after_help = "Examples:\n  palisade limit list\n  palisade limit show api ip:203.0.113.7\n  \
        palisade limit set api user:google:42 6000/m --for 2h\n  palisade limit ban api ip:203.0.113.7 --for 24h\n\n\
        Exit codes: 0 done · 1 refused by the gateway · 2 usage · 3 configuration invalid · 4 gateway not reachable")]
    Limit(Limit),
    /// Print the JSON Schema of the configuration file, for editors.
    #[command(after_help = "Examples:\n  palisade schema > palisade.schema.json\n  palisade schema | head\n\n\
        Then begin palisade.toml with: #:schema ./palisade.schema.json\n\nExit codes: 0 printed")]
    Schema,
    /// Print the completions of a shell.
    #[command(after_help = "Examples:\n  palisade completions bash > /etc/bash_completion.d/palisade\n  \
        palisade completions zsh > ~/.zfunc/_palisade\n\nExit codes: 0 printed")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    #[command(
        after_help = "Examples:\n  palisade man > palisade.1\n  palisade man | man -l -\n\nExit codes: 0 printed"
    )]
    Man,
}

/// Which configuration is read.
#[derive(Clone, Debug, Args)]
pub(crate) struct Source {
    /// The file; else PALISADE_CONFIG, ./palisade.toml, /etc/palisade/palisade.toml.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The environment: overlays palisade.NAME.toml from the same directory; else PALISADE_ENV.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) env: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The application; with it no file is needed.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Also send a little traffic.
    #[arg(long)]
    pub(crate) traffic: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Don't read secrets and certificates, as in a pipeline that has none.
    #[arg(long)]
    pub(crate) no_secrets: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A request (POST /api/chat), a code (http.unknown_host) or a key (limits.per_ip).
    #[arg(value_name = "REQUEST|CODE|KEY", required = true, num_args = 1..=2)]
    pub(crate) what: Vec<String>,
    /// A field of the request, as curl takes it; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Who sends it, as the application's users are called: google:42. Else nobody known.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Which plan that user has.
    #[arg(long, value_name = "PLAN", requires = "user")]
    pub(crate) plan: Option<String>,
    /// The address it comes from.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) from: std::net::IpAddr,
    #[command(flatten)]
    pub(crate) source: Source,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Limit {
    #[command(subcommand)]
    pub(crate) action: LimitAction,
    /// The gateway's admin listener; else the gateway of the configuration, by its control socket.
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) admin: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human, global = true)]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitAction {
    /// List all limits.
    #[command(after_help = "Examples:\n  palisade limit list\n  palisade limit list --format json")]
    List,
    /// Show who uses a limit most: the keys that were charged and refused most of late.
    #[command(after_help = "Examples:\n  palisade limit top api\n  palisade limit top api --format json")]
    Top {
        /// The limit's name, as `palisade limit list` has it.
        #[arg(value_name = "LIMIT")]
        limit: String,
    },
    /// Show how a key stands; changes nothing.
    #[command(after_help = "Examples:\n  palisade limit show api ip:203.0.113.7\n  \
        palisade limit show chat user:google:42 --plan pro")]
    Show {
        #[command(flatten)]
        key: LimitKey,
    },
    /// Forget what a key has spent, and its ban. Slots in use stay.
    #[command(after_help = "Examples:\n  palisade limit reset api user:google:42\n  \
        palisade limit reset api/56 ip:2001:db8:1:2::1")]
    Reset {
        #[command(flatten)]
        key: LimitKey,
    },
    /// Give a key another rate for a while.
    #[command(after_help = "Examples:\n  palisade limit set api user:google:42 6000/m\n  \
        palisade limit set api ip:203.0.113.7 '60/m burst 10' --for 2h")]
    Set {
        #[command(flatten)]
        key: LimitKey,
        /// The rate, as the configuration has it.
        #[arg(value_name = "RATE")]
        rate: String,
        /// How long it counts.
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        lasts: String,
    },
    /// Give a key the configured rate again.
    #[command(after_help = "Examples:\n  palisade limit unset api user:google:42\n  \
        palisade limit unset api ip:203.0.113.7 --format json")]
    Unset {
        #[command(flatten)]
        key: LimitKey,
    },
    /// Refuse a key whatever it asks, where the limit applies.
    #[command(after_help = "Examples:\n  palisade limit ban api ip:203.0.113.7\n  \
        palisade limit ban api user:google:42 --for 30d")]
    Ban {
        #[command(flatten)]
        key: LimitKey,
        /// How long.
        #[arg(long = "for", value_name = "TIME", default_value = "24h")]
        lasts: String,
    },
    /// End a key's ban, whoever began it.
    #[command(after_help = "Examples:\n  palisade limit unban api ip:203.0.113.7\n  \
        palisade limit unban api user:google:42")]
    Unban {
        #[command(flatten)]
        key: LimitKey,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LimitKey {
    /// The limit's name, as `palisade limit list` has it.
    #[arg(value_name = "LIMIT")]
    pub(crate) limit: String,
    /// Whose counter: ip:203.0.113.7, user:google:42.
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// The plan of whoever has the key, where the limit differs by plan.
    #[arg(long, value_name = "PLAN")]
    pub(crate) plan: Option<String>,
}

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}
