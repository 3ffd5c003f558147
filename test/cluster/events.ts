// The moment at which the API server told the world of a change: plain watches through kubectl, beside Portico's own.

import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import readline from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kubectl } from './kubectl.ts';
import type { ServiceName } from './objects.ts';

const PATHS = {
  Node: '/api/v1/nodes',
  Service: '/api/v1/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/endpointslices',
} as const;
export type WatchedKind = keyof typeof PATHS;

/** As much of a Kubernetes object as the conditions of the steps look at. */
export interface WatchedObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly taints?: readonly { readonly key: string }[];
    readonly unschedulable?: boolean;
    readonly externalTrafficPolicy?: string;
    readonly type?: string;
    readonly ports?: readonly { readonly nodePort?: number }[];
  };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
  readonly endpoints?:
    | readonly {
        readonly nodeName?: string;
        readonly conditions: {
          readonly ready?: boolean;
          readonly serving?: boolean;
          readonly terminating?: boolean;
        };
      }[]
    | null;
}

export interface WatchedEvent {
  /** `performance.now()` of this process when the event's line had arrived. */
  readonly atMs: number;
  readonly kind: WatchedKind;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: WatchedObject;
}

type Condition = (event: WatchedEvent) => boolean;

export class EventWatch {
  readonly #kubectl: Kubectl;
  readonly #waiting = new Set<{ readonly fits: Condition; readonly found: (event: WatchedEvent) => void }>();
  readonly #processes = new Map<WatchedKind, ChildProcess>();
  readonly #loops: Promise<void>[] = [];
  #closed = false;

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
  }

  start(): void {
    for (const kind of Object.keys(PATHS) as WatchedKind[]) {
      this.#loops.push(this.#follow(kind));
    }
  }

  /** Resolves with the first event from now on that fits; call it before the command that causes the event. */
  next(what: string, fits: Condition, limitMs = 10_000): Promise<WatchedEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<WatchedEvent>();
    const entry = {
      fits,
      found: (event: WatchedEvent): void => {
        clearTimeout(timer);
        this.#waiting.delete(entry);
        resolve(event);
      },
    };
    const timer = setTimeout(() => {
      this.#waiting.delete(entry);
      reject(new Error(`no event within ${limitMs} ms: ${what}`));
    }, limitMs);
    this.#waiting.add(entry);
    // A step that fails before it comes back for the event has reported its own reason.
    promise.catch(() => {});
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const child of this.#processes.values()) {
      child.kill('SIGKILL');
    }
    await Promise.all(this.#loops);
  }

  async #follow(kind: WatchedKind): Promise<void> {
    while (!this.#closed) {
      // Without a resourceVersion a watch begins with what is there, so that a new one misses nothing.
      const child = spawn(this.#kubectl.program, ['get', '--raw', `${PATHS[kind]}?watch=true`], {
        env: { ...process.env, ...this.#kubectl.environment },
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      this.#processes.set(kind, child);
      for await (const line of readline.createInterface({ input: child.stdout })) {
        this.#read(kind, line);
      }
      // The API server went away (a step kills it); asked again at the pace of a person.
      await delay(200);
    }
  }

  #read(kind: WatchedKind, line: string): void {
    const atMs = performance.now();
    let parsed: { type: WatchedEvent['type'] | 'ERROR' | 'BOOKMARK'; object: WatchedObject };
    try {
      parsed = JSON.parse(line) as typeof parsed;
    } catch {
      // The last line of a stream that was cut: the next watch begins with a fresh list.
      return;
    }
    if (parsed.type === 'ERROR' || parsed.type === 'BOOKMARK') {
      return;
    }
    const event = { atMs, kind, type: parsed.type, object: parsed.object };
    for (const entry of [...this.#waiting]) {
      if (entry.fits(event)) {
        entry.found(event);
      }
    }
  }
}

/** An event of this service. */
export const isService =
  (name: ServiceName, fits: (event: WatchedEvent) => boolean) =>
  (event: WatchedEvent): boolean =>
    event.kind === 'Service' &&
    event.object.metadata.namespace === name.namespace &&
    event.object.metadata.name === name.name &&
    fits(event);

/** An endpoint of the service on the node, in the given condition, has appeared (or, with null, none is left). */
export const isSlice =
  (service: ServiceName, node: string, condition: 'ready' | 'terminating' | null) =>
  (event: WatchedEvent): boolean => {
    const { metadata } = event.object;
    if (
      event.kind !== 'EndpointSlice' ||
      metadata.namespace !== service.namespace ||
      metadata.labels?.['kubernetes.io/service-name'] !== service.name
    ) {
      return false;
    }
    // A slice without any says null.
    const here = (event.object.endpoints ?? []).filter((endpoint) => endpoint.nodeName === node);
    return condition === null
      ? here.length === 0
      : here.some((endpoint) => endpoint.conditions[condition] === true);
  };
