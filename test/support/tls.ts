// https listeners for tests: their configuration and their secrets, from certificates that are made when needed.

import process from 'node:process';
import type { ListenerConfig, ListenerTls } from '../../src/model/listener-config.ts';
import { certificateKey, type Secrets } from '../../src/model/secrets.ts';
import { profileOptions } from '../../src/proxy/tls/profile.ts';
import { loadPoller } from '../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../src/proxy/wire/epoll/tls.ts';
import { loadTcpBinding } from '../../src/proxy/wire/tcp-binding.ts';
import type { TlsContextOptions } from '../../src/proxy/wire/tls-context.ts';
import type { CertificatePair } from './certificates.ts';
import { listenerConfig } from './snapshots.ts';

/** What a client's TLS connection can be built on; all must show the client and the listener the same. */
export const SECURE_SOCKETS = [
  ...(loadTls() === null
    ? []
    : [['a descriptor', loadTcpBinding(process, loadPoller(), loadTls())] as const]),
  ["Node's TLS handle", loadTcpBinding(process, loadPoller(), null)],
  ['a TLSSocket', null],
] as const;

/** What every context must have, without certificates. */
export const tlsContextOptions = (over: Partial<TlsContextOptions> = {}): TlsContextOptions => ({
  ...profileOptions('intermediate'),
  cert: [],
  key: [],
  sessionTimeout: 300,
  sessionIdContext: 'test',
  alpn: ['http/1.1'],
  requestCert: false,
  rejectUnauthorized: false,
  ...over,
});

/** Where the pair with this number would lie. */
const sourceOf = (index: number) => ({
  kind: 'files' as const,
  cert: `/cert-${index}`,
  key: `/key-${index}`,
  ocsp: null,
});

/** An https listener named `tls` with this many certificates. */
export function httpsListener(
  certificates: number,
  over: Partial<ListenerTls> = {},
  listener: Partial<ListenerConfig> = {},
): ListenerConfig {
  return listenerConfig({
    name: 'tls',
    protocol: 'https',
    tls: {
      certificates: Array.from({ length: certificates }, (_, index) => sourceOf(index)),
      unknownNames: 'default',
      profile: 'intermediate',
      tickets: true,
      clientAuth: null,
      ...over,
    },
    ...listener,
  });
}

/** The secrets of that listener. */
export function secretsOf(
  pairs: readonly (CertificatePair & { readonly staple?: string })[],
  over: Partial<Secrets> = {},
): Secrets {
  return {
    pairs: Object.fromEntries(
      pairs.map(({ cert, key, staple = null }, index) => [
        certificateKey(sourceOf(index)),
        { cert, key, staple },
      ]),
    ),
    files: {},
    ticketKeys: [Buffer.alloc(48, 1).toString('base64')],
    ...over,
  };
}

/** What a PROXY header tells of a client that has shown nothing of itself. */
export const NO_TLS = {
  certificate: false,
  verified: false,
  version: '',
  commonName: '',
  cipher: '',
  signatureAlgorithm: '',
  keyAlgorithm: '',
};
