// Made by Beanpole from the handlers of the server. Do not edit.

/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */
export type Binary = ArrayBuffer | Uint8Array;

/** What acknowledges an event that failed. */
export interface Failure {
  error: string;
  data?: unknown;
}

export interface Article {
  /** A time, as RFC 3339 writes it. */
  at: string;
  tags?: string[];
  title: string;
}

export interface Line {
  count: number;
  item: string;
  notes: Record<string, string> | null;
  photo: Binary | null;
}

export interface Receipt {
  price: number;
  status: Status;
}

export type Status = "cooking" | "done";

/** What the clients of / are sent. */
export interface ServerToClientEvents {
  news: (article: Article) => void;
  tick: (arg1: string, arg2: number, arg3: number) => void;
}

/** What the clients of / may send. */
export interface ClientToServerEvents {
  order: (line: Line, ack: (answer: Receipt | Failure) => void) => void;
}
