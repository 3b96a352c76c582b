import { socket } from "./socket";

const state = document.querySelector<HTMLElement>("#state")!;
const list = document.querySelector<HTMLElement>("#news")!;

socket.on("connect", () => (state.textContent = "Connected"));
socket.on("disconnect", () => (state.textContent = socket.active ? "Reconnecting" : "Not connected"));
socket.on("connect_error", (error) => (state.textContent = socket.active ? "Reconnecting" : error.message));
socket.on("news", (article) => list.append(article.title));

document.querySelector("form")!.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const answer = await socket.timeout(5000).emitWithAck("order", { item: "beans", count: 2, photo: null, notes: null });
    state.textContent = "error" in answer ? answer.error : `That is ${answer.price}`;
  } catch {
    state.textContent = "No answer"; // it may have been done all the same
  }
});

socket.connect();
