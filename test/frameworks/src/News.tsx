import { useEffect, useState } from "react";
import type { Article } from "./events";
import { socket } from "./socket";

export function News() {
  const [connected, setConnected] = useState(socket.connected);
  const [news, setNews] = useState<Article[]>([]);

  useEffect(() => {
    const onState = () => setConnected(socket.connected);
    const onNews = (article: Article) => setNews((all) => [...all, article]);
    socket.on("connect", onState);
    socket.on("disconnect", onState);
    socket.on("news", onNews);
    socket.connect();
    return () => {
      socket.off("connect", onState);
      socket.off("disconnect", onState);
      socket.off("news", onNews);
      socket.disconnect();
    };
  }, []);

  return (
    <section>
      <p role="status">{connected ? "Connected" : "Not connected"}</p>
      <ul>{news.map((article) => <li key={article.at}>{article.title}</li>)}</ul>
    </section>
  );
}
