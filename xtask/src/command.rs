//! Programs that a task runs.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::root::Root;

/// A program with its arguments, started in the root. Tools of the repository come first on its PATH.
pub(crate) fn command<A: AsRef<OsStr>>(root: &Root, program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root.path()).stdin(Stdio::null()).env("PATH", path(root));
    command
}

fn path(root: &Root) -> String {
    let tools = root.tools();
    let inherited = std::env::var("PATH").unwrap_or_default();
    format!("{}:{}:{inherited}", tools.join("bin").display(), tools.join("python/bin").display())
}

/// Runs it; what it prints is seen.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|why| start(command, why))?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { line: line(command), status }) }
}

/// Runs it and gives what it prints on stdout.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|why| start(command, why))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Failure::Ended { line: line(command), status: output.status }),
    }
}

/// Whether it can be started and succeeds. What it prints is not seen.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// For `map_err` of what starts it otherwise.
pub(crate) fn start(command: &Command, why: std::io::Error) -> Failure {
    Failure::Start { program: command.get_program().to_string_lossy().into_owned(), why }
}

/// What would be typed.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
