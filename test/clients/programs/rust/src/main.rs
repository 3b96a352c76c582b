//! What rust_socketio can do, cell by cell, with its blocking client (blocking.rs) and its asynchronous one
//! (asynchronous.rs).

mod asynchronous;
mod blocking;

use serde_json::json;
use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest any one wait may take.
pub const LIMIT: Duration = Duration::from_secs(15);

pub const VERSION: &str = "0.6.0"; // as Cargo.toml pins it
pub const TRANSPORTS: [&str; 3] = ["polling", "websocket", "upgrade"];

pub const NO_ANSWER: &str = "the client cannot acknowledge what the server sends";
pub const NO_RECOVERY: &str = "the client knows no recovery";
pub const NO_COOKIES: &str = "the client keeps no cookies: WebSocket only";

/// Over WebSocket the client cuts what it receives at every byte 0x1E, bytes too.
pub const BROKEN_BYTES: &str =
    "bytes without 0x1E, at which the client cuts what comes over WebSocket";

pub enum Outcome {
    Ok,
    But(&'static str),
    NotApplicable(&'static str),
}

pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Result = std::result::Result<Outcome, Failure>;

pub fn main() {
    let threads: Vec<_> = TRANSPORTS
        .iter()
        .map(|transport| std::thread::spawn(|| blocking::run(transport)))
        .collect();
    for thread in threads {
        let _ = thread.join(); // a panic leaves cells out, which the test sees
    }
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(asynchronous::run());
    std::process::exit(0); // the blocking client's threads have no end
}

pub fn address(variable: &str) -> String {
    env::var(variable).expect("DIRECT, RELAY and BALANCER say where the servers are")
}

/// The text that the server has for a transport.
pub fn name_of(transport: &str) -> &str {
    if transport == "upgrade" {
        "websocket"
    } else {
        transport
    }
}

/// A name that no other cell has.
pub fn tag() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!(
        "rust-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// What the binary cell sends, and what is to be said of it.
pub fn bytes(transport: &str) -> (Vec<u8>, Outcome) {
    match transport {
        "polling" => ((0..=255).collect(), Outcome::Ok),
        _ => (
            (0..=255).filter(|&b| b != 0x1e).collect(),
            Outcome::But(BROKEN_BYTES),
        ),
    }
}

/// Ends the connections of tag as a network does that goes away.
pub fn cut(network: &str, tag: &str) -> std::io::Result<()> {
    let host = network.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "GET /cut?tag={tag} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(())
}

pub fn report(client: &str, transport: &str, capability: &str, result: Result) {
    let (result, note) = match result {
        Ok(Outcome::Ok) => ("ok", String::new()),
        Ok(Outcome::But(note)) => ("ok", note.into()),
        Ok(Outcome::NotApplicable(note)) => ("n.a.", note.into()),
        Err(error) => ("failed", format!("{error}: {error:?}")),
    };
    println!(
        "{}",
        json!({
            "client": format!("rust_socketio {VERSION}, {client}"),
            "transport": transport, "capability": capability, "result": result, "note": note,
        })
    );
}

/// Fails when what came is not what is wanted.
pub fn equal<T: std::fmt::Debug + PartialEq>(got: T, want: T) -> std::result::Result<(), String> {
    if got == want {
        Ok(())
    } else {
        Err(format!("got {got:?}, want {want:?}"))
    }
}
