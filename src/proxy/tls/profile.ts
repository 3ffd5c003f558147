// What is negotiated: Mozilla's server-side TLS profiles as options of a secure context.

import { constants } from 'node:crypto';
import type { TlsProfile } from '../../model/listener-config.ts';
import type { TlsContextOptions } from '../wire/tls-context.ts';

interface Suite {
  readonly code: number;
  readonly name: string;
  readonly key: 'ec' | 'rsa';
}

/** TLS 1.2 suites in the server's order. Without finite-field Diffie-Hellman: it makes handshakes dear for the server alone. */
const TLS_1_2: readonly Suite[] = [
  { code: 0xc02b, name: 'ECDHE-ECDSA-AES128-GCM-SHA256', key: 'ec' },
  { code: 0xc02f, name: 'ECDHE-RSA-AES128-GCM-SHA256', key: 'rsa' },
  { code: 0xc02c, name: 'ECDHE-ECDSA-AES256-GCM-SHA384', key: 'ec' },
  { code: 0xc030, name: 'ECDHE-RSA-AES256-GCM-SHA384', key: 'rsa' },
  { code: 0xcca9, name: 'ECDHE-ECDSA-CHACHA20-POLY1305', key: 'ec' },
  { code: 0xcca8, name: 'ECDHE-RSA-CHACHA20-POLY1305', key: 'rsa' },
];
const TLS_1_3 = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** The post-quantum hybrid first; then Mozilla's three. */
const GROUPS = 'X25519MLKEM768:X25519:prime256v1:secp384r1';

/** ECDSA before RSA: its signatures cost a server about a twentieth. */
const SIGNATURES =
  'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:' +
  'rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:' +
  'rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:' +
  'rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512';

type Negotiated = 'minVersion' | 'ciphers' | 'ecdhCurve' | 'sigalgs' | 'honorCipherOrder' | 'secureOptions';

/** https://wiki.mozilla.org/Security/Server_Side_TLS */
export function profileOptions(profile: TlsProfile): Pick<TlsContextOptions, Negotiated> {
  const tls12 = TLS_1_2.map(({ name }) => name).join(':');
  return {
    minVersion: profile === 'modern' ? 'TLSv1.3' : 'TLSv1.2',
    ciphers: profile === 'modern' ? TLS_1_3 : `${TLS_1_3}:${tls12}`,
    ecdhCurve: GROUPS,
    sigalgs: SIGNATURES,
    honorCipherOrder: true,
    // A renegotiation costs the server far more than the client. A client that puts ChaCha20 first has no fast AES.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA,
  };
}

const CHACHA: ReadonlySet<number> = new Set([0xcca8, 0xcca9, 0x1303]);
/** Markers that are no suites: renegotiation and fallback (RFC 5746, RFC 7507), and GREASE (RFC 8701). */
const isSuite = (code: number): boolean =>
  code !== 0x00ff && code !== 0x5600 && !((code & 0x0f0f) === 0x0a0a && code >> 8 === (code & 0xff));

/** The key type whose certificate a TLS 1.2 client gets when both fit its signature algorithms; null when none does. */
export function keyTypeByCipher(
  offered: readonly number[],
  has: (key: 'ec' | 'rsa') => boolean,
): 'ec' | 'rsa' | null {
  const first = offered.find(isSuite);
  const chachaFirst = first !== undefined && CHACHA.has(first);
  const order = chachaFirst
    ? TLS_1_2.toSorted((a, b) => Number(CHACHA.has(b.code)) - Number(CHACHA.has(a.code)))
    : TLS_1_2;
  return order.find(({ code, key }) => has(key) && offered.includes(code))?.key ?? null;
}
