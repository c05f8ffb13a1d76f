//! What a media type says about an answer.

/// Types of answers that are made of messages, each sent when there is something to say.
const STREAMS: [&[u8]; 4] =
    [b"text/event-stream", b"application/x-ndjson", b"application/jsonl", b"application/stream+json"];

/// Whether an answer with this `Content-Type` is a stream of messages. Such an answer may pause for
/// long, its latency is that of its first byte, and each message leaves at once and as it is.
pub fn is_stream(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    STREAMS.iter().any(|stream| essence.eq_ignore_ascii_case(stream))
}

/// Whether content of this `Content-Type` is JSON (RFC 6839 section 3.1).
pub fn is_json(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    let suffix = essence.len().checked_sub(b"+json".len()).and_then(|start| essence.get(start..));
    essence.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

/// A `Content-Type` without its parameters (RFC 9110 section 8.3.1).
pub fn essence(content_type: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    content_type.get(..end).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_its_media_type() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("application/jsonl", false),
            ("json", false),
            ("", false),
        ] {
            assert_eq!(is_json(content_type.as_bytes()), expected, "{content_type}");
        }
    }

    #[test]
    fn streams_are_told_by_their_media_type() {
        for (content_type, expected) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            (" text/event-stream ;charset=utf-8", true),
            ("application/x-ndjson", true),
            ("application/jsonl", true),
            ("application/stream+json", true),
            ("application/json", false),
            ("text/event-streams", false),
            ("text/html; x=text/event-stream", false),
            ("", false),
        ] {
            assert_eq!(is_stream(content_type.as_bytes()), expected, "{content_type}");
        }
    }
}
