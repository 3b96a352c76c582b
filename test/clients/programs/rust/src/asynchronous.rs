//! The cells with the asynchronous client.

use crate::{
    address, bytes, cut, equal, name_of, report, tag, Failure, Outcome, Result, LIMIT, NO_ANSWER,
    NO_COOKIES, NO_RECOVERY, TRANSPORTS,
};
use futures_util::FutureExt;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde_json::{json, Value};
use std::time::Instant;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio::time::timeout;

/// Runs every cell.
pub async fn run() {
    let [a, b, c] = TRANSPORTS;
    tokio::join!(over(a), over(b), over(c));
}

async fn over(transport: &'static str) {
    let tell = |capability, result| report("asynchronous", transport, capability, result);
    tell("connect", connect(transport).await);
    tell("auth", auth(transport).await);
    tell("ack", ack(transport).await);
    tell("answer", Ok(Outcome::NotApplicable(NO_ANSWER)));
    tell("binary", binary(transport).await);
    tell("namespaces", namespaces(transport).await);
    tell("reconnect", comes_back(transport, &address("RELAY")).await);
    tell("recovery", Ok(Outcome::NotApplicable(NO_RECOVERY)));
    tell(
        "sticky",
        match transport {
            "websocket" => comes_back(transport, &address("BALANCER")).await,
            _ => Ok(Outcome::NotApplicable(NO_COOKIES)),
        },
    );
}

/// A builder, and where the payloads of an event arrive.
fn builder(
    url: &str,
    transport: &str,
    event: impl Into<Event>,
) -> (ClientBuilder, UnboundedReceiver<Payload>) {
    let (send, events) = unbounded_channel();
    let kind = match transport {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        _ => TransportType::Any,
    };
    let builder = ClientBuilder::new(url)
        .transport_type(kind)
        .reconnect_delay(20, 100)
        .on(event, move |payload, _: Client| {
            let _ = send.send(payload);
            async {}.boxed()
        });
    (builder, events)
}

async fn connect(transport: &str) -> Result {
    let (builder, mut welcomes) = builder(&address("DIRECT"), transport, "welcome");
    let socket = builder.connect().await?;
    first(&mut welcomes).await?;
    settled(&socket, transport).await?;
    socket.disconnect().await?;
    Ok(Outcome::Ok)
}

async fn auth(transport: &str) -> Result {
    let (wrong, mut errors) = builder(&address("DIRECT"), transport, Event::Error);
    let wrong = wrong
        .namespace("/private")
        .auth(json!({"token": "wrong"}))
        .connect()
        .await?;
    let refusal = first(&mut errors).await?.to_string();
    if !refusal.contains("E401") {
        return Err(refusal.into());
    }
    let _ = wrong.disconnect().await;
    let (right, mut welcomes) = builder(&address("DIRECT"), transport, "welcome");
    let socket = right
        .namespace("/private")
        .auth(json!({"token": "secret"}))
        .connect()
        .await?;
    equal(
        first(&mut welcomes).await?["nsp"].clone(),
        json!("/private"),
    )?;
    socket.disconnect().await?;
    Ok(Outcome::Ok)
}

async fn ack(transport: &str) -> Result {
    let (builder, mut welcomes) = builder(&address("DIRECT"), transport, "welcome");
    let socket = builder.connect().await?;
    first(&mut welcomes).await?;
    for value in [json!(1), json!({"a": [1, "é🎉", null]})] {
        equal(ask(&socket, "echo", value.clone()).await?, value)?;
    }
    socket.disconnect().await?;
    Ok(Outcome::Ok)
}

/// Without an acknowledgement: with one, the client sends bytes under the type of an answer.
async fn binary(transport: &str) -> Result {
    let (builder, mut echoes) = builder(&address("DIRECT"), transport, "echo");
    let socket = builder.connect().await?;
    let (bytes, outcome) = bytes(transport);
    socket.emit("echo", bytes.clone()).await?;
    match timeout(LIMIT, echoes.recv()).await? {
        Some(Payload::Binary(back)) => equal(back.to_vec(), bytes)?,
        other => return Err(format!("got {other:?}").into()),
    }
    socket.disconnect().await?;
    Ok(outcome)
}

/// The client has one namespace for each connection.
async fn namespaces(transport: &str) -> Result {
    for namespace in ["/", "/admin"] {
        let (builder, mut welcomes) = builder(&address("DIRECT"), transport, "welcome");
        let socket = builder.namespace(namespace).connect().await?;
        equal(first(&mut welcomes).await?["nsp"].clone(), json!(namespace))?;
        equal(
            ask(&socket, "echo", json!(namespace)).await?,
            json!(namespace),
        )?;
        socket.disconnect().await?;
    }
    Ok(Outcome::Ok)
}

/// Connects, cuts the connection, and waits for the client to be back by itself.
async fn comes_back(transport: &str, network: &str) -> Result {
    let tag = tag();
    let (builder, mut welcomes) = builder(&format!("{network}/?tag={tag}"), transport, "welcome");
    let socket = builder.connect().await?;
    let before = first(&mut welcomes).await?["id"].clone();
    settled(&socket, transport).await?;
    let network = network.to_owned();
    tokio::task::spawn_blocking(move || cut(&network, &tag)).await??;
    let after = first(&mut welcomes).await?["id"].clone();
    if before == after {
        return Err("the same id".into());
    }
    equal(ask(&socket, "echo", json!("back")).await?, json!("back"))?;
    socket.disconnect().await?;
    Ok(Outcome::Ok)
}

/// Waits until the server too has the transport that the cell is about.
async fn settled(socket: &Client, transport: &str) -> std::result::Result<(), Failure> {
    let end = Instant::now() + LIMIT;
    while ask(socket, "transport", json!(null)).await? != json!(name_of(transport)) {
        if Instant::now() > end {
            return Err(format!("the transport is not {}", name_of(transport)).into());
        }
    }
    Ok(())
}

/// The first argument of the next event.
async fn first(events: &mut UnboundedReceiver<Payload>) -> std::result::Result<Value, Failure> {
    match timeout(LIMIT, events.recv()).await? {
        Some(Payload::Text(values)) => Ok(values.into_iter().next().unwrap_or(Value::Null)),
        other => Err(format!("got {other:?}").into()),
    }
}

/// Emits an event and returns the first argument of its acknowledgement.
async fn ask(socket: &Client, event: &str, value: Value) -> std::result::Result<Value, Failure> {
    let (send, mut answers) = unbounded_channel();
    socket
        .emit_with_ack(event, value, LIMIT, move |payload, _| {
            let _ = send.send(payload);
            async {}.boxed()
        })
        .await?;
    match first(&mut answers).await? {
        // The client has the arguments as one list.
        Value::Array(values) => Ok(values.into_iter().next().unwrap_or(Value::Null)),
        other => Ok(other),
    }
}
