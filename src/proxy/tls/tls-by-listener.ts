// TLS of all https listeners of a worker: built anew only where configuration, certificates or authorities have changed.

import type { ListenerConfig } from '../../model/listener-config.ts';
import { NO_SECRETS, type Secrets } from '../../model/secrets.ts';
import type { TlsContexts } from '../wire/tls-context.ts';
import { ListenerTls } from './listener-tls.ts';

export class TlsByListener {
  readonly #wallClock: () => number;
  readonly #contexts: TlsContexts;
  /** In force, by listener name. */
  #tls: ReadonlyMap<string, ListenerTls> = new Map();
  /** Those that it was built with. */
  #secrets: Secrets = NO_SECRETS;

  /** @param wallClock epoch milliseconds */
  constructor(contexts: TlsContexts, wallClock: () => number) {
    this.#contexts = contexts;
    this.#wallClock = wallClock;
  }

  /** Throws when a certificate, key or authority cannot be used; changes nothing before `commit`. */
  build(configs: readonly ListenerConfig[], secrets: Secrets): ReadonlyMap<string, ListenerTls> {
    const built = new Map<string, ListenerTls>();
    for (const config of configs)
      if (config.tls !== null) built.set(config.name, this.#build(config, secrets));
    return built;
  }

  /** Contexts are dear, and most snapshots are about targets: then both are the objects that they were, and nothing is hashed. */
  #build(config: ListenerConfig, secrets: Secrets): ListenerTls {
    const before = this.#tls.get(config.name);
    if (before !== undefined) {
      if (secrets === this.#secrets && before.config === config) return before;
      if (before.key === ListenerTls.keyOf(config, secrets)) return before;
    }
    return new ListenerTls(config, secrets, this.#contexts, this.#wallClock);
  }

  commit(built: ReadonlyMap<string, ListenerTls>, secrets: Secrets): void {
    this.#tls = built;
    this.#secrets = secrets;
    this.#contexts.setTicketKeys(secrets.ticketKeys);
  }
}
