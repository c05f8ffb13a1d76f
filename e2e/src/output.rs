//! What a process writes, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;
use tokio::sync::watch;

use crate::within;

/// A line that was written.
#[derive(Clone, Debug)]
pub struct Line {
    /// As written.
    pub text: String,
    /// Read as JSON, if it is that.
    pub json: Option<Value>,
}

/// Whether a stream is being read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Reader {
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap() = true;
    }

    pub(crate) fn read_on(&self) {
        *self.stopped.lock().unwrap() = false;
        self.changed.notify_all();
    }
}

/// Collects the lines of a stream until it ends.
pub(crate) fn follow(stream: impl Read + Send + 'static, state: Arc<Reader>) -> watch::Receiver<Vec<Line>> {
    let (sender, receiver) = watch::channel(Vec::new());
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            let json = serde_json::from_str(&text).ok();
            sender.send_modify(|lines| lines.push(Line { text, json }));
            bytes.clear();
            drop(state.changed.wait_while(state.stopped.lock().unwrap(), |stopped| *stopped).unwrap());
        }
    });
    receiver
}

/// Waits for a line of JSON. `None` if the stream ends without one.
pub(crate) async fn json_line(
    output: &watch::Receiver<Vec<Line>>,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Option<Value> {
    let found =
        |lines: &Vec<Line>| lines.iter().filter_map(|line| line.json.as_ref()).find(|json| wanted(json)).cloned();
    let mut output = output.clone();
    let lines = within(what, output.wait_for(|lines| found(lines).is_some())).await.ok()?;
    found(&lines)
}

/// All lines so far, as one text.
pub(crate) fn text(output: &watch::Receiver<Vec<Line>>) -> String {
    output.borrow().iter().map(|line| format!("{}\n", line.text)).collect()
}
