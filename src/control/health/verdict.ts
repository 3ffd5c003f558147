// Owns verdicts: how a running probe says what it found, and how an error becomes a failure.

import type { LookupFunction } from 'node:net';
import type { ProbeFailure, ProbeResult } from './probe-result.ts';

/** What a probe learns, before time is taken. */
export type Verdict = Pick<ProbeResult, 'failure' | 'detail' | 'weight'>;

/** How a running probe ends. `settle` gives the verdict (the first wins), `closed` says that the socket is gone. */
export interface ProbeEnd {
  settle(verdict: Verdict): void;
  closed(): void;
}

/** Where a probe connects. */
export interface ProbePlace {
  readonly host: string;
  readonly port: number;
  readonly lookup: LookupFunction;
  /** Sent before anything else, for a target that expects a PROXY header. */
  readonly header: Buffer | null;
}

/** A success without a weight. */
export function passed(): Verdict {
  return { failure: null, detail: '', weight: null };
}

/** A failure with its words. */
export function failed(failure: ProbeFailure, detail: string): Verdict {
  return { failure, detail, weight: null };
}

/** A bad answer, by its HTTP status. */
export function answered(status: number): Verdict {
  return failed('answered', `status ${status}`);
}

const UNREACHABLE = new Set([
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** OpenSSL's handshake errors and verification codes, and Node's own. */
const TLS_CODE = /^EPROTO$|^ERR_(?:SSL|TLS)_|CERT|UNABLE_TO_|CRL|INVALID_CA|INVALID_PURPOSE/;
/** What this process or machine lacks: descriptors, ports, memory. It says nothing of the target. */
const LOCAL = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);

/** Sorts a socket or parser error into a failure. */
export function fromError(error: Error): Verdict {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  if (code === 'ECONNREFUSED') return failed('refused', code);
  if (code === 'ETIMEDOUT') return failed('timeout', code);
  if (LOCAL.has(code)) return failed('local', code);
  if (UNREACHABLE.has(code)) return failed('unreachable', code);
  if (code.startsWith('HPE_') || TLS_CODE.test(code)) return failed('nonsense', code);
  return failed('closed', code);
}
