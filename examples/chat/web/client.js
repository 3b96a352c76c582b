// Loading the Socket.IO client: the bundle that the server has or redirects to, else the small one here,
// so that the page works where neither npm nor the Internet is.

const patience = 5000; // milliseconds

// loadClient returns the function that opens a socket, and whether it is the full client.
export async function loadClient() {
  try {
    await script("/socket.io/socket.io.min.js");
    if (typeof window.io === "function") return { io: window.io, full: true };
  } catch {
    // No bundle: the small client does what this page needs.
  }
  const { io } = await import("./small.js");
  return { io, full: false };
}

function script(src) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    const timer = setTimeout(() => fail("too slow"), patience);
    const fail = (why) => {
      clearTimeout(timer);
      element.remove();
      reject(new Error(`${src}: ${why}`));
    };
    element.src = src;
    element.onload = () => {
      clearTimeout(timer);
      resolve();
    };
    element.onerror = () => fail("not loaded");
    document.head.append(element);
  });
}
