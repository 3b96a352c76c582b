// Made by Beanpole from the handlers of the server. Do not edit.

/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */
export type Binary = ArrayBuffer | Uint8Array;

/** What acknowledges an event that failed. */
export interface Failure {
  error: string;
  data?: unknown;
}

export interface Session {
  /** A time, as RFC 3339 writes it. */
  expires: string;
  name: string;
}

/** What the clients of / are sent. */
export interface ServerToClientEvents {
  expired: () => void;
  welcome: (session: Session) => void;
}

/** What the clients of / may send. */
export interface ClientToServerEvents {
  "leave everywhere": (ack?: (failure?: Failure) => void) => void;
  renew: (arg1: string, ack: (answer: Session | Failure) => void) => void;
}
