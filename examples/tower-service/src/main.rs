//! A Rust service that protects itself: the gateway's guard as a Tower layer.
//!
//! `cargo run -p tower-service-example`, then ask it more than ten times in a minute:
//! `for i in $(seq 12); do curl -i http://127.0.0.1:8088/; done`

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use palisade_core::{Mode, Rate};
use palisade_tower::{Palisade, Peer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8088").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app()?.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// One page, ten times a minute for each address.
fn app() -> Result<Router, Box<dyn std::error::Error>> {
    let rate = Rate::new(10, Duration::from_secs(60), 10).ok_or("ten a minute is a rate")?;
    let palisade = Palisade::builder()
        .per_ip(rate, Mode::Enforce)
        .headers()
        // Where axum leaves the address of the connection's other end.
        .peer(|extensions| {
            let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(Peer { address: address.ip().into(), secure: false })
        })
        .on_record(|record| println!("{} {} {:?}", record.method, record.path, record.outcome))
        .build()?;
    Ok(Router::new().route("/", get(|| async { "hello\n" })).layer(palisade))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower_service::Service as _;

    use super::*;

    #[tokio::test]
    async fn the_eleventh_request_of_an_address_is_refused() {
        let mut app = app().unwrap();
        for number in 1..=11 {
            let from: SocketAddr = "192.0.2.1:50000".parse().unwrap();
            let request = Request::get("/").extension(ConnectInfo(from)).body(Body::empty()).unwrap();
            let response = app.call(request).await.unwrap();
            let expected = if number <= 10 { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
            assert_eq!(response.status(), expected, "request {number}");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
    }
}
