// Schema of the whole file, the one place that every key, default and bound comes from.

import { z } from 'zod';
import { parseAdminBind, parseCidr } from '../values.ts';
import { clusterSchema } from './clusters.ts';
import { defaultLimits } from './limits.ts';
import { defaultListenerTimeouts, listenerSchema } from './listeners.ts';
import { poolSchema } from './pools.ts';
import { defaultRetry, routeSchema } from './routes.ts';
import { filePath, hostName, integer, size, text } from './scalars.ts';
import { defaultTimeouts } from './upstream-options.ts';

const admin = z.strictObject({
  bind: text(parseAdminBind)
    .prefault('127.0.0.1:9901')
    .describe('Address as for a listener, or `unix:/path`.'),
  tokenFile: filePath()
    .optional()
    .describe(
      'File with the bearer token that changing calls need from other than loopback; without it they are refused.',
    ),
  hosts: z
    .array(hostName())
    .max(100)
    .prefault([])
    .describe('Host names, beside the bind address and localhost, that requests may name.'),
});

const log = z.strictObject({
  level: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least level that is written.'),
  access: z
    .strictObject({
      path: filePath()
        .prefault('stdout')
        .describe('`stdout`, `off`, or a file relative to the configuration file.'),
      bufferBytes: size(65_536, 1024 ** 3)
        .prefault('4MiB')
        .describe('Bytes that a worker may hold back for a slow disk or pipe before it drops lines.'),
    })
    .prefault({})
    .describe('The access log: one JSON line for each request.'),
});

const memory = z.strictObject({
  perWorker: size(0, 1024 ** 4)
    .prefault('1GiB')
    .describe(
      'Resident memory of a worker above which it takes no new work and lets idle and stuck connections go; 0 is no limit.',
    ),
});

const defaults = z.strictObject({
  timeouts: defaultTimeouts.prefault({}).describe('Timeouts of pools that set no own.'),
  listenerTimeouts: defaultListenerTimeouts.prefault({}).describe('Timeouts of listeners that set no own.'),
  retry: defaultRetry.prefault({}).describe('Retries of rules that set no own.'),
  limits: defaultLimits.prefault({}).describe('Limits of listeners that set no own.'),
});

export const rootSchema = z.strictObject({
  clusters: z.array(clusterSchema).max(100).prefault([]).describe('Kubernetes clusters.'),
  listeners: z.array(listenerSchema).max(1000).prefault([]).describe('Where clients connect; at least one.'),
  pools: z.array(poolSchema).max(10_000).prefault([]).describe('Where requests and connections go.'),
  routes: z.array(routeSchema).max(10_000).prefault([]).describe('Which request goes to which pool.'),
  admin: admin.prefault({}).describe('The administrative HTTP interface.'),
  defaults: defaults.prefault({}).describe('Defaults for pools, rules and listeners.'),
  trustedProxies: z
    .array(text(parseCidr))
    .max(10_000)
    .prefault([])
    .describe('CIDRs (or addresses) whose `X-Forwarded-*` and `X-Request-Id` are believed.'),
  log: log.prefault({}).describe('What is logged, and where.'),
  memory: memory.prefault({}).describe('The ceiling of the process tree.'),
  workers: integer(0, 512).default(0).describe('Worker processes; 0 means one for each available core.'),
  stateDirectory: filePath()
    .nullable()
    .prefault('./state')
    .describe(
      'Directory that keeps the last good inventory and the drains, relative to the configuration file; null keeps none.',
    ),
});

/** What was written, read value by value: durations in milliseconds, hosts parsed, defaults of each place filled in. */
export type Written = z.output<typeof rootSchema>;
