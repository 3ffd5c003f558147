// Everything secret that is in force: certificates and authorities, ticket keys that change in time, and TLS of probes.

import type { Logger } from 'pino';
import type { SecretFact } from '../../model/inventory.ts';
import type { Secrets } from '../../model/secrets.ts';
import type { Loaded } from '../configuration.ts';
import type { Clock } from '../discovery/clock.ts';
import { type CertificateState, Material, type MaterialOptions } from './material.ts';
import { ProbeTls } from './probe-tls.ts';
import { type KeptTicketKeys, ROTATION_MS, TicketRotation } from './ticket-rotation.ts';

/** What a controller leaves to the next one. */
export interface KeptSecrets extends Pick<Loaded, 'secrets'> {
  readonly tickets: KeptTicketKeys;
}

export interface KeyringOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** What the API server of a cluster says of a Secret; `name` is `namespace/name`. */
  readonly secret: (cluster: string, name: string) => SecretFact | 'missing' | undefined;
  /** Something is other than before: the workers are to have it. */
  readonly onChange: () => void;
  readonly onResult: MaterialOptions['onResult'];
}

export class Keyring {
  readonly probes: ProbeTls;
  readonly #options: KeyringOptions;
  readonly #material: Material;
  readonly #tickets: TicketRotation;
  #cancelRotation: () => void = () => {};

  constructor(options: KeyringOptions, kept: KeptSecrets | null) {
    const { clock, log, onChange, onResult } = options;
    this.#options = options;
    this.probes = new ProbeTls(() => this.#material.secrets);
    this.#tickets = new TicketRotation(clock.now(), kept?.tickets ?? null);
    this.#awaitRotation();
    this.#material = new Material(
      {
        clock,
        log,
        onChange: () => {
          this.probes.changed();
          onChange();
        },
        onResult,
      },
      kept?.secrets ?? null,
    );
  }

  /** What the workers need of it. */
  get secrets(): Secrets {
    return { ...this.#material.secrets, ticketKeys: this.#tickets.keys };
  }

  /** What the next controller needs of it. */
  get kept(): KeptSecrets {
    return { secrets: this.#material.secrets, tickets: this.#tickets.kept };
  }

  /** Of every certificate that is in force. */
  get certificates(): readonly CertificateState[] {
    return this.#material.certificates;
  }

  /** Takes what was read with a configuration, without telling of it. */
  follow({ config, secrets }: Loaded): void {
    this.#material.setConfig(config, secrets);
    this.probes.changed();
    this.#takeSecrets();
  }

  /** A Secret may be other than before. */
  refresh(): void {
    if (this.#takeSecrets()) this.#options.onChange();
  }

  async close(): Promise<void> {
    this.#cancelRotation();
    await this.#material.close();
  }

  #takeSecrets(): boolean {
    return this.#material.setSecrets(({ cluster, namespace, name }) => {
      const fact = this.#options.secret(cluster, `${namespace}/${name}`);
      return typeof fact === 'object' ? { cert: fact.cert, key: fact.key, staple: null } : fact;
    });
  }

  #awaitRotation(): void {
    const { clock, log, onChange } = this.#options;
    // A clock that was set back since the keys were made must not put their end off.
    const delayMs = Math.min(ROTATION_MS, Math.max(0, this.#tickets.dueAtMs - clock.now()));
    this.#cancelRotation = clock.after(delayMs, () => {
      this.#tickets.rotate(clock.now());
      onChange();
      log.info({ code: 'ticket-keys-rotated' }, 'session ticket keys rotated');
      this.#awaitRotation();
    });
  }
}
