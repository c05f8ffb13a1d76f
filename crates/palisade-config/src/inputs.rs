//! What a configuration is made of: files, single values over them, and how secrets are found.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use palisade_policy::demo::Demo;

/// A longer file is not a configuration.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// The state directory beside a file.
const STATE: &str = ".palisade";

/// Everything that [`load`](crate::load) reads. Made by whoever knows the command line and the
/// environment; reads the files at once, so that what follows is a pure function but for secrets.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub(crate) sources: Vec<Source>,
    pub(crate) overrides: Vec<Override>,
    pub(crate) secrets: Secrets,
    pub(crate) demo: Demo,
    pub(crate) directory: PathBuf,
    pub(crate) state: Option<PathBuf>,
}

/// Whether secrets are looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// They are read; one that is not there is a problem.
    #[default]
    Resolve,
    /// They stay references, and certificates unread: for pipelines that don't have them.
    Skip,
}

/// A configuration file, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Nothing for a text that the caller had.
    pub(crate) path: Option<PathBuf>,
    pub(crate) content: Result<Vec<u8>, String>,
}

/// A single value that wins over the files.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) name: String,
    pub(crate) path: &'static [&'static str],
    pub(crate) text: String,
}

/// The name of an environment, `production`: `[a-z0-9-]{1,32}`, so it can't leave the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment(String);

impl Environment {
    /// `None` if it is not such a name.
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=32).contains(&name.len()) && name.bytes().all(allowed)).then(|| Self(name.to_owned()))
    }
}

/// Where the configuration is: what the option says, else the variable, else `./palisade.toml`,
/// else `/etc/palisade/palisade.toml`; `None` if neither of those exists.
pub fn locate(option: Option<PathBuf>, variable: Option<PathBuf>) -> Option<PathBuf> {
    let usual =
        || ["palisade.toml", "/etc/palisade/palisade.toml"].iter().map(PathBuf::from).find(|path| path.exists());
    option.or(variable).or_else(usual)
}

impl Inputs {
    /// No file at all: `run --upstream URL`. Relative paths start at `directory`.
    pub fn without_file(directory: impl Into<PathBuf>) -> Self {
        Self {
            sources: Vec::new(),
            overrides: Vec::new(),
            secrets: Secrets::Resolve,
            demo: Demo::Never,
            directory: directory.into(),
            state: None,
        }
    }

    /// A text that the caller has, shown under `name`.
    pub fn text(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self::without_file("").and_text(name, text)
    }

    /// A file and, with an environment, the overlay beside it. Reading can fail; `load` then says
    /// so, with all other problems.
    pub fn file(path: &Path, environment: Option<&Environment>) -> Self {
        let mut inputs = Self::without_file(path.parent().unwrap_or(Path::new("")));
        inputs.state = Some(inputs.directory.join(STATE));
        inputs.sources.push(Source::read(path));
        if let Some(Environment(environment)) = environment {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("palisade");
            inputs.sources.push(Source::read(&path.with_file_name(format!("{stem}.{environment}.toml"))));
        }
        inputs
    }

    /// The same with another state directory, unless the configuration names one.
    pub fn state(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// The same for a demo, which believes what a field says about the user. No file can say so.
    pub fn for_demo(mut self) -> Self {
        self.demo = Demo::Trusted;
        self
    }

    /// The same with a further text laid over it.
    pub fn and_text(mut self, name: &str, text: impl Into<Vec<u8>>) -> Self {
        self.sources.push(Source { name: name.to_owned(), path: None, content: Ok(text.into()) });
        self
    }

    /// The same listening elsewhere, because `name` says so: an option or `PALISADE_LISTEN`.
    pub fn listen(mut self, name: &str, address: &str) -> Self {
        self.overrides.push(Override { name: name.to_owned(), path: &["app", "listen"], text: address.to_owned() });
        self
    }

    /// The same in front of another application, because `name` says so.
    pub fn upstream(mut self, name: &str, url: &str) -> Self {
        self.overrides.push(Override { name: name.to_owned(), path: &["app", "upstream"], text: url.to_owned() });
        self
    }

    /// The files that were read.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.sources.iter().filter_map(|source| source.path.as_ref())
    }

    /// The same with secrets treated otherwise.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }
}

impl Source {
    fn read(path: &Path) -> Self {
        Self {
            name: path.display().to_string(),
            path: Some(path.to_owned()),
            content: read_bounded(path, FILE_BYTES_MAX),
        }
    }

    /// Its text without a byte order mark, or why it can't be used.
    pub(crate) fn into_text(self) -> (String, Result<String, String>) {
        let text = self.content.and_then(|bytes| {
            if bytes.len() as u64 > FILE_BYTES_MAX {
                return Err("is longer than 1 MiB".to_owned());
            }
            let text = String::from_utf8(bytes).map_err(|error| {
                let line =
                    error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n');
                format!("is not UTF-8 in line {}", line.count() + 1)
            })?;
            Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
        });
        (self.name, text)
    }
}

/// At most `max` bytes of a regular file. Anything else, a FIFO for instance, is not even opened:
/// opening it could take forever.
pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let can_not = |error: std::io::Error| format!("can't be read: {error}");
    if !std::fs::metadata(path).map_err(can_not)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(can_not)?.take(max + 1).read_to_end(&mut bytes).map_err(can_not)?;
    if bytes.len() as u64 > max {
        return Err(format!("is longer than {} KiB", max >> 10));
    }
    Ok(bytes)
}
