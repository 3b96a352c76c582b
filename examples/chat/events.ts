// Made by Beanpole from the handlers of the server. Do not edit.

/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */
export type Binary = ArrayBuffer | Uint8Array;

/** What acknowledges an event that failed. */
export interface Failure {
  error: string;
  data?: unknown;
}

export interface Draft {
  id: string;
  text: string;
}

export interface Entry {
  history: Message[] | null;
  node?: string;
  room: string;
}

export interface Message {
  by: string;
  id: string;
  name: string;
  text: string;
  /** A time, as RFC 3339 writes it. */
  time: string;
}

export interface People {
  at: number;
  count: number;
  people: Person[] | null;
  room: string;
}

export interface Person {
  by: string;
  name: string;
}

/** What the clients of / are sent. */
export interface ServerToClientEvents {
  message: (arg1: string, arg2: Message) => void;
  people: (people: People) => void;
  typing: (arg1: string, arg2: Person) => void;
  you: (arg1: string) => void;
}

/** What the clients of / may send. */
export interface ClientToServerEvents {
  enter: (arg1: string, ack: (answer: Entry | Failure) => void) => void;
  message: (draft: Draft, ack: (answer: Message | Failure) => void) => void;
  typing: (ack?: (failure?: Failure) => void) => void;
}
