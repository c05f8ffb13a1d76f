//! Briefly alone: `briefly --listen 127.0.0.1:3000`.

use std::process::ExitCode;

use tokio::net::TcpListener;

const USAGE: &str = "usage: briefly [--listen ADDRESS:PORT]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = match words.as_slice() {
        [] => "127.0.0.1:3000",
        ["--listen", address] => address,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match listen(address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("briefly: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(address: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("Briefly listens on http://{}", listener.local_addr()?);
    briefly::serve(listener).await
}
