//! The benchmark's server on socketioxide with axum, default options but for the size of messages, of which it
//! allows a tenth of what the others do. It tells its port and takes the order "gc" on its standard input; see
//! servers/control.

use axum::serve::ListenerExt;
use bytes::Bytes;
use serde_json::json;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::io::{AsyncBufReadExt, BufReader};

/// As much as Node's maxHttpBufferSize, in bytes.
const MAX_PAYLOAD: u64 = 1_000_000;

async fn connected(socket: SocketRef) {
    socket.on("echo", async |Data::<String>(text), ack: AckSender| drop(ack.send(&text)));
    socket.on("size", async |Data::<String>(text), ack: AckSender| drop(ack.send(&text.len())));
    socket.on("bin", async |Data::<Bytes>(data), ack: AckSender| drop(ack.send(&data)));
    socket.on("broadcast", async |io: SocketIo, Data::<String>(text)| drop(io.emit("msg", &text).await));
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        drop(ack.send(&1))
    });
    socket.on("room", async |io: SocketIo, Data::<(String, String)>((room, text))| {
        drop(io.to(room).emit("msg", &text).await)
    });
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (layer, io) = SocketIo::builder().max_payload(MAX_PAYLOAD).build_layer();
    io.ns("/", connected);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("port {}", listener.local_addr()?.port());
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().layer(layer)).await });

    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while orders.next_line().await?.is_some() {
        // SAFETY: gives free memory back to the system, and touches none that is in use.
        unsafe { libc::malloc_trim(0) };
        let sessions = io.of("/").map_or(0, |all| all.sockets().len());
        println!("{}", json!({ "heap": 0, "sessions": sessions }));
    }
    std::process::exit(0)
}
