//! The life of a request happens in the order that ARCHITECTURE.md tells, read from kept traces.

use e2e::{Gateway, Launch, Wire, within};
use palisade_testkit::upstream::{Answer, Upstream};
use serde_json::Value;

/// The pipeline: every stage, and the application between the last question and the dressing.
const ORDER: [&str; 8] = ["shed", "identify", "authorize", "integrity", "quota", "shape", "upstream", "dress"];

/// The spans of the only request with this path: name, start and end in milliseconds.
async fn spans(gateway: &Gateway, path: &str) -> Vec<(String, f64, f64)> {
    let record = gateway.record(path, |record| record["path"] == path).await;
    let target = format!("/api/v1/traces/{}", record["trace_id"].as_str().unwrap());
    let trace = within("the trace", async {
        loop {
            let answer = Wire::open(gateway.admin).await.get(&target).await.unwrap();
            if answer.status == 200 {
                return serde_json::from_slice::<Value>(&answer.body).unwrap();
            }
        }
    })
    .await;
    let children = trace["spans"][0]["children"].as_array().unwrap();
    children
        .iter()
        .map(|span| {
            let start = span["start_ms"].as_f64().unwrap();
            (span["name"].as_str().unwrap().to_owned(), start, start + span["duration_ms"].as_f64().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_stages_come_in_their_order() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(format!(
        "[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"2/10m\"\n[performance.traces]\nsample = \"100%\"\n",
        upstream.url()
    ))
    .start()
    .await;
    for (path, status, wanted) in [
        ("/passed", 200, vec!["shed", "upstream", "dress"]),
        ("/passed-again", 200, vec!["shed", "upstream", "dress"]),
        ("/refused", 429, vec!["shed", "dress"]),
    ] {
        assert_eq!(gateway.get(path).await.status, status, "{path}");
        let spans = spans(&gateway, path).await;
        let names: Vec<&str> = spans.iter().map(|(name, _, _)| name.as_str()).collect();
        let places: Vec<usize> = names
            .iter()
            .map(|name| ORDER.iter().position(|stage| stage == name).unwrap_or_else(|| panic!("{name}")))
            .collect();
        assert!(places.is_sorted_by(|before, after| before < after), "{path}: {names:?}");
        assert!(wanted.iter().all(|stage| names.contains(stage)), "{path}: {names:?}");
        assert_eq!(names.contains(&"upstream"), status == 200, "{path}: {names:?}");
        let overlap = spans.windows(2).find(|pair| pair[0].2 > pair[1].1 + 0.001);
        assert!(overlap.is_none(), "{path}: two at once: {overlap:?}");
    }
}
