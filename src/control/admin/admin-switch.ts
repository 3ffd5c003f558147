// The admin HTTP in force: a changed address is listened on before the former one is left, unless they overlap.

import type { Logger } from 'pino';
import type { AdminConfig } from '../../model/config.ts';
import { type AdminServer, createAdminServer } from './admin-server.ts';
import type { AdminSource } from './admin-source.ts';

const CLOSE_MS = 1000;

interface InForce {
  readonly server: AdminServer;
  readonly config: AdminConfig;
}

export class AdminSwitch {
  readonly #source: AdminSource;
  readonly #log: Logger;
  #inForce: InForce | null = null;

  constructor(source: AdminSource, log: Logger) {
    this.#source = source;
    this.#log = log;
  }

  /** Rejects, having changed nothing, when the address cannot be listened on. */
  async use(config: AdminConfig): Promise<void> {
    const before = this.#inForce;
    if (before !== null && isSameAddress(before.config, config)) {
      before.server.follow(config);
      this.#inForce = { server: before.server, config };
      return;
    }
    if (before !== null && overlap(before.config, config)) return await this.#leaveFirst(before, config);
    await this.#listen(config);
    void before?.server.close(CLOSE_MS);
  }

  /** Its own address is in the way. Where another was, too, that is taken again. */
  async #leaveFirst(before: InForce, config: AdminConfig): Promise<void> {
    void before.server.close(CLOSE_MS);
    try {
      await this.#listen(config);
    } catch (error) {
      await this.#listen(before.config);
      throw error;
    }
  }

  async #listen(config: AdminConfig): Promise<void> {
    const server = createAdminServer({ config, source: this.#source, logger: this.#log });
    await server.listen();
    this.#inForce = { server, config };
  }

  async close(): Promise<void> {
    await this.#inForce?.server.close(CLOSE_MS);
  }
}

function isSameAddress(left: AdminConfig, right: AdminConfig): boolean {
  return left.host === right.host && left.port === right.port && left.unixPath === right.unixPath;
}

/** One of them is every address of the port that both are on; port 0 is another one each time. */
function overlap(left: AdminConfig, right: AdminConfig): boolean {
  const isEvery = ({ host }: AdminConfig): boolean => host === '0.0.0.0' || host === '::';
  const onTcp = left.unixPath === null && right.unixPath === null;
  return onTcp && left.port !== 0 && left.port === right.port && (isEvery(left) || isEvery(right));
}
