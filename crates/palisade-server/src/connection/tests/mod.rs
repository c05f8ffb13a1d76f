//! Whole connections over a pipe, with a clock that jumps.

mod h1;
mod h2;

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Sleep;

use super::*;

/// A service that does what the path says.
#[derive(Debug)]
struct Scripted;

/// A body of so many zeros, in pieces. A quiet one waits before each piece but the first; one that
/// is cut fails where it would end.
#[derive(Debug)]
struct Zeros {
    left: usize,
    cut: bool,
    quiet: Option<Pin<Box<Sleep>>>,
}

const PIECE: usize = 8192;
const QUIET: Duration = Duration::from_secs(600);

impl Zeros {
    fn new(left: usize) -> Self {
        Self { left, cut: false, quiet: None }
    }

    fn quiet(left: usize) -> Self {
        Self { quiet: Some(Box::pin(tokio::time::sleep(Duration::ZERO))), ..Self::new(left) }
    }

    fn cut(left: usize) -> Self {
        Self { cut: true, ..Self::new(left) }
    }
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(quiet) = &mut self.quiet {
            ready!(quiet.as_mut().poll(context));
            quiet.as_mut().reset(Instant::now() + QUIET);
        }
        let piece = self.left.min(PIECE);
        self.left -= piece;
        if piece == 0 && self.cut {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        Poll::Ready((piece > 0).then(|| Ok(Frame::data(Bytes::from(vec![0; piece])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        if self.cut { SizeHint::new() } else { SizeHint::with_exact(self.left as u64) }
    }
}

impl Service for Scripted {
    type Body = Zeros;
    type Error = Infallible;

    async fn call<H: Sift + Writable>(
        &self,
        request: Arrived<H>,
        _: Connection,
    ) -> Result<Answer<AnswerHead, Zeros>, Infallible> {
        let mut answer = Answer::from(http::Response::new(Zeros::new(0))).map_head(AnswerHead::from);
        match &*request.target {
            "/body" => match request.body.collect().await {
                Ok(body) => answer.body = Zeros::new(body.to_bytes().len()),
                Err(error) => answer.status = error.reason().map_or(StatusCode::IM_A_TEAPOT, Reason::status),
            },
            "/unread" => answer.status = StatusCode::PAYLOAD_TOO_LARGE,
            "/both" => {
                // As an application does that answers while it still wants to read.
                let mut body = request.body;
                tokio::task::spawn_local(async move { while let Some(Ok(_)) = body.frame().await {} });
                answer.body = Zeros::new(50 << 20);
            }
            "/slow" => tokio::time::sleep(Duration::from_secs(600)).await,
            "/large" => answer.body = Zeros::new(10 << 20),
            "/cut" => answer.body = Zeros::cut(PIECE),
            "/hints" => {
                let link = format!("GET / HTTP/1.1\r\nLink: </{}>; rel=preload\r\n\r\n", "a".repeat(8_000));
                let mut parser = palisade_http1::RequestParser::new(palisade_http1::Limits::default());
                let fields = parser.parse(&mut link.as_bytes().into()).unwrap().unwrap().fields;
                (0..100).for_each(|_| request.hints.as_ref().unwrap().hint(&fields));
            }
            "/quiet" => answer.body = Zeros::quiet(2 * PIECE),
            "/tunnel" => {
                let upgrade = request.upgrade.unwrap();
                tokio::task::spawn_local(async move { echo(upgrade.await.unwrap()).await });
                answer.status = StatusCode::SWITCHING_PROTOCOLS;
                answer.edits.set(CONNECTION, "upgrade".parse().unwrap());
                answer.edits.set(UPGRADE, "websocket".parse().unwrap());
            }
            _ => {}
        }
        Ok(answer)
    }
}

/// Sends back what comes, until the other side is silent.
async fn echo(mut io: Box<dyn Duplex>) {
    let mut space = [0; 64];
    loop {
        let count = io.read(&mut space).await.unwrap();
        if count == 0 {
            return;
        }
        io.write_all(&space[..count]).await.unwrap();
    }
}

thread_local! {
    /// The engine that the tests of this thread speak HTTP/1.1 with.
    static HTTP1: std::cell::Cell<palisade_proxy::Engine> = const { std::cell::Cell::new(palisade_proxy::Engine::Own) };
}

fn scripted(limits: Limits) -> Surroundings<Scripted> {
    Surroundings {
        service: Rc::new(Scripted),
        limits: Arc::new(limits),
        counters: Arc::default(),
        memory: Arc::default(),
        registry: Rc::default(),
        deadlines: Deadlines::start(),
        turns: Turns::start(),
        http1: HTTP1.get(),
        listener: "test",
        tls: None,
    }
}

/// A client at the other end of a pipe.
struct Client {
    io: DuplexStream,
    serving: JoinHandle<Option<Close>>,
    around: Rc<Surroundings<Scripted>>,
    began: Instant,
}

impl Client {
    fn connect(engine: Engine) -> Self {
        Self::within(Limits::default(), engine)
    }

    fn within(limits: Limits, engine: Engine) -> Self {
        let around = Rc::new(scripted(limits));
        let (io, server) = tokio::io::duplex(4096);
        let peer = "127.0.0.1:1".parse().unwrap();
        let connection = Connection { peer, listener: "test", secure: false, engine };
        let shared = Rc::clone(&around);
        let serving = tokio::task::spawn_local(async move {
            speak(server, BytesMut::new(), connection, &shared).await.map(|(_, close)| close)
        });
        Self { io, serving, around, began: Instant::now() }
    }

    /// Sends bytes, as far as anyone reads them.
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.io.write_all(bytes.as_ref()).await;
    }

    /// What comes until the connection is closed, and seconds since it began.
    async fn rest(&mut self) -> (Vec<u8>, u64) {
        let mut bytes = Vec::new();
        self.io.read_to_end(&mut bytes).await.unwrap();
        (bytes, self.began.elapsed().as_secs())
    }

    /// What comes until the head of an answer is complete, and as many bytes of body as it says.
    async fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(self.io.read(&mut byte).await.unwrap(), 1, "{}", String::from_utf8_lossy(&bytes));
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.io.read_exact(&mut body).await.unwrap();
        head
    }

    async fn close(self) -> Option<Close> {
        self.serving.await.unwrap()
    }

    fn limit(&self, limit: ConnectionLimit) -> u64 {
        self.around.counters.limit(limit)
    }
}

/// Runs a test where local tasks can be spawned, for at most two hours of its own clock.
async fn locally<R>(test: impl Future<Output = R>) -> R {
    let test = tokio::time::timeout(Duration::from_secs(7_200), test);
    LocalSet::new().run_until(test).await.unwrap()
}

/// Runs a test once with each engine of HTTP/1.1.
async fn both(test: impl AsyncFn()) {
    for engine in [palisade_proxy::Engine::Own, palisade_proxy::Engine::Hyper] {
        HTTP1.set(engine);
        eprintln!("{engine:?}");
        locally(test()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_bytes_tell_the_protocol() {
    for (text, expected) in [
        (&b"GET / HTTP/1.1\r\n"[..], Some(Engine::H1)),
        (b"P", None),
        (b"POST", Some(Engine::H1)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Engine::H2)),
        (b"PRI * HTTP/2.0\r\n\r\nXX", Some(Engine::H1)),
        (b"PRI * HTTP/2.0\r\n", None),
        (b"", None),
    ] {
        let (mut client, mut server) = tokio::io::duplex(4096);
        client.write_all(text).await.unwrap();
        let began = Instant::now();
        let counters = Counters::default();
        let found = detect(&mut server, &Limits::default(), &counters).await;
        assert_eq!(found.as_ref().map(|(engine, _)| *engine), expected, "{text:?}");
        if let Some((_, first)) = found {
            assert_eq!(first, text);
            continue;
        }
        assert_eq!(began.elapsed().as_secs(), 10);
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.contains("http.timeout"), !text.is_empty(), "{answer}");
        assert_eq!(counters.refusal(Reason::HttpTimeout), u64::from(!text.is_empty()));
    }
}
