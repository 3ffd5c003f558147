// What changes all the time during a soak run: targets that come and go, the configuration, and the access log's file.

import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Portico } from '../integration/portico.ts';
import type { EchoTarget, Http2Target, HttpTarget } from './targets.ts';

/** The first of the targets never leave, so that there is always somebody to answer. */
const STEADY = 2;

export interface World {
  readonly targets: readonly HttpTarget[];
  readonly modern: Http2Target;
  readonly echo: EchoTarget;
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly directory: string;
}

/** The configuration of step `step`: which targets are named, and whether the extra listener and pool are there. */
export function configurationOf(world: World, step: number): object {
  const { targets, modern, echo, certificate, directory } = world;
  const named = targets.filter((_, at) => at < STEADY || (step + at) % 3 !== 0);
  const extra = step % 2 === 1;
  const source = { static: named.map(({ at }) => at) };
  const pools = [
    { name: 'app', sources: [source], health: { tcp: {}, interval: '1s' }, ejection: { base: '1s' } },
    // Ends often and is made anew: a pool whose connections never grow old.
    { name: 'short', sources: [source], connections: { idle: '1s', requests: 20 } },
    { name: 'modern', protocol: 'http2', sources: [{ static: [modern.at] }] },
    { name: 'echo', sources: [{ static: [echo.at] }] },
    ...(extra ? [{ name: 'extra', sources: [source], policy: 'rendezvous' }] : []),
  ];
  return {
    workers: 2,
    stateDirectory: null,
    admin: { bind: '127.0.0.1:0' },
    log: { access: { path: path.join(directory, 'access.jsonl') } },
    listeners: [
      { name: 'web', bind: '127.0.0.1:0', protocol: 'http' },
      { name: 'secure', bind: '127.0.0.1:0', protocol: 'https', tls: { certificates: [certificate] } },
      { name: 'tunnel', bind: '127.0.0.1:0', protocol: 'tcp', pool: 'echo' },
      ...(extra ? [{ name: 'extra', bind: '127.0.0.1:0', protocol: 'tcp', pool: 'extra' }] : []),
    ],
    pools,
    routes: [
      {
        name: 'all',
        hosts: ['*'],
        rules: [
          { matches: [{ path: { prefix: '/modern' } }], pools: [{ name: 'modern' }] },
          { matches: [{ path: { exact: '/big' } }], pools: [{ name: 'short' }] },
          { pools: [{ name: 'app', weight: 1 + (step % 5) }, { name: 'short' }] },
        ],
      },
    ],
  };
}

/** Changes one thing after the other, one every `periodMs`, until it is told to stop. */
export class Churn {
  readonly counts = { reloads: 0, flaps: 0, rotations: 0 };
  readonly #portico: Portico;
  readonly #world: World;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(portico: Portico, world: World, periodMs: number) {
    this.#portico = portico;
    this.#world = world;
    this.#running = this.#loop(periodMs);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #loop(periodMs: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let step = 1; ; step += 1) {
      // Rejects when it is told to stop.
      const goesOn = await sleep(periodMs, true, { signal }).catch(() => false);
      if (!goesOn) return;
      if (step % 2 === 0) await this.#reload(step / 2);
      else if (step % 15 === 0) await this.#rotate();
      else await this.#flap(step);
    }
  }

  async #reload(step: number): Promise<void> {
    await this.#portico.configure(configurationOf(this.#world, step));
    this.#portico.signal('SIGHUP');
    this.counts.reloads += 1;
  }

  async #flap(step: number): Promise<void> {
    const flapping = this.#world.targets.slice(STEADY);
    const target = flapping[step % flapping.length]!;
    if (target.up) await target.leave();
    else await target.comeBack();
    this.counts.flaps += 1;
  }

  async #rotate(): Promise<void> {
    const file = path.join(this.#world.directory, 'access.jsonl');
    await rename(file, `${file}.1`);
    this.#portico.signal('SIGUSR1');
    await rm(`${file}.1`);
    this.counts.rotations += 1;
  }
}
