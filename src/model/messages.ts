// What the three roles say to each other over their IPC channels (structured clone, handles beside the message).

import type { FailureCode } from './failures.ts';

/** A listening address; the supervisor knows nothing else of a configuration. */
export interface ListenAddress {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
}

/** A snapshot as it travels: text of `snapshot/encode.ts` that the supervisor passes on unread. */
export interface Publication {
  readonly version: number;
  /** The version that the text begins from; null when it stands for itself. */
  readonly base: number | null;
  readonly text: string;
  readonly listeners: readonly ListenAddress[];
}

/** Series and values of one worker; the shape is telemetry's. */
export interface MetricsMessage {
  readonly epoch: number;
  readonly series: readonly string[] | null;
  readonly values: Float64Array;
}

export type ControllerToSupervisor =
  | { readonly kind: 'publish'; readonly publication: Publication }
  /** The version in force as one whole text, instead of the texts that have come since the last one: for workers to come. */
  | { readonly kind: 'keep'; readonly publication: Publication }
  /** The first configuration could not be loaded: there is nothing to run. */
  | { readonly kind: 'unusable'; readonly report: string }
  | { readonly kind: 'settings'; readonly workers: number }
  /** For one worker, or for all when `worker` is null; each answers on its own. */
  | {
      readonly kind: 'ask';
      readonly worker: string | null;
      readonly id: number;
      readonly question: WorkerQuestion;
    }
  /** The configuration in force with its secrets, for a controller that is started while the file is broken. */
  | { readonly kind: 'keep-configuration'; readonly configuration: unknown }
  /** Totals of workers that are gone, and what operators drain, kept for the next controller. */
  | { readonly kind: 'retain'; readonly state: unknown };

export type SupervisorToController =
  | {
      readonly kind: 'start';
      readonly retained: unknown;
      readonly configuration: unknown;
      readonly version: number;
    }
  | { readonly kind: 'reload' }
  | { readonly kind: 'bound'; readonly version: number; readonly addresses: readonly BoundAddress[] }
  /** An address could not be bound: the publication was dropped and the one before serves on. */
  | {
      readonly kind: 'bind-failed';
      readonly version: number;
      readonly listener: string;
      readonly error: string;
    }
  /** A publication does not begin from the version in force here: it was dropped, and a whole one is needed. */
  | { readonly kind: 'whole-needed'; readonly version: number }
  | { readonly kind: 'worker-started'; readonly worker: string; readonly pid: number }
  | { readonly kind: 'worker-said'; readonly worker: string; readonly message: WorkerToController }
  | {
      readonly kind: 'process-exited';
      readonly role: 'worker' | 'controller';
      readonly worker: string;
      readonly reason: string;
    }
  /** Lines of the supervisor's own log that were not written, since it told of them last. */
  | { readonly kind: 'lines-lost'; readonly reason: string; readonly lines: number }
  | { readonly kind: 'draining' };

export interface BoundAddress {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export type SupervisorToWorker =
  /** Comes with the handle of the bound socket. */
  | { readonly kind: 'listener'; readonly address: ListenAddress }
  /** Several bring a worker up to date; `more` marks those that another follows, so that only the last is applied. */
  | { readonly kind: 'snapshot'; readonly version: number; readonly text: string; readonly more: boolean }
  | { readonly kind: 'reopen-logs' }
  /**
   * Stop accepting, let what is in flight end, then exit. Connections that wait for a request are closed after
   * `idleMs`, whatever is left after `deadlineMs` is cut.
   */
  | { readonly kind: 'drain'; readonly idleMs: number; readonly deadlineMs: number }
  | { readonly kind: 'ask'; readonly id: number; readonly question: WorkerQuestion }
  /** A new controller has not seen this worker's series. */
  | { readonly kind: 'report-anew' };

/** What a worker tells the controller; the supervisor passes it on. */
export type WorkerToController =
  | { readonly kind: 'applied'; readonly version: number }
  | { readonly kind: 'rejected'; readonly version: number; readonly error: string }
  | { readonly kind: 'metrics'; readonly frame: MetricsMessage }
  | { readonly kind: 'proven'; readonly pool: string; readonly identity: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: WorkerAnswer };

export type WorkerToSupervisor =
  | { readonly kind: 'up' }
  /** The first snapshot is in force and the listeners accept. */
  | { readonly kind: 'serving' }
  | { readonly kind: 'drained' }
  /** A text begins from a version that this worker does not have. */
  | { readonly kind: 'missed' }
  | { readonly kind: 'to-controller'; readonly message: WorkerToController };

/** What the controller asks a worker: only the data plane knows its flows and where a request would go. */
export type WorkerQuestion =
  | {
      readonly kind: 'route';
      /** Scheme, host, port and path of the request as the client would send it. */
      readonly url: string;
      readonly method: string;
      readonly headers: readonly { readonly name: string; readonly value: string }[];
    }
  /** Requests, tunnels and tcp connections on a node, or with node null on the whole cluster. */
  | { readonly kind: 'flows'; readonly cluster: string; readonly node: string | null }
  /** The hash tables of its pools. */
  | { readonly kind: 'tables' };

export type WorkerAnswer =
  | { readonly kind: 'route'; readonly route: RoutedRequest }
  | { readonly kind: 'flows'; readonly flows: number }
  | { readonly kind: 'tables'; readonly tables: readonly HashTable[] };

/** What is published of a pool's hash table. */
export interface HashTable {
  readonly pool: string;
  readonly policy: string;
  /** Hex; equal in every Portico that sends the same keys to the same targets. */
  readonly checksum: string;
}

/** The way that a request would take in a worker now. */
export interface RoutedRequest {
  /** Null when no http or https listener has the URL's port. */
  readonly listener: string | null;
  readonly route: string | null;
  /** Name of the rule, or `#n` counting from 1. */
  readonly rule: string | null;
  readonly captures: Readonly<Record<string, string>>;
  readonly action: 'pools' | 'service' | 'redirect' | 'respond' | 'none';
  readonly pools: readonly {
    readonly name: string;
    /** Share among the rule's pools, 0 to 1. */
    readonly weight: number;
    /** `address:port` that the policy would choose now; null when there is none. */
    readonly pick: string | null;
  }[];
  /** What Portico would answer by itself; null when a target answers. */
  readonly failure: FailureCode | null;
}
