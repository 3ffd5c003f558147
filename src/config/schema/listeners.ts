// Schema of `listeners`, and the timeouts that `defaults` shares with it.

import { z } from 'zod';
import { parseServerName } from '../host-pattern.ts';
import { Refusal } from '../refusal.ts';
import { parseBind, parseCidr, parseSecretName } from '../values.ts';
import { hsts, redirectToHttps } from './https.ts';
import { limitFields } from './limits.ts';
import { duration, exactlyOne, filePath, integer, name, reference, refuse, size, text } from './scalars.ts';

const timeoutFields = {
  header: duration({ min: 100 }).describe('From the first byte of a head (or the accept) to its end.'),
  idle: duration({ min: 100 }).describe(
    'Between two requests of a connection; for tcp, no byte in either direction.',
  ),
  rateGrace: duration({ min: 1000 }).describe(
    'Time over which the least rates (`limits.minBodyRate`, `limits.minReadRate`, `connections.minAnswerRate`) must be reached.',
  ),
};

/** `defaults.listenerTimeouts`: every field with its default. */
export const defaultListenerTimeouts = z.strictObject({
  header: timeoutFields.header.prefault('10s'),
  idle: timeoutFields.idle
    .prefault('60s')
    .describe('Between two requests of a connection. Not taken over by tcp listeners.'),
  rateGrace: timeoutFields.rateGrace.prefault('30s'),
});

const secret = z.strictObject({
  cluster: reference().describe('Cluster of the Secret.'),
  name: text(parseSecretName).describe('`namespace/name` of the Secret.'),
});

const certificate = z
  .strictObject({
    cert: filePath().optional().describe('PEM file: the certificate, then its chain.'),
    key: filePath().optional().describe('PEM file: the private key of the certificate, not encrypted.'),
    ocsp: filePath().optional().describe('DER file: the OCSP response that is stapled; without it, none.'),
    secret: secret
      .optional()
      .describe('A Kubernetes Secret of type `kubernetes.io/tls`, in place of `cert` and `key`.'),
  })
  .superRefine((written, ctx) => {
    exactlyOne(written, ['cert', 'secret'], 'a certificate', ctx);
    if (written.cert !== undefined && written.key === undefined) {
      refuse(ctx, new Refusal('missing', 'a certificate file needs its key', 'Add key: FILE.'));
    }
    for (const key of ['key', 'ocsp'] as const) {
      if (written.cert === undefined && written.secret !== undefined && written[key] !== undefined) {
        refuse(ctx, new Refusal('no-effect', `${key} has no effect beside secret`, 'Remove it.'), [key]);
      }
    }
  });

const clientAuth = z.strictObject({
  mode: z
    .enum(['required', 'optional'])
    .default('required')
    .describe(
      '`required` ends the handshake of a client without a good certificate; `optional` serves it, and tells the target.',
    ),
  ca: filePath().describe('PEM file: the authorities whose client certificates are good.'),
  crl: filePath()
    .optional()
    .describe('PEM file: a revocation list for each of those authorities; without it, none is asked.'),
});

const tls = z.strictObject({
  certificates: z
    .array(certificate)
    .min(1)
    .max(10_000)
    .describe(
      'Chosen by SNI. The first is the default. Two for the same name, one RSA and one ECDSA, serve each client what it can verify.',
    ),
  unknownNames: z
    .enum(['default', 'refuse'])
    .default('default')
    .describe(
      'Clients that ask for a name that no certificate has: they get the first certificate, or the alert `unrecognized_name`.',
    ),
  profile: z
    .enum(['intermediate', 'modern'])
    .default('intermediate')
    .describe("Mozilla's profiles: TLS 1.2 and 1.3, or TLS 1.3 alone."),
  tickets: z
    .boolean()
    .default(true)
    .describe('Session tickets, with keys that all workers share and that change every 12 hours.'),
  clientAuth: clientAuth
    .optional()
    .describe('Asks clients for a certificate; without it, none is asked for.'),
});

const paths = z.strictObject({
  mergeSlashes: z.boolean().default(false).describe('Treat `//` as `/`.'),
  encodedSlash: z
    .enum(['keep', 'refuse', 'decode'])
    .default('keep')
    .describe('`%2F`: `keep` leaves it as data, `refuse` answers 400, `decode` takes it for `/`.'),
  backslash: z
    .enum(['refuse', 'keep', 'slash'])
    .default('refuse')
    .describe('A backslash, raw or as `%5C`: `slash` takes it for `/`, as some servers do.'),
  parameters: z
    .enum(['keep', 'refuse'])
    .default('keep')
    .describe(
      '`;` in a path: some servers cut off what follows before they match, so that `/admin;x` is `/admin` to them.',
    ),
  forward: z
    .enum(['normalised', 'received'])
    .default('normalised')
    .describe(
      'The path that targets are sent: the one that rules were matched against, or the one that came. A rewrite starts from the normalised path.',
    ),
});

const http2 = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Off: clients get HTTP/1.1 only.'),
    only: z
      .boolean()
      .default(false)
      .describe(
        'On: clients get HTTP/2 only, for ports of gRPC; whoever says anything else is told so by a GOAWAY.',
      ),
    streams: integer(1, 10_000)
      .default(100)
      .describe(
        'Requests that a client may have open on one connection; 100 is what RFC 9113 recommends at least.',
      ),
    streamWindow: size(64 * 1024, 16 * 1024 * 1024)
      .prefault('256KiB')
      .describe(
        'Bytes of one request body on their way to a target that has not taken them: what an upload can fill in one round trip.',
      ),
    connectionWindow: size(64 * 1024, 64 * 1024 * 1024)
      .prefault('1MiB')
      .describe('The same for all requests of a connection: what one connection can make a worker hold.'),
  })
  .superRefine(({ enabled, only }, ctx) => {
    if (only && !enabled) {
      refuse(
        ctx,
        new Refusal('http2-only', 'only and enabled: false leave no protocol', 'Remove one of the two.'),
        ['only'],
      );
    }
  });

const tlsRoute = z.strictObject({
  hosts: z
    .array(text(parseServerName))
    .min(1)
    .max(1000)
    .describe(
      'Server names that clients ask for (SNI): exact, `*.example.com` (one or more labels), or `*` for all, those that ask for none too.',
    ),
  alpn: z
    .array(z.string().min(1).max(255))
    .max(20)
    .prefault([])
    .describe('Protocols of which the client must offer one, such as `h2`; empty takes every client.'),
  pools: z
    .array(
      z.strictObject({
        name: reference().describe('Pool.'),
        weight: integer(0, 1_000_000).default(1).describe('Share of the connections.'),
      }),
    )
    .min(1)
    .max(100)
    .describe('Where the connections go.'),
});

const mux = z.strictObject({
  tls: reference().optional().describe('Listener for TLS: `https` or `tls-passthrough`.'),
  http: reference().optional().describe('`http` listener for requests in clear text, HTTP/1.1 or HTTP/2.'),
  ssh: reference().optional().describe('`tcp` listener for SSH, and for clients that wait for its banner.'),
  default: reference()
    .optional()
    .describe('Listener for everything else; without it such connections are closed.'),
  silence: duration({ min: 10, max: 60_000 })
    .prefault('300ms')
    .describe('A client that has said nothing for this long is taken for one that waits for an SSH banner.'),
});

const proxyProtocol = z.strictObject({
  from: z
    .array(text(parseCidr))
    .min(1)
    .max(1000)
    .describe('CIDRs (or addresses) of the senders that are believed.'),
  mode: z
    .enum(['required', 'optional'])
    .default('required')
    .describe(
      '`required`: connections without a header, or from elsewhere, are closed. `optional`: they are clients of their own.',
    ),
  timeout: duration({ min: 50, max: 60_000 })
    .prefault('5s')
    .describe('From the accept to the end of the header.'),
});

export const listenerSchema = z.strictObject({
  name: name().describe('Name that routes refer to.'),
  bind: text(parseBind).describe(
    '`:PORT` (0.0.0.0, every IPv4 address), `[::]:PORT` (every address), `ADDRESS:PORT` or `[IPv6]:PORT`; port 0 takes any free one.',
  ),
  protocol: z.enum(['http', 'https', 'tcp', 'tls-passthrough', 'mux']).describe('What is spoken on it.'),
  tls: tls.optional().describe('Certificates; required for `https`, refused for the others.'),
  redirectToHttps: redirectToHttps
    .optional()
    .describe('`http` only: every request is sent to https. `true`, or a map with its options.'),
  hsts: hsts
    .optional()
    .describe(
      '`https` only: its answers carry `Strict-Transport-Security`. `true`, or a map with its options.',
    ),
  pool: reference().optional().describe('Pool of a `tcp` listener; required there, refused for the others.'),
  tlsRoutes: z
    .array(tlsRoute)
    .min(1)
    .max(10_000)
    .optional()
    .describe(
      'Of a `tls-passthrough` listener, required there: where TLS connections go, unopened. The most specific name wins.',
    ),
  mux: mux
    .optional()
    .describe(
      'Of a `mux` listener, required there: listeners that take over, by the first bytes of a connection.',
    ),
  proxyProtocol: proxyProtocol
    .optional()
    .describe('PROXY headers, version 1 or 2, that say which client a connection is from; without it, none.'),
  limits: z
    .strictObject(limitFields)
    .partial()
    .prefault({})
    .describe('Where they differ from `defaults.limits`.'),
  timeouts: z
    .strictObject(timeoutFields)
    .partial()
    .prefault({})
    .describe(
      'Where they differ from `defaults.listenerTimeouts`; `idle` of a tcp listener is `1h` unless set here.',
    ),
  paths: paths.prefault({}).describe('How paths are normalised before rules are matched against them.'),
  underscores: z
    .enum(['drop', 'refuse', 'pass'])
    .default('drop')
    .describe(
      'Request fields whose name has an underscore, which CGI-like servers take for a dash. A name that reads like one that Portico knows is dropped in any case.',
    ),
  http2: http2
    .prefault({})
    .describe('HTTP/2 of clients: by ALPN over TLS, by prior knowledge without. Has no meaning for tcp.'),
  forwarded: z
    .boolean()
    .default(false)
    .describe('Add a `Forwarded` field (RFC 7239) to requests, beside `X-Forwarded-*`.'),
});
