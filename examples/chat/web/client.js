// The Socket.IO client, or the small one here, so that the chat works where neither npm nor the Internet is.

import { loadClient as loadFull } from "./look.js";

// loadClient returns the function that opens a socket.
export async function loadClient() {
  try {
    return await loadFull();
  } catch {
    return (await import("./small.js")).io; // it does what this page needs
  }
}
