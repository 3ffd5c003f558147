// A machine with Gitea on it: its HTTP server, and the SSH server of its own, which demands PROXY headers.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Machine, type MachineContext } from '../machine.ts';
import type { GiteaProgram } from './build.ts';

const HTTP_PORT = 3000;
const SSH_PORT = 2222;
export const USER = 'octocat';

/** Further lines of sections of its configuration. */
export interface GiteaSettings {
  readonly server?: readonly string[];
  readonly security?: readonly string[];
}

export class GiteaMachine extends Machine {
  readonly #gitea: GiteaProgram;
  readonly #home: string;

  private constructor(gitea: GiteaProgram, ...base: ConstructorParameters<typeof Machine>) {
    super(...base);
    this.#gitea = gitea;
    this.#home = path.join(this.context.directory, this.place.name);
  }

  static async boot(
    context: MachineContext,
    index: number,
    gitea: GiteaProgram,
    settings: GiteaSettings,
  ): Promise<GiteaMachine> {
    const place = await context.network.addNode(`gitea-${index}`, index);
    const machine = new GiteaMachine(gitea, place, context);
    await machine.#start(settings);
    return machine;
  }

  get httpAt(): string {
    return `${this.place.address}:${HTTP_PORT}`;
  }

  get sshAt(): string {
    return `${this.place.address}:${SSH_PORT}`;
  }

  /** A line for each request. */
  async accessLog(): Promise<string> {
    return await readFile(path.join(this.#home, 'log/access.log'), 'utf8');
  }

  /** Everything else that it logs. */
  async log(): Promise<string> {
    return await readFile(this.logPath('gitea'), 'utf8');
  }

  /** A user, and a token that may do all that the user may. */
  async createUser(): Promise<string> {
    const user = ['--username', USER];
    const account = ['--email', `${USER}@example.com`, '--random-password', '--must-change-password=false'];
    await this.#command('admin', 'user', 'create', ...user, ...account);
    const token = ['--scopes', 'all', '--raw'];
    const said = await this.#command('admin', 'user', 'generate-access-token', ...user, ...token);
    // Among lines of the log, which goes to the console.
    return /^[0-9a-f]{40}$/m.exec(said)![0];
  }

  async #start({ server = [], security = [] }: GiteaSettings): Promise<void> {
    // Its command for SSH sessions fails before there is a first repository.
    const repositories = path.join(this.#home, 'repositories');
    await mkdir(repositories, { recursive: true });
    const lines = [
      'I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true',
      'RUN_MODE = prod',
      `WORK_PATH = ${this.#home}`,
      '[server]',
      'HTTP_ADDR = 0.0.0.0',
      `HTTP_PORT = ${HTTP_PORT}`,
      `LOCAL_ROOT_URL = http://127.0.0.1:${HTTP_PORT}/`,
      `STATIC_ROOT_PATH = ${this.#gitea.files}`,
      'START_SSH_SERVER = true',
      'SSH_LISTEN_HOST = 0.0.0.0',
      `SSH_LISTEN_PORT = ${SSH_PORT}`,
      'BUILTIN_SSH_SERVER_USER = git',
      'SSH_SERVER_USE_PROXY_PROTOCOL = true',
      `SSH_ROOT_PATH = ${path.join(this.#home, 'ssh')}`,
      'OFFLINE_MODE = true',
      ...server,
      '[database]',
      'DB_TYPE = sqlite3',
      '[security]',
      'INSTALL_LOCK = true',
      ...security,
      '[repository]',
      `ROOT = ${repositories}`,
      'ENABLE_PUSH_CREATE_USER = true',
      '[actions]',
      'ENABLED = false',
      '[log]',
      'MODE = console',
      'LEVEL = Debug',
      `ROOT_PATH = ${path.join(this.#home, 'log')}`,
      'logger.access.MODE = file',
    ];
    await writeFile(this.#configuration, `${lines.join('\n')}\n`);
    await this.#command('migrate');
    const child = this.start('gitea', [this.#gitea.program, 'web', '--config', this.#configuration]);
    await this.untilListening(child, HTTP_PORT);
    await this.untilListening(child, SSH_PORT);
  }

  get #configuration(): string {
    return path.join(this.#home, 'app.ini');
  }

  #command(...words: string[]): Promise<string> {
    return this.run([this.#gitea.program, '--config', this.#configuration, ...words]);
  }
}
