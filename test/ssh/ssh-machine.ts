// A machine with Debian's sshd on it, and go-mmproxy before that where asked.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { awaitReady, type Child } from '../cluster/child.ts';
import { Machine, type MachineContext } from './machine.ts';

const READY_LIMIT_MS = 30_000;
/** Where go-mmproxy listens; sshd is on 127.0.0.1:22 behind it. */
const MMPROXY_PORT = 2222;

export class SshMachine extends Machine {
  #sshd: Child | null = null;

  /** @param settings lines of sshd_config in front of the others, whose first value counts */
  static async boot(
    context: MachineContext,
    index: number,
    settings: readonly string[] = [],
  ): Promise<SshMachine> {
    const machine = new SshMachine(await context.network.addNode(`sshd-${index}`, index), context);
    await machine.#startSshd(settings);
    return machine;
  }

  /** Where sshd is. */
  get at(): string {
    return `${this.place.address}:22`;
  }

  /** All that sshd has logged. */
  async log(): Promise<string> {
    return await readFile(this.logPath('sshd'), 'utf8');
  }

  /** sshd takes no more connections; the sessions that it has go on. */
  async stopListening(): Promise<void> {
    await this.#sshd!.stop('SIGTERM');
  }

  /** All that go-mmproxy has logged. */
  async mmproxyLog(): Promise<string> {
    return await readFile(this.logPath('mmproxy'), 'utf8');
  }

  async #startSshd(settings: readonly string[]): Promise<void> {
    const { fixture, programs, directory } = this.context;
    // Root's sshd drops privileges into this directory; a package's service script would have made it.
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const file = path.join(directory, `${this.place.name}.conf`);
    const lines = [
      ...settings,
      'ListenAddress 0.0.0.0:22',
      `HostKey ${path.join(fixture.directory, 'host-key')}`,
      `AuthorizedKeysFile ${path.join(fixture.directory, 'authorized_keys')}`,
      `ForceCommand ${path.join(fixture.directory, 'session.sh')}`,
      'PidFile none',
      'AuthenticationMethods publickey',
      'PermitRootLogin prohibit-password',
      'UsePAM no',
      'StrictModes no',
      `SetEnv HOME=${fixture.directory}`,
      'UseDNS no',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    this.#sshd = this.start('sshd', [programs.sshd, '-D', '-e', '-f', file]);
    await this.untilListening(this.#sshd, 22);
  }

  /** go-mmproxy takes PROXY headers on `MMPROXY_PORT`, and connects to sshd as the client that they name. */
  async startMmproxy(): Promise<string> {
    const { network, programs } = this.context;
    // What sshd answers to a client's address must come back to this machine's own sockets (go-mmproxy's README).
    await network.ipIn(this.place.namespace, [
      'rule add from 127.0.0.1/8 iif lo table 123',
      'route add local 0.0.0.0/0 dev lo table 123',
    ]);
    const at = `${this.place.address}:${MMPROXY_PORT}`;
    const words = [programs['go-mmproxy'], '-l', at, '-4', '127.0.0.1:22', '-v', '2'];
    const child = this.start('mmproxy', words);
    await awaitReady(child, READY_LIMIT_MS, async () => (await this.mmproxyLog()).includes('listening'));
    return at;
  }
}
