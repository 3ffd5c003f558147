// Session tickets of a worker: encrypts with the newest key, decrypts with all that are still good.

import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';

/** The part of Node's native context that ticket keys go through; `onticketkeycallback` is called by OpenSSL in the handshake. */
interface NativeContext {
  enableTicketKeyCallback(): void;
  onticketkeycallback: (name: Buffer, iv: Buffer, encrypt: boolean) => TicketAnswer;
}

/** Status, HMAC key, AES key, and for a new ticket the key's name and an initialisation vector. */
type TicketAnswer = [status: number, hmac: Buffer, aes: Buffer, name?: Buffer, iv?: Buffer];

interface TicketKey {
  readonly name: Buffer;
  readonly hmac: Buffer;
  readonly aes: Buffer;
}

const PART_BYTES = 16;
export const TICKET_KEY_BYTES = 3 * PART_BYTES;
const UNKNOWN_KEY = 0;
const GOOD = 1;
/** The ticket is good, and the client gets a new one: its key goes out of use. */
const RENEW = 2;

/** Node's own `ticketKeys` know one key at a time: every rotation would end every session. */
export class TicketKeys {
  #keys: readonly TicketKey[] = [];

  /** @param keys base64, the one that encrypts first; none, and no ticket can be made or read */
  set(keys: readonly string[]): void {
    this.#keys = keys.map((text) => {
      const bytes = Buffer.from(text, 'base64');
      if (bytes.length !== TICKET_KEY_BYTES) throw new RangeError('a ticket key has 48 bytes');
      return {
        name: bytes.subarray(0, PART_BYTES),
        hmac: bytes.subarray(PART_BYTES, 2 * PART_BYTES),
        aes: bytes.subarray(2 * PART_BYTES),
      };
    });
  }

  /** The context's sessions use these keys from here on, and those that are set later. */
  use(context: SecureContext): void {
    const native = context.context as NativeContext;
    native.onticketkeycallback = this.#answer;
    native.enableTicketKeyCallback();
  }

  readonly #answer = (name: Buffer, _iv: Buffer, encrypt: boolean): TicketAnswer => {
    const [newest] = this.#keys;
    if (newest === undefined) return NO_KEY;
    if (encrypt) return [GOOD, newest.hmac, newest.aes, newest.name, randomBytes(PART_BYTES)];
    const key = this.#keys.find((candidate) => candidate.name.equals(name));
    if (key === undefined) return NO_KEY;
    return [key === newest ? GOOD : RENEW, key.hmac, key.aes];
  };
}

const NOTHING = Buffer.alloc(PART_BYTES);
const NO_KEY: TicketAnswer = [UNKNOWN_KEY, NOTHING, NOTHING, NOTHING, NOTHING];
