// Schema of `pools`: sources, policy, health, ejection, and which targets take part.

import { z } from 'zod';
import type { ProbeConfig } from '../../model/pool-config.ts';
import { Refusal } from '../refusal.ts';
import { parseAddress, parseServiceName, parseStatusRange } from '../values.ts';
import { policySchema } from './policy.ts';
import {
  duration,
  exactlyOne,
  hostName,
  integer,
  name,
  reference,
  refuse,
  requestPath,
  servicePort,
  share,
  text,
  textOrNumber,
} from './scalars.ts';
import { upstreamOptions } from './upstream-options.ts';

const SERVICE_KEYS = ['cluster', 'port', 'preferNodesWithEndpoints'] as const;

const source = z
  .strictObject({
    cluster: reference().optional().describe('Cluster of the service.'),
    service: text((written) => parseServiceName(written, false))
      .optional()
      .describe(
        '`namespace/name` of a Service of type NodePort or LoadBalancer. Exactly one of `service` and `static`.',
      ),
    port: servicePort().optional().describe('Port of the Service, by number or name.'),
    preferNodesWithEndpoints: z
      .boolean()
      .optional()
      .describe(
        'For externalTrafficPolicy Cluster: use nodes that host endpoints, and others only when those fail. Without it, false.',
      ),
    static: z
      .array(text(parseAddress))
      .min(1)
      .max(10_000)
      .optional()
      .describe(
        'Targets outside any cluster, as `host:port`; a name is looked up every 5 s while it is used, its addresses are taken in turn, and the last good ones are kept while it cannot be resolved.',
      ),
    priority: integer(0, 100).default(0).describe('Lower is used first.'),
    weight: integer(0, 1_000_000)
      .default(1)
      .describe('Share of the source among those of the same priority.'),
  })
  .superRefine((written, ctx) => {
    exactlyOne(written, ['service', 'static'], 'a source', ctx);
    for (const key of SERVICE_KEYS) {
      if (written.static !== undefined && written.service === undefined && written[key] !== undefined) {
        refuse(ctx, new Refusal('no-effect', `${key} has no effect on static addresses`, 'Remove it.'), [
          key,
        ]);
      }
    }
    for (const key of ['cluster', 'port'] as const) {
      if (written.service !== undefined && written[key] === undefined) {
        refuse(ctx, new Refusal('missing', `a service source needs ${key}`, `Add ${key} beside service.`));
      }
    }
  });

const probeKinds = {
  http: z
    .strictObject({
      path: requestPath().prefault('/').describe('Path of the request.'),
      host: hostName().optional().describe('`Host` of the request; without it, the address of the target.'),
      statuses: z
        .array(textOrNumber(parseStatusRange, 'a status such as 200, or a range such as "200-399"'))
        .min(1)
        .max(100)
        .prefault(['200-399'])
        .describe('Statuses that count as success, each one or a range.'),
    })
    .optional()
    .describe('`GET` over HTTP/1.1. Exactly one of `http`, `grpc`, `tcp` and `ssh`.'),
  grpc: z
    .strictObject({
      service: z
        .string()
        .max(128)
        .default('')
        .describe('Name of the service that is asked for; without it, the server as a whole.'),
      host: hostName()
        .optional()
        .describe('`:authority` of the request; without it, the address of the target.'),
    })
    .optional()
    .describe(
      '`Check` of `grpc.health.v1` over HTTP/2, which must answer `SERVING`; `{}` asks for the whole server.',
    ),
  tcp: z.strictObject({}).optional().describe('A TCP connection; write `{}`.'),
  ssh: z.strictObject({}).optional().describe('The banner of an SSH server; write `{}`.'),
};

const PROBE_KINDS = Object.keys(probeKinds);

function probeOf(
  http: z.output<typeof probeKinds.http>,
  grpc: z.output<typeof probeKinds.grpc>,
  isTcp: boolean,
): ProbeConfig {
  if (http !== undefined) return { kind: 'http', ...http, host: http.host ?? null };
  if (grpc !== undefined) return { kind: 'grpc', service: grpc.service, host: grpc.host ?? null };
  return { kind: isTcp ? 'tcp' : 'ssh' };
}

const health = z
  .strictObject({
    ...probeKinds,
    interval: duration({ min: 100 }).prefault('2s').describe('Time between two probes of a target.'),
    failingInterval: duration({ min: 100 })
      .optional()
      .describe('Interval while the last result was a failure; without it, half of `interval`.'),
    timeout: duration({ min: 10 }).prefault('1s').describe('A probe without a result by then has failed.'),
    rise: integer(1, 100).default(2).describe('Consecutive successes that make an unhealthy target healthy.'),
    fall: integer(1, 100).default(3).describe('Consecutive failures that make a healthy target unhealthy.'),
    jitter: share().default(0.1).describe('Share of the interval by which each probe is moved at random.'),
  })
  .superRefine((written, ctx) => exactlyOne(written, PROBE_KINDS, 'a health check', ctx))
  .transform(({ http, grpc, tcp, ssh: _ssh, ...rest }) => {
    const probe = probeOf(http, grpc, tcp !== undefined);
    return {
      ...rest,
      probe,
      failingInterval: rest.failingInterval ?? Math.max(1, Math.round(rest.interval / 2)),
    };
  });

const ejection = z
  .strictObject({
    connectFailures: integer(0, 1000)
      .default(3)
      .describe('Consecutive connect failures that eject a target in one worker; 0 is off.'),
    gatewayErrors: integer(0, 1000)
      .default(5)
      .describe(
        'Consecutive answers 502, 503 or 504 (or nonsense, or none in time) that eject; a target is ejected too when a fifth of its recent answers are such, twice the share of the others. 0 is off.',
      ),
    base: duration({ min: 100 })
      .prefault('5s')
      .describe(
        'Length of the first ejection; it doubles each time, and halves for as long a time without one.',
      ),
    max: duration({ min: 100 }).prefault('5m').describe('Longest ejection.'),
    maxShare: share().default(0.5).describe('Largest ejected share of a pool.'),
  })
  .superRefine((written, ctx) => {
    if (written.max < written.base) {
      refuse(
        ctx,
        new Refusal(
          'out-of-range',
          'the longest ejection is shorter than the first',
          'Make max at least base.',
        ),
        ['max'],
      );
    }
  });

/** What a pool has beside its name and sources; a rule's `service` takes the same. */
export const poolOptions = {
  policy: policySchema
    .prefault('least-request')
    .describe('Name of the balancing algorithm, or a map with its options.'),
  health: health.optional().describe('Active probe of each target; without it, none.'),
  unknown: z
    .enum(['serve', 'hold'])
    .default('serve')
    .describe('What a target is before its first probe: `serve` takes traffic at once.'),
  ejection: ejection
    .prefault({})
    .describe('Passive observation: targets that fail are left out for a while.'),
  slowStart: duration({ min: 0 })
    .prefault('0s')
    .describe("Time over which a new target's weight grows from a tenth to all of it; 0 is off."),
  panicThreshold: share()
    .default(0.5)
    .describe('Below this available share health is ignored and everyone is used.'),
  spilloverThreshold: share()
    .default(0.7)
    .describe('A priority group hands on to the next when its healthy share is below this.'),
  subset: integer(0, 5000)
    .default(0)
    .describe('Largest number of nodes of each source that take part, the same in every Portico; 0 is all.'),
  ...upstreamOptions,
};

export const poolSchema = z.strictObject({
  name: name().describe('Name that rules and tcp listeners refer to.'),
  sources: z.array(source).min(1).max(100).describe('Where its targets come from.'),
  ...poolOptions,
});
