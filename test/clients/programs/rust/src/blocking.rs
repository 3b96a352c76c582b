//! The cells with the blocking client. They leave their connections open: the client has a thread for each,
//! and after disconnect that thread runs in a circle for ever.

use crate::{
    address, bytes, cut, equal, name_of, report, tag, Failure, Outcome, Result, LIMIT, NO_ANSWER,
    NO_COOKIES, NO_RECOVERY,
};
use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType};
use serde_json::{json, Value};
use std::sync::mpsc::{channel, Receiver};
use std::time::Instant;

type Cell = fn(&'static str) -> Result;

/// Runs every cell over one transport.
pub fn run(transport: &'static str) {
    let cells: [(&str, Cell); 9] = [
        ("connect", connect),
        ("auth", auth),
        ("ack", ack),
        ("answer", |_| Ok(Outcome::NotApplicable(NO_ANSWER))),
        ("binary", binary),
        ("namespaces", namespaces),
        ("reconnect", reconnect),
        ("recovery", |_| Ok(Outcome::NotApplicable(NO_RECOVERY))),
        ("sticky", sticky),
    ];
    for (capability, cell) in cells {
        report("blocking", transport, capability, cell(transport));
    }
}

fn kind(transport: &str) -> TransportType {
    match transport {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        _ => TransportType::Any,
    }
}

/// A builder, and where the payloads of an event arrive.
fn builder(
    url: &str,
    transport: &str,
    event: impl Into<Event>,
) -> (ClientBuilder, Receiver<Payload>) {
    let (send, events) = channel();
    let builder = ClientBuilder::new(url)
        .transport_type(kind(transport))
        .reconnect_delay(20, 100)
        .on(event, move |payload, _: RawClient| _ = send.send(payload));
    (builder, events)
}

fn connect(transport: &'static str) -> Result {
    let (builder, welcomes) = builder(&address("DIRECT"), transport, "welcome");
    let socket = builder.connect()?;
    first(&welcomes)?;
    settled(&socket, transport)?;
    Ok(Outcome::Ok)
}

fn auth(transport: &'static str) -> Result {
    let (wrong, errors) = builder(&address("DIRECT"), transport, Event::Error);
    let _wrong = wrong
        .namespace("/private")
        .auth(json!({"token": "wrong"}))
        .connect()?;
    let refusal = first(&errors)?.to_string();
    if !refusal.contains("E401") {
        return Err(refusal.into());
    }
    let (right, welcomes) = builder(&address("DIRECT"), transport, "welcome");
    let _right = right
        .namespace("/private")
        .auth(json!({"token": "secret"}))
        .connect()?;
    equal(first(&welcomes)?["nsp"].clone(), json!("/private"))?;
    Ok(Outcome::Ok)
}

fn ack(transport: &'static str) -> Result {
    let (builder, welcomes) = builder(&address("DIRECT"), transport, "welcome");
    let socket = builder.connect()?;
    first(&welcomes)?;
    for value in [json!(1), json!({"a": [1, "é🎉", null]})] {
        equal(ask(&socket, "echo", value.clone())?, value)?;
    }
    Ok(Outcome::Ok)
}

/// Without an acknowledgement: with one, the client sends bytes under the type of an answer.
fn binary(transport: &'static str) -> Result {
    let (builder, echoes) = builder(&address("DIRECT"), transport, "echo");
    let socket = builder.connect()?;
    let (bytes, outcome) = bytes(transport);
    socket.emit("echo", bytes.clone())?;
    match echoes.recv_timeout(LIMIT)? {
        Payload::Binary(back) => equal(back.to_vec(), bytes)?,
        other => return Err(format!("got {other:?}").into()),
    }
    Ok(outcome)
}

/// The client has one namespace for each connection.
fn namespaces(transport: &'static str) -> Result {
    for namespace in ["/", "/admin"] {
        let (builder, welcomes) = builder(&address("DIRECT"), transport, "welcome");
        let socket = builder.namespace(namespace).connect()?;
        equal(first(&welcomes)?["nsp"].clone(), json!(namespace))?;
        equal(ask(&socket, "echo", json!(namespace))?, json!(namespace))?;
    }
    Ok(Outcome::Ok)
}

fn reconnect(transport: &'static str) -> Result {
    let tag = tag();
    let relay = address("RELAY");
    let (builder, welcomes) = builder(&format!("{relay}/?tag={tag}"), transport, "welcome");
    comes_back(builder.connect()?, welcomes, transport, &relay, &tag)
}

fn sticky(transport: &'static str) -> Result {
    if transport != "websocket" {
        return Ok(Outcome::NotApplicable(NO_COOKIES));
    }
    let tag = tag();
    let balancer = address("BALANCER");
    let url = format!("{balancer}/?tag={tag}");
    let (send, welcomes) = channel();
    // The settings of docs/clients.md, as written there.
    let socket = ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .reconnect_delay(20, 100)
        .on("welcome", move |payload, _| _ = send.send(payload))
        .connect()?;
    comes_back(socket, welcomes, transport, &balancer, &tag)
}

/// Cuts the connection and waits for the client to be back by itself.
fn comes_back(
    socket: Client,
    welcomes: Receiver<Payload>,
    transport: &str,
    network: &str,
    tag: &str,
) -> Result {
    let before = first(&welcomes)?["id"].clone();
    settled(&socket, transport)?;
    cut(network, tag)?;
    let after = first(&welcomes)?["id"].clone();
    if before == after {
        return Err("the same id".into());
    }
    equal(ask(&socket, "echo", json!("back"))?, json!("back"))?;
    Ok(Outcome::Ok)
}

/// Waits until the server too has the transport that the cell is about.
fn settled(socket: &Client, transport: &str) -> std::result::Result<(), Failure> {
    let end = Instant::now() + LIMIT;
    while ask(socket, "transport", json!(null))? != json!(name_of(transport)) {
        if Instant::now() > end {
            return Err(format!("the transport is not {}", name_of(transport)).into());
        }
    }
    Ok(())
}

/// The first argument of the next event.
fn first(events: &Receiver<Payload>) -> std::result::Result<Value, Failure> {
    match events.recv_timeout(LIMIT)? {
        Payload::Text(values) => Ok(values.into_iter().next().unwrap_or(Value::Null)),
        other => Err(format!("got {other:?}").into()),
    }
}

/// Emits an event and returns the first argument of its acknowledgement.
fn ask(socket: &Client, event: &str, value: Value) -> std::result::Result<Value, Failure> {
    let (send, answers) = channel();
    socket.emit_with_ack(event, value, LIMIT, move |payload, _| {
        _ = send.send(payload)
    })?;
    match first(&answers)? {
        // The client has the arguments as one list.
        Value::Array(values) => Ok(values.into_iter().next().unwrap_or(Value::Null)),
        other => Ok(other),
    }
}
