// The admin HTTP in force: a changed address is listened on before the former one is left.

import type { Logger } from 'pino';
import type { AdminConfig } from '../../model/config.ts';
import { type AdminServer, createAdminServer } from './admin-server.ts';
import type { AdminSource } from './admin-source.ts';

const CLOSE_MS = 1000;

export class AdminSwitch {
  readonly #source: AdminSource;
  readonly #log: Logger;
  #current: AdminServer | null = null;
  /** Where it listens, as configured. */
  #key = '';

  constructor(source: AdminSource, log: Logger) {
    this.#source = source;
    this.#log = log;
  }

  /** Rejects, having changed nothing, when the address cannot be listened on. */
  async use(config: AdminConfig): Promise<void> {
    const { host, port, unixPath } = config;
    const key = JSON.stringify([host, port, unixPath]);
    if (key === this.#key) return this.#current?.follow(config);
    const server = createAdminServer({ config, source: this.#source, logger: this.#log });
    await server.listen();
    void this.#current?.close(CLOSE_MS);
    this.#current = server;
    this.#key = key;
  }

  async close(): Promise<void> {
    await this.#current?.close(CLOSE_MS);
  }
}
