//! What real clients make of limits: parsers of the fields, the SDK of a language model, curl, and
//! a load generator that can't be talked out of a count.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::node::{Folder, Script};
use e2e::{Gateway, LIMIT, Launch};
use palisade_testkit::upstream::{Answer, Cue, Request, Upstream};
use serde_json::{Value, json};

/// A script of the folder `node`, with its packages.
async fn script(name: &'static str, arguments: &[String]) -> Script {
    let folder = tokio::task::spawn_blocking(|| Folder::with_packages("node")).await.unwrap();
    folder.start(name, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A gateway with these tables of limits.
async fn start(limits: &str, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(answer).unwrap();
    let gateway = Launch::config(format!("[app]\nupstream = \"{}\"\n{limits}\n", upstream.url())).start().await;
    (upstream, gateway)
}

const WEEK: f64 = 604_800.0;

/// Seconds until the week ends, of UTC and from Monday; the epoch was a Thursday.
fn week_left() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    WEEK - (now + 3.0 * 86_400.0) % WEEK
}

/// What limits of every kind tell two requests that are admitted and one that `api` refuses.
struct Told {
    answers: [Value; 3],
}

impl Told {
    async fn by(style: &str) -> Self {
        let limits = format!(
            "[limits]\nper_ip = \"300/5d\"\nheaders = \"{style}\"\n[limits.api]\non = \"/api/**\"\n\
             rate = \"5/10m burst 2\"\nquota = \"200 per week\"\nconcurrent = 3\n"
        );
        let (_upstream, gateway) = start(&limits, |_| Answer::ok("ok")).await;
        let url = format!("http://{}/api/x", gateway.public);
        let script = script("headers.mjs", &[url, "3".to_owned()]).await;
        let answers = [script.event("answer 0").await, script.event("answer 1").await, script.event("answer 2").await];
        assert_eq!(answers.each_ref().map(|answer| &answer["status"]), [200, 200, 429], "{style}");
        assert_eq!([&answers[0]["retry_after"], &answers[1]["retry_after"]], [&Value::Null; 2], "{style}");
        Self { answers }
    }

    /// The wait that the refusal tells: two minutes, less what went by since the first request.
    fn wait(&self) -> u64 {
        seconds(&self.answers[2]["retry_after"], 120.0)
    }

    /// What one of the parsers read in the answer that was admitted first, and in the refusal.
    fn read(&self, parser: &str) -> [&Value; 2] {
        [&self.answers[0][parser], &self.answers[2][parser]]
    }
}

/// A time that was `full` seconds when a scenario began.
fn seconds(value: &Value, full: f64) -> u64 {
    let seconds = value.as_u64().unwrap_or_else(|| panic!("{value} are no seconds"));
    assert!(((full - LIMIT.as_secs_f64()).max(1.0)..=full.ceil()).contains(&(seconds as f64)), "{seconds} of {full}");
    seconds
}

/// The lists of the standard, all limits in the order of the config.
fn assert_lists(told: &Told) {
    let policy = json!([
        ["per_ip", { "q": 300, "w": 432_000 }],
        ["api", { "q": 5, "w": 600, "palisade-burst": 2 }],
        ["api/quota", { "q": 200, "w": 604_800 }],
        ["api/concurrent", { "q": 3, "qu": "concurrent-requests" }],
    ]);
    assert_eq!(told.read("policy"), [&policy; 2]);
    let left = week_left() + LIMIT.as_secs_f64();
    let [admitted, refused] = told.read("state");
    let week = seconds(&admitted[2][1]["t"], left);
    assert_eq!(
        *admitted,
        json!([
            ["per_ip", { "r": 299, "t": 1_440 }],
            ["api", { "r": 1, "t": 120 }],
            ["api/quota", { "r": 199, "t": week }],
            ["api/concurrent", { "r": 2 }],
        ])
    );
    // What refused nothing was not charged.
    let (day, week) = (seconds(&refused[0][1]["t"], 1_440.0), seconds(&refused[2][1]["t"], left));
    assert_eq!(
        *refused,
        json!([
            ["per_ip", { "r": 298, "t": day }],
            ["api", { "r": 0, "t": told.wait() }],
            ["api/quota", { "r": 198, "t": week }],
            ["api/concurrent", { "r": 3 }],
        ])
    );
}

/// One limit's numbers, and a reset that is so many seconds from when the gateway was asked.
fn assert_reset(answer: &Value, parsed: &Value, remaining: u64, wait: u64) {
    let Value::Object(mut parsed) = parsed.clone() else { panic!("nothing was understood in {answer}") };
    let reset = parsed.remove("reset").and_then(|reset| reset.as_f64()).unwrap();
    assert_eq!(Value::Object(parsed), json!({ "limit": 5, "used": 5 - remaining, "remaining": remaining }));
    let [asked, answered] = ["asked", "answered"].map(|when| answer[when].as_f64().unwrap());
    // Whole seconds, rounded up; the parser adds seconds to a clock that went on.
    let times = asked + wait as f64 - 1.0..=answered + wait as f64 + 1.0;
    assert!(times.contains(&reset), "{reset} is not in {times:?}");
}

/// `X-RateLimit-…`, of the limit that refused or has the least left.
fn assert_legacy(told: &Told) {
    let [admitted, refused] = told.read("legacy");
    assert_reset(&told.answers[0], admitted, 1, 120);
    assert_reset(&told.answers[2], refused, 0, told.wait());
}

#[tokio::test]
async fn parsers_read_the_lists() {
    let told = Told::by("ietf").await;
    assert_lists(&told);
    assert_eq!(told.read("legacy"), [&Value::Null; 2]);
}

#[tokio::test]
async fn parsers_read_the_older_fields() {
    let told = Told::by("legacy").await;
    assert_eq!([told.read("policy"), told.read("state")], [[&Value::Null; 2]; 2]);
    assert_legacy(&told);
    assert_eq!(told.read("parsed"), told.read("legacy"));
}

/// The parser of older fields takes any `RateLimit` for that of a draft, so it is shown its own alone.
#[tokio::test]
async fn parsers_read_both() {
    let told = Told::by("both").await;
    assert_lists(&told);
    assert_legacy(&told);
}

#[tokio::test]
async fn parsers_read_the_drafts() {
    for style in ["draft-6", "draft-7"] {
        let told = Told::by(style).await;
        assert_eq!(told.read("policy"), [&json!([[5, { "w": 600 }]]); 2]);
        let wait = told.wait();
        let state = match style {
            "draft-6" => [Value::Null, Value::Null],
            _ => [
                json!({ "limit": 5, "remaining": 1, "reset": 120 }),
                json!({ "limit": 5, "remaining": 0, "reset": wait }),
            ],
        };
        assert_eq!(told.read("state"), state.each_ref());
        let [admitted, refused] = told.read("parsed");
        assert_reset(&told.answers[0], admitted, 1, 120);
        assert_reset(&told.answers[2], refused, 0, wait);
    }
}

#[tokio::test]
async fn parsers_find_nothing_where_nothing_is_told() {
    let told = Told::by("off").await;
    for parser in ["policy", "state", "parsed", "legacy"] {
        assert_eq!(told.read(parser), [&Value::Null; 2], "{parser}");
    }
    assert!(told.wait() > 0, "but a wait is");
}

/// Answers of a language model, as the API of OpenAI gives them: a stream that stops after its first
/// event until `cue`, and whole answers.
fn model(request: &Request, cue: &Cue) -> Answer {
    if request.number > 0 {
        let completion = json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-test",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hello." }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 500, "completion_tokens": 100, "total_tokens": 600 },
        });
        return Answer::status(200, &[("Content-Type", "application/json")], completion.to_string());
    }
    let event = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test",
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let part = |text: &str| event(json!([{ "index": 0, "delta": { "content": text } }]), Value::Null);
    let usage = json!({ "prompt_tokens": 300, "completion_tokens": 100, "total_tokens": 400 });
    Answer::new()
        .read()
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .chunk(part("Hel").as_bytes())
        .wait(cue)
        .chunk(part("lo.").as_bytes())
        .chunk(event(json!([]), usage).as_bytes())
        .chunk(b"data: [DONE]\n\n")
        .end_chunks()
}

#[tokio::test]
async fn the_sdk_of_a_language_model_streams_waits_and_is_refused() {
    let cue = Cue::new();
    let given = cue.clone();
    let limits = "[limits]\nper_ip = \"off\"\n[limits.chat]\non = \"POST /v1/chat/completions\"\n\
        cost = \"tokens\"\nquota = \"1000 per month\"\nreserve = 600\n";
    let (upstream, gateway) = start(limits, move |request| model(request, &cue)).await;
    let script = script("chat.mjs", &[format!("http://{}", gateway.public)]).await;

    let head = script.event("head").await;
    assert_eq!((&head["limit"], &head["remaining"]), (&json!("1000"), &json!("400")));
    let reset = head["reset"].as_str().unwrap();
    assert!(reset.ends_with('s'), "{reset}");
    // The application goes on when this has arrived, so it was held back nowhere.
    assert_eq!(script.event("first chunk").await["text"], "Hel");
    gateway.record("the second request's refusal", |record| record["code"] == "limits.tokens").await;
    assert_eq!(upstream.seen().requests(), 1);
    given.give();
    let end = script.event("end").await;
    assert_eq!((&end["text"], &end["usage"]["total_tokens"]), (&json!("Hello."), &json!(400)));

    // It was told to wait for a second, did so by itself, and then found the rest of the estimate.
    let patient = script.event("patient").await;
    assert_eq!((&patient["text"], &patient["remaining"]), (&json!("Hello."), &json!("0")), "{patient}");
    assert!(patient["waited_ms"].as_f64().unwrap() >= 1_000.0, "{patient}");
    let heads = upstream.seen().heads();
    assert_eq!(heads[1].value("x-stainless-retry-count").as_deref(), Some("1"));
    assert!(heads.iter().all(|head| head.value("accept-encoding").as_deref() == Some("identity")));

    let refused = script.event("refused").await;
    assert_eq!((&refused["is_rate_limit"], &refused["status"]), (&json!(true), &json!(429)), "{refused}");
    let wait: u64 = refused["retry_after"].as_str().unwrap().parse().unwrap();
    assert!((1..=31 * 86_400).contains(&wait), "{wait}");
    assert_eq!(upstream.seen().requests(), 2);
}

const FIVE: &str = "[limits]\nper_ip = \"off\"\n[limits.api]\non = \"/api/**\"\nrate = \"5/10m\"\n";

/// The versions of HTTP, as curl calls them and as it tells them.
const VERSIONS: [(&str, &str); 2] = [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")];

/// What curl saw.
struct Curled {
    version: String,
    status: u64,
    uploaded: u64,
    fields: Value,
    body: String,
}

impl Curled {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields[name][0].as_str()
    }
}

/// Blocks until curl has its answer.
fn curl(version: &str, url: &str, arguments: &[&str]) -> Curled {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", version, "--write-out"]);
    command.arg("%{json}\n%{header_json}").arg("--output").arg(&body).args(arguments).arg(url);
    let output = command.output().expect("curl is not there; type, as root: apt-get install curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (known, fields) = said.split_once('\n').unwrap();
    let known: Value = serde_json::from_str(known).unwrap();
    Curled {
        version: known["http_version"].as_str().unwrap().to_owned(),
        status: known["http_code"].as_u64().unwrap(),
        uploaded: known["size_upload"].as_u64().unwrap(),
        fields: serde_json::from_str(fields).unwrap(),
        body: std::fs::read_to_string(body).unwrap_or_default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_sees_the_refusal_in_either_version() {
    for (argument, version) in VERSIONS {
        let (upstream, gateway) = start(FIVE, |_| Answer::ok("ok")).await;
        let url = format!("http://{}/api/x", gateway.public);
        for left in (0..5).rev() {
            let answer = curl(argument, &url, &[]);
            assert_eq!((answer.version.as_str(), answer.status, answer.body.as_str()), (version, 200, "ok"));
            assert!(answer.field("ratelimit").unwrap().starts_with(&format!("\"api\";r={left};t=")));
        }
        let refused = curl(argument, &url, &[]);
        assert_eq!((refused.version.as_str(), refused.status), (version, 429));
        let wait = refused.field("retry-after").unwrap().to_owned();
        seconds(&json!(wait.parse::<u64>().unwrap()), 120.0);
        assert_eq!(refused.field("ratelimit"), Some(format!("\"api\";r=0;t={wait}").as_str()));
        assert_eq!(refused.field("ratelimit-policy"), Some("\"api\";q=5;w=600"));
        assert_eq!(refused.field("content-type"), Some("application/problem+json"));
        assert_eq!(refused.field("cache-control"), Some("no-store"));
        let problem: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(
            problem,
            json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Request cannot be satisfied as assigned quota has been exceeded",
                "status": 429,
                "code": "limits.rate",
                "violated-policies": ["api"],
                "request_id": refused.field("x-request-id"),
            })
        );
        // curl writes the head of an answer to HEAD to where its body would be.
        let head = curl(argument, &url, &["--head"]);
        assert!(head.status == 429 && head.body.ends_with("\r\n\r\n"), "{}", head.body);
        assert_eq!(upstream.seen().requests(), 5);
    }
}

/// The refusal comes before the body is read, so who asks whether to send it is told not to. (With
/// HTTP/2 curl 7.88 misses every answer that is followed by a reset, also nginx's; there frames are
/// read, in `limits_hostile.rs`.)
#[tokio::test(flavor = "multi_thread")]
async fn curl_keeps_a_body_that_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(10_000_000).unwrap();
    let large = format!("@{}", file.path().display());
    let (upstream, gateway) = start(FIVE, |_| Answer::ok("ok")).await;
    let url = format!("http://{}/api/x", gateway.public);
    let post = |body: &str| curl("--http1.1", &url, &["--header", "Expect: 100-continue", "--data-binary", body]);
    for _ in 0..5 {
        let admitted = post("hello");
        assert_eq!((admitted.status, admitted.uploaded), (200, 5));
    }
    let refused = post(&large);
    assert_eq!((refused.status, refused.uploaded), (429, 0));
    assert_eq!(upstream.seen().requests(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_generator_gets_exactly_as_many_as_there_are() {
    let there = ["/usr/bin/h2load", "/usr/local/bin/h2load"].iter().any(|path| Path::new(path).exists());
    assert!(there, "h2load is not there; type, as root: apt-get install nghttp2-client");
    for version in ["http/1.1", "h2c"] {
        let (upstream, gateway) = start(FIVE, |_| Answer::ok("ok")).await;
        let url = format!("http://{}/api/x", gateway.public);
        // Five streams at a time where the version has streams.
        let arguments = ["--requests=200", "--clients=8", "--max-concurrent-streams=5"];
        let version = format!("--no-tls-proto={version}");
        let output = Command::new("h2load").args(arguments).args([&version, &url]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let counted = "200 total, 200 started, 200 done, 5 succeeded, 195 failed, 0 errored, 0 timeout";
        assert!(said.contains(counted), "{said}");
        assert!(said.contains("status codes: 5 2xx, 0 3xx, 195 4xx, 0 5xx"), "{said}");
        assert_eq!(upstream.seen().requests(), 5);
        let counted = |outcome| [("limit", "api"), ("outcome", outcome)];
        let scrape = gateway.counted(200).await;
        let of = |outcome| scrape.sum("palisade_limits_requests_total", &counted(outcome));
        assert_eq!([of("admitted"), of("refused")], [5.0, 195.0]);
    }
}
