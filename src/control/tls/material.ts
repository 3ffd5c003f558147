// Certificates, keys, authorities and revocation lists in force: each as it was when it was last good.

import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import {
  type CertificateFacts,
  EXPIRY_WARNING_MS,
  judgePair,
  type PairFault,
} from '../../config/certificate-pair.ts';
import { isSuccessfulOcsp } from '../../config/ocsp-response.ts';
import type { Config } from '../../model/config.ts';
import type { CertificateSource } from '../../model/listener-config.ts';
import { type CertificatePair, certificateLabel, type NamedSecrets } from '../../model/secrets.ts';
import type { Clock } from '../discovery/clock.ts';
import { FileWatch } from './file-watch.ts';
import { authorityPaths, certificateSources, readNamed, readPair } from './read-secrets.ts';

/** `taken`, or why what came was left and what was before kept. */
export type MaterialResult =
  | 'taken'
  | PairFault
  | 'certificate-expired'
  | 'certificate-unreadable'
  | 'certificate-missing'
  | 'authority-invalid'
  | 'ocsp-invalid';

export interface MaterialOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Something is other than before. */
  readonly onChange: () => void;
  readonly onResult: (certificate: string, result: MaterialResult) => void;
}

export interface CertificateState extends CertificateFacts {
  /** The file's path, or `cluster/namespace/name` of a Secret. */
  readonly certificate: string;
}

/** Certificate and key are mostly written one after the other: a broken pair is looked at once more after this. */
const AGAIN_MS = 1000;
/** How often certificates that end soon are warned of. */
const DAY_MS = 86_400_000;

type SecretSource = Extract<CertificateSource, { readonly kind: 'secret' }>;

interface Held {
  readonly pair: CertificatePair;
  readonly facts: CertificateFacts;
}

export class Material {
  /** Settles when the files of the configuration are watched. */
  watching: Promise<void> = Promise.resolve();
  readonly #options: MaterialOptions;
  readonly #watch: FileWatch;
  #sources: ReadonlyMap<string, CertificateSource> = new Map();
  #held = new Map<string, Held>();
  #files = new Map<string, string>();
  readonly #seen = new WeakSet<NamedSecrets>();
  /** Secrets that are known not to be there; each is told of once. */
  readonly #missing = new Set<string>();
  /** A refused pair is told of once: a reflector reads the same Secret again and again. */
  readonly #refused = new Map<string, CertificatePair>();
  readonly #again = new Map<string, () => void>();
  #cancelDay: () => void = () => {};

  /** @param kept what an earlier controller held: Secrets are not on disk, and the API server may be away */
  constructor(options: MaterialOptions, kept: NamedSecrets | null) {
    this.#options = options;
    this.#watch = new FileWatch({
      clock: options.clock,
      log: options.log,
      onChange: (path) => void this.#onFile(path, true),
    });
    for (const [key, pair] of Object.entries(kept?.pairs ?? {})) {
      const facts = judgePair(pair.cert, pair.key);
      if (!('fault' in facts)) this.#held.set(key, { pair, facts });
    }
    this.#awaitDay();
  }

  get secrets(): NamedSecrets {
    const pairs = [...this.#held].filter(([key]) => this.#sources.has(key));
    return {
      pairs: Object.fromEntries(pairs.map(([key, { pair }]) => [key, pair])),
      files: Object.fromEntries(this.#files),
    };
  }

  /** Of every certificate that is in force. */
  get certificates(): readonly CertificateState[] {
    return [...this.#sources].flatMap(([key, source]) => {
      const held = this.#held.get(key);
      return held === undefined ? [] : [{ certificate: certificateLabel(source), ...held.facts }];
    });
  }

  /**
   * @param loaded read and checked with the configuration a moment ago; what was given before comes again when a
   * configuration is put back in force, and is then older than what is held
   */
  setConfig(config: Config, loaded: NamedSecrets): void {
    const isOld = this.#seen.has(loaded);
    this.#seen.add(loaded);
    this.#sources = certificateSources(config);
    for (const key of this.#held.keys()) if (!this.#sources.has(key)) this.#held.delete(key);
    for (const [key, pair] of Object.entries(loaded.pairs)) {
      const source = this.#sources.get(key);
      if (source !== undefined && !(isOld && this.#held.has(key))) this.#offer(key, source, pair);
    }
    const files = Object.entries(loaded.files);
    this.#files = new Map(
      files.map(([path, text]) => [path, (isOld ? this.#files.get(path) : undefined) ?? text]),
    );
    const paths = [...this.#sources.values()].flatMap((source) =>
      source.kind === 'files'
        ? [source.cert, source.key, ...(source.ocsp === null ? [] : [source.ocsp])]
        : [],
    );
    this.watching = this.#watch.setPaths([...paths, ...authorityPaths(config)]);
  }

  /**
   * What the API servers say about the Secrets that are named. A Secret that is gone leaves its pair in force.
   * @returns whether anything is other than before
   */
  setSecrets(find: (source: SecretSource) => CertificatePair | 'missing' | undefined): boolean {
    let changed = false;
    for (const [key, source] of this.#sources) {
      if (source.kind !== 'secret') continue;
      const found = find(source);
      if (found === undefined) continue;
      if (found === 'missing') {
        if (!this.#missing.has(key))
          this.#refuse(certificateLabel(source), 'certificate-missing', 'there is no such Secret');
        this.#missing.add(key);
        continue;
      }
      this.#missing.delete(key);
      changed = this.#offer(key, source, found) || changed;
    }
    return changed;
  }

  async close(): Promise<void> {
    this.#cancelDay();
    for (const cancel of this.#again.values()) cancel();
    await this.#watch.close();
  }

  /** Takes the pair when it is good and new; true when it was taken. */
  #offer(key: string, source: CertificateSource, given: CertificatePair, quiet = false): boolean {
    const before = this.#held.get(key);
    const refused = this.#refused.get(key);
    if (before !== undefined && samePair(before.pair, given)) return false;
    if (refused !== undefined && samePair(refused, given)) return false;
    const label = certificateLabel(source);
    const pair = withGoodStaple(given, before?.pair);
    if (pair !== given) {
      if (quiet) return false;
      this.#refused.set(key, given);
      this.#refuse(label, 'ocsp-invalid', 'its OCSP response is not whole, or says that there is none');
      if (before !== undefined && samePair(before.pair, pair)) return false;
    }
    const facts = judgePair(pair.cert, pair.key);
    const fault = 'fault' in facts ? facts : this.#expiryFault(facts, before?.facts);
    if (fault !== null || 'fault' in facts) {
      if (!quiet) {
        this.#refused.set(key, given);
        this.#refuse(label, fault!.fault, fault!.message);
      }
      return false;
    }
    if (pair === given) this.#refused.delete(key);
    this.#held.set(key, { pair, facts });
    if (before !== undefined) {
      this.#options.onResult(label, 'taken');
      const { names, notAfterMs, fingerprint } = facts;
      this.#options.log.info(
        {
          code: 'certificate-taken',
          certificate: label,
          names,
          notAfter: new Date(notAfterMs).toISOString(),
          fingerprint,
        },
        'certificate changed',
      );
    }
    // Of files that are read with a configuration, its own warnings tell.
    if (before !== undefined || source.kind === 'secret') this.#warn({ certificate: label, ...facts });
    return true;
  }

  /** An expired certificate is better than none, and worse than one that lasts longer. */
  #expiryFault(
    now: CertificateFacts,
    before: CertificateFacts | undefined,
  ): { readonly fault: MaterialResult; readonly message: string } | null {
    if (now.notAfterMs > this.#options.clock.now()) return null;
    if (before === undefined || before.notAfterMs <= now.notAfterMs) return null;
    return { fault: 'certificate-expired', message: 'it has expired, and the one before lasts longer' };
  }

  #refuse(certificate: string, code: MaterialResult, message: string): void {
    this.#options.onResult(certificate, code);
    this.#options.log.error({ code, certificate }, `certificate not taken, the one before stays: ${message}`);
  }

  /** @param isFirst a broken pair is read once more before it counts as broken */
  async #onFile(path: string, isFirst: boolean): Promise<void> {
    let changed = false;
    for (const [key, source] of this.#sources) {
      if (source.kind !== 'files' || ![source.cert, source.key, source.ocsp].includes(path)) continue;
      try {
        const pair = await readPair(source);
        if (this.#sources.get(key) !== source) continue;
        const before = this.#held.get(key)?.pair;
        if (before !== undefined && samePair(before, pair)) continue;
        const taken = this.#offer(key, source, pair, isFirst);
        changed ||= taken;
        if (!taken && isFirst) this.#lookAgain(path);
      } catch (error) {
        if (isFirst) this.#lookAgain(path);
        else
          this.#refuse(
            certificateLabel(source),
            'certificate-unreadable',
            String((error as NodeJS.ErrnoException).code),
          );
      }
    }
    if (this.#files.has(path)) changed = (await this.#onAuthority(path, isFirst)) || changed;
    if (changed) this.#options.onChange();
  }

  async #onAuthority(path: string, isFirst: boolean): Promise<boolean> {
    try {
      const text = await readNamed(path);
      if (!this.#files.has(path) || this.#files.get(path) === text) return false;
      createSecureContext(text.includes('X509 CRL') ? { crl: text } : { ca: text });
      if (!/-----BEGIN (?:X509 CRL|(?:TRUSTED )?CERTIFICATE)-----/.test(text))
        throw new Error('no PEM block');
      this.#files.set(path, text);
      this.#options.onResult(path, 'taken');
      this.#options.log.info(
        { code: 'certificate-taken', certificate: path },
        'authority or revocation list changed',
      );
      return true;
    } catch (error) {
      if (isFirst) this.#lookAgain(path);
      else this.#refuse(path, 'authority-invalid', (error as NodeJS.ErrnoException).code ?? 'no PEM block');
      return false;
    }
  }

  #lookAgain(path: string): void {
    this.#again.get(path)?.();
    const cancel = this.#options.clock.after(AGAIN_MS, () => {
      this.#again.delete(path);
      void this.#onFile(path, false);
    });
    this.#again.set(path, cancel);
  }

  #awaitDay(): void {
    this.#cancelDay = this.#options.clock.after(DAY_MS, () => {
      for (const state of this.certificates) this.#warn(state);
      this.#awaitDay();
    });
  }

  #warn({ certificate, names, notAfterMs }: CertificateState): void {
    const leftMs = notAfterMs - this.#options.clock.now();
    if (leftMs > EXPIRY_WARNING_MS) return;
    this.#options.log.warn(
      { code: 'certificate-expires', certificate, names, notAfter: new Date(notAfterMs).toISOString() },
      leftMs <= 0 ? 'certificate has expired' : 'certificate expires soon',
    );
  }
}

/** One without is better than a bad one, which some clients take for a failure; of the same certificate the one before serves on. */
function withGoodStaple(given: CertificatePair, before: CertificatePair | undefined): CertificatePair {
  if (given.staple === null || isSuccessfulOcsp(Buffer.from(given.staple, 'base64'))) return given;
  const isSame = before !== undefined && before.cert === given.cert && before.key === given.key;
  return { ...given, staple: isSame ? before.staple : null };
}

function samePair(left: CertificatePair, right: CertificatePair): boolean {
  return left.cert === right.cert && left.key === right.key && left.staple === right.staple;
}
