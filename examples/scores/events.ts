// Made by Beanpole from the handlers of the server. Do not edit.

/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */
export type Binary = ArrayBuffer | Uint8Array;

/** What acknowledges an event that failed. */
export interface Failure {
  error: string;
  data?: unknown;
}

export interface Board {
  events: Event[] | null;
  matches: Match[] | null;
  node?: string;
}

export interface Event {
  at: number;
  clock?: Match[];
  id: string;
  kind: string;
  match?: Match;
  side: number;
  text: string;
}

export interface Goal {
  minute: number;
  player: string;
  side: number;
}

export interface Match {
  cards: number[];
  goals: Goal[] | null;
  id: string;
  minute: number;
  phase: string;
  score: number[];
  seq: number;
  teams: Team[];
}

export interface Team {
  hue: number;
  name: string;
}

/** What the clients of / are sent. */
export interface ServerToClientEvents {
  board: (board: Board) => void;
  event: (event: Event) => void;
  live: () => void;
}

/** What the clients of / may send. */
export interface ClientToServerEvents {
}
