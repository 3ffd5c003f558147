// The PROXY header that tells a target which client a connection is for.

import type { ProxyProtocolOut } from '../../model/pool-config.ts';
import { type Facts, NO_FACTS, type TlsFacts as ProxyTlsFacts } from '../../proxy-protocol/header.ts';
import { type Ends, writeBinary, writeLine } from '../../proxy-protocol/write-header.ts';
import { plainAddress } from '../wire/plain-address.ts';
import type { SecureSocket } from '../wire/secure-socket.ts';
import type { Wire, WireSocket } from '../wire/wire.ts';

/**
 * The header for the client of this wire. Where the client came with a header of its own, that is passed on: the
 * target shall see the same ends, however many senders there are in between.
 * @param uniqueId of the request or connection
 */
export function proxyHeaderFor(wire: Wire, rules: ProxyProtocolOut, uniqueId: string): Buffer {
  const ends = endsOf(wire);
  if (rules.version === 1) return writeLine(ends);
  return writeBinary(ends, ends === null ? NO_FACTS : factsOf(wire, rules, uniqueId), rules.checksum);
}

/** Null when the client has left already, so that its socket has no ends any more. */
function endsOf({ proxied, socket }: Wire): Ends | null {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (proxied?.source != null && proxied.destination !== null) {
    return { source: proxied.source, destination: proxied.destination };
  }
  if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined) return null;
  return {
    source: { address: plainAddress(remoteAddress), port: remotePort },
    destination: { address: plainAddress(localAddress), port: localPort ?? 0 },
  };
}

/** What Portico knows itself comes before what the sender of the client's header has told. */
function factsOf(wire: Wire, { facts }: ProxyProtocolOut, uniqueId: string): Facts {
  const told = wire.proxied ?? NO_FACTS;
  const { tls } = wire;
  return {
    authority: facts.includes('authority') ? tls?.serverName || told.authority : '',
    alpn: facts.includes('alpn') ? tls?.alpn || told.alpn : '',
    uniqueId: facts.includes('unique-id') ? told.uniqueId || uniqueId : '',
    tls: facts.includes('tls') ? (tlsOf(wire) ?? told.tls) : null,
    networkNamespace: '',
  };
}

function tlsOf({ tls, socket }: Wire): ProxyTlsFacts | null {
  if (tls === null) return null;
  const { clientCertificate: certificate, verifyError } = socket as WireSocket & SecureSocket;
  return {
    certificate: certificate !== undefined,
    verified: certificate !== undefined && verifyError === null,
    version: tls.version,
    commonName: certificate === undefined ? '' : commonNameOf(certificate.subject),
    cipher: tls.cipher,
    signatureAlgorithm: '',
    keyAlgorithm: '',
  };
}

/** Of a subject as Node writes it, one attribute in each line. */
function commonNameOf(subject: string): string {
  return /^CN=([^\n\0]*)/m.exec(subject)?.[1] ?? '';
}
