import { readable } from "svelte/store";
import type { Article } from "./events";
import { socket } from "./socket";

export const connected = readable(socket.connected, (set) => {
  const onState = () => set(socket.connected);
  socket.on("connect", onState);
  socket.on("disconnect", onState);
  return () => {
    socket.off("connect", onState);
    socket.off("disconnect", onState);
  };
});

export const news = readable<Article[]>([], (set, update) => {
  const onNews = (article: Article) => update((all) => [...all, article]);
  socket.on("news", onNews);
  socket.connect();
  return () => {
    socket.off("news", onNews);
    socket.disconnect();
  };
});
