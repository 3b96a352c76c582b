// How each kind of client is set for a balancer with cookies. docs/clients.md shows these lines.

// credentials: Node, 4.7 and later, and every page of another origin.
export function credentials(io, url) {
  const socket = io(url, { withCredentials: true });
  return socket;
}

// fetched: Node, before 4.7.
export async function fetched(io, url) {
  const answer = await fetch(url + "/healthz");
  const cookie = /AWSALB=[^;]+/.exec(answer.headers.get("set-cookie"))[0];
  const socket = io(url, { extraHeaders: { cookie } });
  return socket;
}

export function websocketOnly(io, url) {
  const socket = io(url, { transports: ["websocket"] });
  return socket;
}
