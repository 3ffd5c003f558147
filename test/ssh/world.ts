// What each file of tests here begins with: the edge's network, two clients, machines with sshd, and Portico before them.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EDGE_ADDRESS, Network } from '../cluster/netns/network.ts';
import { createSshFixture, type SshFixture } from '../cluster/sshd.ts';
import { Portico } from '../integration/portico.ts';
import { requirePeers } from '../support/peers.ts';
import { until } from '../support/until.ts';
import { ClientMachine } from './client-machine.ts';
import { type Address, type Machine, type MachineContext, SSH_PROGRAMS } from './machine.ts';
import { SshMachine } from './ssh-machine.ts';

const FIRST_MACHINE = 11;

export class SshWorld {
  readonly context: MachineContext;
  readonly alice: ClientMachine;
  readonly bob: ClientMachine;
  #portico: Portico | null = null;
  readonly #machines: Machine[] = [];
  #index = FIRST_MACHINE;

  private constructor(context: MachineContext, alice: ClientMachine, bob: ClientMachine) {
    this.context = context;
    this.alice = alice;
    this.bob = bob;
  }

  /** In the namespace that `npm run test:ssh` makes. */
  static async start(): Promise<SshWorld> {
    const run = process.env['PORTICO_RUN'];
    assert.ok(run !== undefined, 'npm run test:ssh makes the namespace that this runs in');
    const programs = requirePeers(SSH_PROGRAMS);
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-ssh-'));
    const fixture = await createSshFixture(path.join(directory, 'ssh'), programs);
    const network = new Network(programs, run);
    await network.start();
    const context = { network, fixture, programs, directory };
    return new SshWorld(context, await ClientMachine.boot(context, 1), await ClientMachine.boot(context, 2));
  }

  get fixture(): SshFixture {
    return this.context.fixture;
  }

  get portico(): Portico {
    return this.#portico!;
  }

  sshd(settings: readonly string[] = []): Promise<SshMachine> {
    return this.add((index) => SshMachine.boot(this.context, index, settings));
  }

  /** A machine of any kind in the next place; it goes with the test that asked for it. */
  async add<Kind extends Machine>(boot: (index: number) => Promise<Kind>): Promise<Kind> {
    const machine = await boot(this.#index++);
    this.#machines.push(machine);
    return machine;
  }

  /** Starts Portico with one pool and its listener, unless `over` has others; where the listener is. */
  async serve(pool: object, over: object = {}, listener = 'git-ssh'): Promise<Address> {
    this.#portico = await Portico.start({
      workers: 2,
      listeners: [{ name: 'git-ssh', bind: '0.0.0.0:0', protocol: 'tcp', pool: 'git' }],
      pools: [{ name: 'git', ...pool }],
      admin: { bind: '127.0.0.1:0' },
      log: { access: { path: 'off' } },
      ...over,
    });
    return this.at(listener);
  }

  at(listener: string): Address {
    return { host: EDGE_ADDRESS, port: this.portico.port(listener) };
  }

  /** Waits until the admin HTTP says this of one of the targets that it lists. */
  async untilHealth(filter: Readonly<Record<string, string>>, health: string): Promise<void> {
    const query = new URLSearchParams(filter);
    await until(`${query} to be ${health}`, async () => {
      const { status, body } = await this.portico.admin(`/targets?${query}`);
      // It has not heard of them yet.
      if (status === 404) return false;
      const { targets } = JSON.parse(body) as { targets: { readonly health: string }[] };
      return targets.some((target) => target.health === health);
    });
  }

  /** Ends what a test has started. */
  async clear(): Promise<void> {
    const left = (await this.#portico?.close()) ?? [];
    this.#portico = null;
    for (const machine of this.#machines.splice(0)) await machine.close();
    assert.deepEqual(left, [], 'no process outlives the program');
  }

  async close(): Promise<void> {
    await this.alice.close();
    await this.bob.close();
    await rm(this.context.directory, { recursive: true });
  }
}
