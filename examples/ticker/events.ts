// Made by Beanpole from the handlers of the server. Do not edit.

/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */
export type Binary = ArrayBuffer | Uint8Array;

/** What acknowledges an event that failed. */
export interface Failure {
  error: string;
  data?: unknown;
}

export interface Listing {
  name: string;
  open: number;
  price: number;
  symbol: string;
}

export interface Past {
  end: number;
  prices: number[] | null;
  step: number;
  symbol: string;
}

export interface Welcome {
  interval: number;
  listings: Listing[] | null;
  node?: string;
}

/** What the clients of / are sent. */
export interface ServerToClientEvents {
  tick: (arg1: string, arg2: number, arg3: number) => void;
  welcome: (welcome: Welcome) => void;
}

/** What the clients of / may send. */
export interface ClientToServerEvents {
  follow: (arg1: string, ack: (answer: Past | Failure) => void) => void;
  unfollow: (arg1: string) => void;
}
