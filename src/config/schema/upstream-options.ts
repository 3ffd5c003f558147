// Schema of how a pool's targets are spoken to: timeouts, connections, protocol, PROXY header and TLS.

import { z } from 'zod';
import { PROXY_FACTS, type ProxyProtocolOut } from '../../model/pool-config.ts';
import { Refusal } from '../refusal.ts';
import { duration, filePath, hostName, integer, refuse } from './scalars.ts';

const timeoutFields = {
  connect: duration({ min: 10 }).describe('Until a connection to a target stands.'),
  responseHeader: duration({ min: 10 }).describe("From the request's end to the response head."),
  streamIdle: duration({ min: 10 }).describe('No byte in either direction during a body.'),
  tunnelIdle: duration({ min: 10 }).describe(
    'No byte in either direction of a WebSocket or another tunnel, of server-sent events, or of a gRPC call.',
  ),
  tunnelLifetime: duration({ min: 0 }).describe(
    'A WebSocket or another tunnel is ended after this, a WebSocket with code 1001; 0 is never.',
  ),
  total: duration({ min: 0 }).describe('The whole exchange; 0 is none.'),
};

/** `defaults.timeouts`: every field with its default. */
export const defaultTimeouts = z.strictObject({
  connect: timeoutFields.connect.prefault('1s'),
  responseHeader: timeoutFields.responseHeader.prefault('60s'),
  streamIdle: timeoutFields.streamIdle.prefault('300s'),
  tunnelIdle: timeoutFields.tunnelIdle.prefault('1h'),
  tunnelLifetime: timeoutFields.tunnelLifetime.prefault('0s'),
  total: timeoutFields.total.prefault('0s'),
});

/** A rule's own timeouts: those of the pool but for `connect`. */
export const ruleTimeouts = z.strictObject(timeoutFields).omit({ connect: true }).partial();

const connections = z.strictObject({
  idlePerTarget: integer(0, 100_000)
    .default(256)
    .describe('Idle connections kept for each target and worker.'),
  idle: duration({ min: 100 })
    .prefault('55s')
    .describe(
      'An idle connection is closed after this, and sooner in a worker that holds more than 128; keep it below the keep-alive timeout of the targets.',
    ),
  requests: integer(0, 1_000_000_000)
    .optional()
    .describe(
      'Requests on one connection before it is closed, with 10% jitter; 0 is no bound. Where it is not given, 100, but none is closed for them in its first half second.',
    ),
  age: duration({ min: 0 })
    .prefault('1m')
    .describe('Age at which a connection is closed when it becomes idle, with 10% jitter; 0 is no bound.'),
  perTarget: integer(1, 1_000_000).default(4096).describe('Open connections to one target and worker.'),
  startsPerSecond: integer(0, 1_000_000)
    .default(0)
    .describe(
      "New connections to one target and worker in a second; 0 is no bound. For sshd, keep it times the workers below `MaxStartups`' first number.",
    ),
  startWait: duration({ min: 0, max: 600_000 })
    .prefault('5s')
    .describe(
      'How long a tcp connection waits when all targets are at `startsPerSecond`, first come, first served; requests are answered 503 at once.',
    ),
  perPool: integer(1, 1_000_000)
    .default(16_384)
    .describe('Open connections to all targets of the pool and worker.'),
  pending: integer(0, 1_000_000)
    .default(1024)
    .describe('Requests of a worker that may wait for a free connection; 0 refuses at once.'),
  pendingTimeout: duration({ min: 10 })
    .prefault('2s')
    .describe('A request that has waited so long is refused.'),
  minAnswerRate: integer(0, 1_000_000)
    .default(0)
    .describe(
      'Bytes a second of an answer that a target sends, over each `timeouts.rateGrace` of the listener; 0 is no limit.',
    ),
});

const proxyProtocolMap = z
  .strictObject({
    version: z.enum(['v1', 'v2']).describe('One line of text, or the binary form.'),
    send: z
      .array(z.enum(PROXY_FACTS))
      .max(PROXY_FACTS.length)
      .prefault([])
      .describe(
        '`v2` only: what is told beside the addresses: the server name that the client asked for, the protocol agreed on, the id of the request or connection, the TLS version and cipher.',
      ),
    checksum: z.boolean().default(false).describe('`v2` only: adds a CRC-32C.'),
  })
  .superRefine(({ version, send, checksum }, ctx) => {
    if (version === 'v2') return;
    for (const [key, isSet] of [
      ['send', send.length > 0],
      ['checksum', checksum],
    ] as const) {
      if (!isSet) continue;
      refuse(ctx, new Refusal('no-effect', `${key} has no effect on version v1`, 'Remove it, or use v2.'), [
        key,
      ]);
    }
  });

const proxyProtocol = z
  .union([z.enum(['off', 'v1', 'v2']), proxyProtocolMap])
  .transform((written): ProxyProtocolOut | null => {
    if (written === 'off') return null;
    const { version, send, checksum } =
      typeof written === 'string' ? { version: written, send: [], checksum: false } : written;
    return { version: version === 'v1' ? 1 : 2, facts: send, checksum };
  });

const tlsMap = z
  .strictObject({
    verify: z
      .boolean()
      .default(true)
      .describe("Whether the target's certificate must be good, and for its name or address."),
    ca: filePath()
      .optional()
      .describe(
        'PEM file: the authorities whose certificates are good; without it, those that come with Node.',
      ),
    serverName: hostName()
      .optional()
      .describe(
        "Name that is asked for (SNI) and verified; without it, the target's own name, or its address without SNI.",
      ),
    serverNameFromHost: z
      .boolean()
      .default(false)
      .describe('Ask for the host of each request, as it is sent on, in place of `serverName`.'),
    cert: filePath()
      .optional()
      .describe('PEM file: a certificate for targets that ask for one, then its chain.'),
    key: filePath().optional().describe('PEM file: the private key of that certificate.'),
  })
  .superRefine((written, ctx) => {
    for (const [one, other] of [
      ['cert', 'key'],
      ['key', 'cert'],
    ] as const) {
      if (written[one] !== undefined && written[other] === undefined) {
        refuse(ctx, new Refusal('missing', `${one} needs ${other}`, `Add ${other}: FILE.`), [one]);
      }
    }
  });

const poolTls = z.union([z.boolean(), tlsMap]).transform((written): z.output<typeof tlsMap> | null => {
  if (written === false) return null;
  return written === true ? { verify: true, serverNameFromHost: false } : written;
});

/** The part of a pool's options that says so. */
export const upstreamOptions = {
  timeouts: z
    .strictObject(timeoutFields)
    .partial()
    .prefault({})
    .describe('Where they differ from `defaults.timeouts`.'),
  connections: connections.prefault({}).describe('Upstream connections.'),
  protocol: z
    .enum(['http1', 'http2'])
    .default('http1')
    .describe(
      'What its targets speak; `http2` is known before without TLS, and asked for by ALPN with it, where a target may choose HTTP/1.1. gRPC needs it. Means nothing to tcp listeners.',
    ),
  proxyProtocol: proxyProtocol
    .prefault('off')
    .describe('PROXY header that begins each connection to a target, or a map with its options.'),
  tls: poolTls
    .optional()
    .describe(
      'TLS to the targets, HTTP and gRPC probes included: `true`, or a map with its options; without it, none.',
    ),
};
