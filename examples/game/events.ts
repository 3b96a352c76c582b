// Made by Beanpole from the handlers of the server. Do not edit.

/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */
export type Binary = ArrayBuffer | Uint8Array;

/** What acknowledges an event that failed. */
export interface Failure {
  error: string;
  data?: unknown;
}

export interface Rules {
  dt: number;
  grip: number;
  height: number;
  radius: number;
  scale: number;
  speed: number;
  width: number;
}

export interface Runner {
  hue: number;
  id: number;
  name: string;
}

export interface Welcome {
  id: number;
  node?: string;
  rules: Rules;
  runners: Runner[] | null;
}

/** What the clients of / are sent. */
export interface ServerToClientEvents {
  runners: (arg1: Runner[] | null) => void;
  state: (arg1: Binary | null) => void;
}

/** What the clients of / may send. */
export interface ClientToServerEvents {
  input: (arg1: Binary | null, ack?: (failure?: Failure) => void) => void;
  join: (arg1: string, ack: (answer: Welcome | Failure) => void) => void;
  latency: (ack?: (failure?: Failure) => void) => void;
}
