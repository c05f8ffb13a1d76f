//! The engine's reading of a connection held against the strict reader's.

use palisade_http1::Fault;

use crate::engine::{Event, Head};
use crate::strict::{End, Message, Stop};

/// Both read the same messages, and stop at the same place for the same reason. `message` is the
/// strict reader's message at a place, `see` is shown each one and how many bytes it is, if that
/// is known.
///
/// # Panics
///
/// If they don't.
pub fn agree(
    input: &[u8],
    events: &[Event],
    mut message: impl FnMut(usize) -> Result<Message, Stop>,
    mut see: impl FnMut(&Head, &Message, Option<&[u8]>),
) {
    let mut events = events.iter();
    let mut start = 0;
    while start < input.len() {
        let message = match message(start) {
            Ok(message) => message,
            Err(stop) => {
                let rest: Vec<&Event> = events.collect();
                // An empty line may stand before a request that never comes.
                let is_nothing = &input[start..] == b"\r\n";
                match (&rest[..], stop) {
                    ([], Stop::Cut) if is_nothing => {}
                    ([Event::Cut], Stop::Cut) | ([Event::Fault(Fault::Malformed)], Stop::Wrong) => {}
                    _ => panic!("{stop:?} at {start}, not {rest:?}"),
                }
                return;
            }
        };
        let Some(Event::Head(head)) = events.next() else { panic!("a message begins at {start}") };
        assert_eq!((&head.line, &head.fields), (&message.line.join(" "), &message.fields));
        let (mut body, mut trailers, mut next) = (Vec::new(), Vec::new(), events.next());
        if let Some(Event::Data(data)) = next {
            body.clone_from(data);
            next = events.next();
        }
        if let Some(Event::Trailers(fields)) = next {
            trailers.clone_from(fields);
            next = events.next();
        }
        assert_eq!(body, message.body, "the same content");
        let end = match (message.end, next) {
            (Ok(End::At(end)), Some(Event::End(at))) => {
                assert_eq!(*at, end, "both readings end the message at the same byte");
                Some(end)
            }
            (Ok(End::Connection), Some(Event::End(at))) if *at == input.len() => None,
            (Err(Stop::Cut), Some(Event::Cut)) | (Err(Stop::Wrong), Some(Event::Fault(Fault::Malformed))) => None,
            (end, next) => panic!("{end:?}, not {next:?}"),
        };
        see(head, &message, end.map(|end| &input[start..end]));
        let Some(end) = end else {
            assert_eq!(events.next(), None, "nothing more is read");
            return;
        };
        let mut meant = message.trailers;
        meant.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(trailers, meant);
        start = end;
    }
    assert_eq!(events.next(), None, "nothing more is read");
}
