// The Socket.IO client, or the small one here, so that the chat works where neither npm nor the Internet is.

import { loadClient as loadFull } from "./look.js";
import { io as small } from "./small.js"; // it does what this page needs

// loadClient returns the function that opens a socket.
export const loadClient = () => loadFull().catch(() => small);
