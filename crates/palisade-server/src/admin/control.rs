//! The control socket: the admin listener for the commands of this machine, in the state directory.
//!
//! No key is needed, since only the gateway's own user and root are served; the directory lets nobody
//! else in, and the kernel says who connects. It is there without an admin listener, too.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use palisade_telemetry::{Events, Value};
use tokio::net::{UnixListener, UnixStream};

use super::serve::Accept;

/// A control socket that others may connect to until this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    events: Events,
}

impl Control {
    /// Listens. To be called inside of a runtime, by who holds the lock of the directory.
    ///
    /// # Errors
    ///
    /// Why it can't be had.
    pub(crate) fn listen(path: PathBuf, events: Events) -> io::Result<Self> {
        match fs::remove_file(&path) {
            // Left behind by a process that was killed: nobody else runs on this directory.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, events })
    }

    fn is_ours(&self, stream: &UnixStream) -> bool {
        let own = rustix::process::geteuid().as_raw();
        let user = stream.peer_cred().map(|peer| peer.uid());
        let is_ours = user.as_ref().is_ok_and(|user| *user == own || *user == 0);
        if !is_ours {
            let user = user.map(u64::from).unwrap_or_default();
            self.events.emit("control_refused", &[("user", Value::Number(user))]);
        }
        is_ours
    }
}

impl Accept for Control {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if self.is_ours(&stream) {
                return Ok(stream);
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Whoever starts next removes it otherwise.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_takes_the_place_of_one_that_was_left_behind_and_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let told = palisade_telemetry::settings::Told::default();
        let settings = palisade_telemetry::Settings { told, ..Default::default() };
        let telemetry = palisade_telemetry::Telemetry::start(settings, ["/"]).unwrap();
        let control = Control::listen(path.clone(), telemetry.events()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (accepted, connected) = tokio::join!(control.accept(), UnixStream::connect(&path));
        assert!(accepted.is_ok() && connected.is_ok());
        drop(control);
        assert!(!path.exists());
    }
}
