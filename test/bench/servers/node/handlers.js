// The handlers of the servers in JavaScript.
"use strict";

module.exports = (io) =>
  io.on("connection", (socket) => {
    socket.on("echo", (text, ack) => ack(text));
    socket.on("size", (text, ack) => ack(text.length));
    socket.on("bin", (data, ack) => ack(data));
    socket.on("broadcast", (text) => io.emit("msg", text));
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack(1);
    });
    socket.on("room", (room, text) => io.to(room).emit("msg", text));
  });
