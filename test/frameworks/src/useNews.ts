import { onMounted, onUnmounted, ref } from "vue";
import type { Article } from "./events";
import { socket } from "./socket";

export function useNews() {
  const connected = ref(socket.connected);
  const news = ref<Article[]>([]);
  const onState = () => (connected.value = socket.connected);
  const onNews = (article: Article) => news.value.push(article);

  onMounted(() => {
    socket.on("connect", onState);
    socket.on("disconnect", onState);
    socket.on("news", onNews);
    socket.connect();
  });
  onUnmounted(() => {
    socket.off("connect", onState);
    socket.off("disconnect", onState);
    socket.off("news", onNews);
    socket.disconnect();
  });
  return { connected, news };
}
