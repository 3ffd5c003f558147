// The stage of one wire fault: a worker with raw peers, names, logs, and words for what a client saw.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { BlackHole } from '../support/black-hole.ts';
import { answering, DataPlane, eventually, type RawPeer, RawServer, Stage } from '../support/data-plane.ts';
import { listenerConfig, type PoolShape, snapshotOf } from '../support/snapshots.ts';
import { until } from '../support/until.ts';

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
export const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
export const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';

export class Scene {
  readonly stage = new Stage();
  /** While true the scripted targets misbehave; `heal` ends it. */
  faulty = true;
  readonly #directory: string;
  readonly #holes: BlackHole[] = [];
  readonly #healing: (() => Promise<void>)[] = [];
  readonly #names = new Map<string, string | null>();
  readonly #codes: string[] = [];
  #version = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(): Promise<Scene> {
    const scene = new Scene(await mkdtemp(path.join(tmpdir(), 'portico-fault-')));
    await scene.plane.close();
    const write = (line: string): void => {
      scene.#codes.push((JSON.parse(line) as { code: string }).code);
    };
    scene.stage.plane = new DataPlane(pino({ level: 'debug' }, { write }), {
      resolveName: (name) => scene.#resolve(name),
    });
    return scene;
  }

  get plane(): DataPlane {
    return this.stage.plane;
  }

  /** Listeners `web` (http) and `tcp`, both to one pool of these targets. */
  serve(
    targets: readonly string[],
    over: Partial<PoolShape> = {},
    health: 'healthy' | 'unhealthy' = 'healthy',
  ): void {
    this.#version += 1;
    const timeouts = { headerMs: 10_000, idleMs: 60_000 };
    this.plane.apply(
      snapshotOf({
        version: this.#version,
        listeners: [
          listenerConfig(),
          listenerConfig({ name: 'tcp', protocol: 'tcp', pool: 'pool-0', timeouts }),
        ],
        pools: [{ targets: targets.map((at) => ({ at, health })), ...over }],
        accessLogPath: path.join(this.#directory, 'access.jsonl'),
      }),
    );
  }

  /** The cause of the fault goes away; what Portico has learnt of it stays. */
  async heal(): Promise<void> {
    this.faulty = false;
    for (const heal of this.#healing) await heal();
  }

  onHeal(heal: () => Promise<void>): void {
    this.#healing.push(heal);
  }

  /** A target that does this with each connection while the scene is faulty, and answers everything later. */
  target(misbehave: (peer: RawPeer, index: number) => void): Promise<RawServer> {
    return this.stage.backend((peer, index) => {
      if (this.faulty) misbehave(peer, index);
      else answering(OK)(peer);
    });
  }

  /** A target that answers everything. */
  sound(): Promise<RawServer> {
    return this.stage.backend(answering(OK));
  }

  /** A target that waits for a request head and then misbehaves. */
  afterRequest(misbehave: (peer: RawPeer, index: number) => void): Promise<RawServer> {
    return this.stage.backend((peer, index) => {
      void peer
        .until(() => peer.received.includes('\r\n\r\n') || peer.closed, 60_000)
        .then(() => {
          if (peer.closed) return;
          if (this.faulty) return misbehave(peer, index);
          // Connected while the fault lasted, and asked after it.
          peer.take();
          peer.send(OK);
          answering(OK)(peer);
        });
    });
  }

  /** An address that refuses connections until the scene is healed. */
  async refusing(): Promise<string> {
    const at = await this.stage.refusing();
    this.onHeal(async () => {
      const server = new RawServer(answering(OK));
      this.stage.servers.push(server);
      server.server.listen(Number(at.split(':')[1]), '127.0.0.1');
      await once(server.server, 'listening');
    });
    return at;
  }

  /** An address that answers no connect until the scene is healed. */
  async blackHole(): Promise<string> {
    const hole = await BlackHole.open();
    this.#holes.push(hole);
    this.onHeal(async () => {
      await this.#closeHoles();
      const server = new RawServer(answering(OK));
      this.stage.servers.push(server);
      server.server.listen(Number(hole.at.split(':')[1]), '127.0.0.1');
      await once(server.server, 'listening');
    });
    return hole.at;
  }

  /** What the name server says of a name from now on; null is that there is no such name. */
  name(name: string, address: string | null): void {
    this.#names.set(name, address);
  }

  async #resolve(name: string): Promise<readonly { address: string; family: number }[]> {
    const address = this.#names.get(name) ?? null;
    if (address !== null) return [{ address, family: 4 }];
    // What getaddrinfo's error looks like in Node.
    throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
    });
  }

  /** Sends this and says what came of it. */
  async ask(request = GET): Promise<string> {
    const client = await this.stage.client();
    client.send(request);
    return this.outcome(client);
  }

  /** What the client got: `200`, `502 upstream-reset`, `200, cut by a reset`, `reset`, `closed`. */
  async outcome(client: RawPeer): Promise<string> {
    await client.until(() => client.closed || client.ended || isWhole(client.received), 20_000);
    // A reset may be told after an end.
    if (!isWhole(client.received) && client.ended)
      await client.until(() => client.closed, 200).catch(() => {});
    const { received } = client;
    const status = /^HTTP\/1\.1 (\d+)/.exec(received)?.[1];
    const code = /details="([^"]+)"/.exec(received)?.[1];
    const end = client.error === null ? 'closed' : 'reset';
    if (status === undefined) return end;
    if (isWhole(received)) return code === undefined ? status : `${status} ${code}`;
    return `${status}, cut by a ${end === 'reset' ? 'reset' : 'close'}`;
  }

  until(condition: () => boolean, what = 'a state'): Promise<void> {
    return eventually(what, condition);
  }

  /** `reason` of each line that the access log has. */
  async reasons(): Promise<readonly (string | null)[]> {
    const text = await readFile(path.join(this.#directory, 'access.jsonl'), 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => (JSON.parse(line) as { reason: string | null }).reason);
  }

  /** Waits for an access log line with this reason. */
  async untilReason(reason: string): Promise<void> {
    let reasons: readonly (string | null)[] = [];
    const isThere = async (): Promise<boolean> => {
      reasons = await this.reasons();
      return reasons.includes(reason);
    };
    await until(reason, isThere, 10_000).catch(() => assert.fail(`no ${reason} among ${reasons.join()}`));
  }

  /** Waits for a line of the worker's own log with this code. */
  logged(code: string): Promise<void> {
    return this.until(() => this.#codes.includes(code), `log line ${code}`);
  }

  async close(): Promise<void> {
    for (const client of this.stage.clients.splice(0)) client.destroy();
    await this.plane.close();
    for (const server of this.stage.servers.splice(0)) await server.close();
    await this.#closeHoles();
    await rm(this.#directory, { recursive: true });
  }

  async #closeHoles(): Promise<void> {
    for (const hole of this.#holes.splice(0)) await hole.close();
  }
}

/** A whole answer: by its length, or by its last chunk. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const head = answer.slice(0, end).toLowerCase();
  if (head.includes('transfer-encoding: chunked')) return answer.endsWith('\r\n0\r\n\r\n');
  const length = /content-length: (\d+)/.exec(head)?.[1];
  return length !== undefined && answer.length >= end + 4 + Number(length);
}
