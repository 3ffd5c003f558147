// How many client connections the process's descriptors allow, so that accepted requests can still reach a target.

/** Kept for logs, IPC, files and whatever libraries open. */
const OWN = 64;
/** Said again only after it has been better by this share. */
const CALM = 0.9;

export interface DescriptorsOptions {
  /** Descriptors that the process may have open (RLIMIT_NOFILE); Infinity where it is not known. */
  readonly limit: number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

/**
 * At the limit itself nothing good happens: libuv closes what it cannot accept without telling anybody, and a request
 * that was accepted has no socket for its target. So a worker takes clients for half of its descriptors, as HAProxy
 * reckons its `maxconn`, and refuses more where it can be counted.
 */
export class Descriptors {
  readonly #options: DescriptorsOptions;
  #listeners = 0;
  #clients = 0;
  #full = false;

  constructor(options: DescriptorsOptions) {
    this.#options = options;
  }

  /** Client connections that may be open at a time. */
  get clientLimit(): number {
    const { limit } = this.#options;
    const own = Math.min(OWN, limit / 2) + this.#listeners;
    return Math.max(1, Math.floor((limit - own) / 2));
  }

  get mayAccept(): boolean {
    if (this.#clients < this.clientLimit) return true;
    if (!this.#full) {
      this.#full = true;
      const { limit, log } = this.#options;
      const fields = { code: 'descriptor-limit', limit, clients: this.#clients };
      log.warn(fields, 'no descriptors for more clients, refusing connections');
    }
    return false;
  }

  listening(change: 1 | -1): void {
    this.#listeners += change;
  }

  opened(): void {
    this.#clients += 1;
  }

  closed(): void {
    this.#clients -= 1;
    if (!this.#full || this.#clients > this.clientLimit * CALM) return;
    this.#full = false;
    this.#options.log.info({ code: 'descriptor-limit-over' }, 'descriptors are free again');
  }
}

/** The soft limit in the text of `/proc/self/limits` (proc(5)); Infinity when it says none. */
export function openFilesLimit(limits: string): number {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
