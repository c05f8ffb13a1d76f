//! The chat: an answer that streams word by word, in the format of OpenAI's chat completions.
//!
//! The model is canned, its tokens are words, and it takes a moment for each, as a real one does.
//! The last event before `[DONE]` carries the usage.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

const MODEL: &str = "briefly-canned-1";
const WORD_EVERY: Duration = Duration::from_millis(20);
const REPLY: &str = "In brief: the text says one thing at length. It could have said it in a line, and now it does.";
/// Longest part of a question that the reply quotes, in words.
const QUOTED_WORDS: usize = 5;

/// `POST /api/chat` with `{"messages": [{"role": "user", "content": "…"}]}`.
pub(crate) async fn chat(Json(request): Json<Value>) -> Response {
    let Some(question) = last_question(&request) else {
        let error = json!({ "error": "`messages` must end with a message of role `user`" });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (head, Body::new(Paced::new(events(question)))).into_response()
}

fn last_question(request: &Value) -> Option<&str> {
    let last = request.get("messages")?.as_array()?.last()?;
    (last.get("role")? == "user").then_some(())?;
    last.get("content")?.as_str().filter(|content| !content.trim().is_empty())
}

/// All events of the answer to `question`, in order.
fn events(question: &str) -> VecDeque<Bytes> {
    let mut quoted: Vec<&str> = question.split_whitespace().take(QUOTED_WORDS).collect();
    if question.split_whitespace().count() > QUOTED_WORDS {
        quoted.push("…");
    }
    let reply = format!("You asked: {}. {REPLY}", quoted.join(" "));
    let words: Vec<&str> = reply.split_inclusive(' ').collect();
    let prompt_tokens = question.split_whitespace().count();

    let delta = |delta: Value, finish: Value| {
        json!({ "object": "chat.completion.chunk", "model": MODEL,
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
    };
    let usage = json!({ "object": "chat.completion.chunk", "model": MODEL, "choices": [],
        "usage": { "prompt_tokens": prompt_tokens, "completion_tokens": words.len(),
                   "total_tokens": prompt_tokens + words.len() } });

    let mut events: VecDeque<Bytes> =
        words.iter().map(|word| event(&delta(json!({ "content": word }), Value::Null).to_string())).collect();
    events.push_back(event(&delta(json!({}), json!("stop")).to_string()));
    events.push_back(event(&usage.to_string()));
    events.push_back(event("[DONE]"));
    events
}

fn event(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A body that gives one part per tick.
struct Paced {
    parts: VecDeque<Bytes>,
    ticks: Interval,
}

impl Paced {
    fn new(parts: VecDeque<Bytes>) -> Self {
        let mut ticks = interval(WORD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { parts, ticks }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.parts.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(context));
        Poll::Ready(self.parts.pop_front().map(|part| Ok(Frame::data(part))))
    }
}
