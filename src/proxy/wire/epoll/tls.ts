// What tls.c exports: TLS of accepted connections, each known by its descriptor. Results below 0 are errors of the system.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Of OpenSSL, which each connection holds that was opened with it. */
export interface TlsNative {
  readonly context: never;
}

/** As in tls-context.c. */
export const SETTING = {
  ciphers: 0,
  suites: 1,
  groups: 2,
  signatures: 3,
  sessionContext: 4,
  alpn: 5,
  certificates: 6,
  key: 7,
  authorities: 8,
  revocations: 9,
} as const;
type Setting = (typeof SETTING)[keyof typeof SETTING];

export interface Tls {
  /** Begins, once in a process. @param state after each call: whether an end lies behind what was received, bytes that are held */
  start(state: Int32Array): number;
  /**
   * @param minVersion as on the wire @param options of SSL_CTX_set_options(3) @param verify bits of SSL_CTX_set_verify(3)
   * @returns undefined where there is no memory
   */
  createContext(
    ticketKeys: object,
    minVersion: number,
    options: number,
    verify: number,
    sessionSeconds: number,
  ): TlsNative | undefined;
  /** @param text Latin-1; PEM for what is a file @returns '' or what is wrong with it */
  setContext(context: TlsNative, setting: Setting, text: string): string;
  /** None yet; never freed. */
  createTicketKeys(): object;
  /** @param keys 48 bytes each of name, HMAC key and AES key; the first one encrypts */
  setTicketKeys(ticketKeys: object, keys: Buffer): number;
  open(fd: number, context: TlsNative): number;
  /** Frees what OpenSSL has of it, before it is closed. */
  forget(fd: number): number;
  /** Bytes that were read before; the next `receive` has them. */
  keep(fd: number, bytes: Buffer): number;
  staple(fd: number, response: Buffer): number;
  /** How many bytes came into `buffer`; 0 at the end, EINTR when the handshake is over, and EPROTO when TLS has failed. */
  receive(fd: number, buffer: Uint8Array): number;
  /** As of `Sockets`; what was not taken comes again. */
  sendText(fd: number, text: string): number;
  sendBytes(fd: number, bytes: Uint8Array, start: number, end: number): number;
  /** Says that nothing follows, and ends our side. */
  shutdown(fd: number): number;
  /** Frees what connections that were not used since the last time can do without, 34 KiB each. */
  rest(): void;
  alpn(fd: number): string;
  version(fd: number): string;
  cipher(fd: number): string;
  resumed(fd: number): 0 | 1;
  /** DER. */
  certificate(fd: number): Buffer | undefined;
  /** 0 when the client's certificate is good, else OpenSSL's number of what is wrong. */
  verified(fd: number): number;
  /** Why TLS has failed last: OpenSSL's reason, or `whole` its line. */
  failure(whole: 0 | 1): string;
}

/** As in tls.c. */
export const BEHIND = 0;
export const HELD = 1;
const STATE_INTS = 2;

export interface LoadedTls {
  readonly calls: Tls;
  readonly state: Int32Array;
}

const BUILT = fileURLToPath(new URL('tls.node', import.meta.url));

/** One for the process; undefined before it was asked for. */
let loaded: LoadedTls | null | undefined;

/** Null where it was not built, where this Node's OpenSSL is another one, and where it cannot be loaded. */
export function loadTls(): LoadedTls | null {
  if (loaded === undefined) loaded = existsSync(BUILT) ? load() : null;
  return loaded;
}

function load(): LoadedTls | null {
  try {
    const calls = createRequire(import.meta.url)(BUILT) as Tls;
    const state = new Int32Array(STATE_INTS);
    return calls.start(state) < 0 ? null : { calls, state };
  } catch {
    return null;
  }
}
