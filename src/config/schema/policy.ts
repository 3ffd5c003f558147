// Schema of `policy`: the balancing algorithm of a pool, by name or with options.

import { z } from 'zod';
import type { HashKeyConfig, PolicyConfig, PolicyName } from '../../model/pool-config.ts';
import { Refusal } from '../refusal.ts';
import { isPrime } from '../values.ts';
import { exactlyOne, headerName, integer, refuse } from './scalars.ts';

const POLICIES = [
  'round-robin',
  'random',
  'least-request',
  'peak-ewma',
  'rendezvous',
  'maglev',
  'ring-hash',
] as const satisfies readonly PolicyName[];
const HASH_POLICIES: readonly PolicyName[] = ['rendezvous', 'maglev', 'ring-hash'];
const CHOICE_POLICIES: readonly PolicyName[] = ['least-request', 'peak-ewma'];
/** Fixed, so that every Portico with the same configuration builds the same table: ASCII `portico-seed-v1`, NUL. */
const DEFAULT_SEED = '706f727469636f2d736565642d763100';
/** ASCII `portico-hash-v1`, NUL. */
const DEFAULT_HASH_KEY = '706f727469636f2d686173682d763100';
/** Rows of the rendezvous table are not configurable; the others have none. */
const TABLE_SIZES: Readonly<Partial<Record<PolicyName, number>>> = {
  rendezvous: 65_536,
  maglev: 65_537,
  'ring-hash': 160,
};
const WHOLE_ADDRESS: HashKeyConfig = { kind: 'source-ip', prefix4: 32, prefix6: 128 };

const keyName = z.string().min(1).max(256);

const keyMap = z
  .strictObject({
    sourceIp: z
      .strictObject({
        prefix4: integer(1, 32).default(32).describe('Leading bits of an IPv4 address that count.'),
        prefix6: integer(1, 128).default(128).describe('Leading bits of an IPv6 address that count.'),
      })
      .optional()
      .describe('The client address, cut to a prefix.'),
    header: headerName().optional().describe('The value of a request header.'),
    cookie: keyName.optional().describe('The value of a cookie.'),
    query: keyName.optional().describe('The value of a query parameter.'),
    capture: keyName.optional().describe("What a capture of the route's host stands for."),
  })
  .superRefine((key, ctx) =>
    exactlyOne(key, ['sourceIp', 'header', 'cookie', 'query', 'capture'], 'a hash key', ctx),
  );

const key = z.union([z.enum(['source-ip', 'path', 'host']), keyMap]).transform((written): HashKeyConfig => {
  if (typeof written === 'string') {
    return written === 'source-ip' ? WHOLE_ADDRESS : { kind: written };
  }
  if (written.sourceIp !== undefined) {
    return { kind: 'source-ip', ...written.sourceIp };
  }
  const kind =
    (['header', 'cookie', 'query'] as const).find((candidate) => written[candidate] !== undefined) ??
    'capture';
  return { kind, name: written[kind] ?? '' };
});

const hex16 = z.string().regex(/^[0-9a-fA-F]{32}$/, { error: '16 bytes as 32 hexadecimal digits' });

const policyMap = z
  .strictObject({
    name: z.enum(POLICIES).describe('The algorithm.'),
    key: key
      .optional()
      .describe(
        'Hash policies: what is hashed: `source-ip`, `path`, `host`, or one of the keys below. Without it, `source-ip`.',
      ),
    choices: integer(2, 16)
      .optional()
      .describe('`least-request` and `peak-ewma`: candidates that are compared. Without it, 2.'),
    boundedLoad: z
      .number()
      .min(0)
      .max(10)
      .optional()
      .meta({ 'x-bounds': '0, or 1.05 to 10' })
      .describe(
        'Hash policies: a target may carry at most this many times the mean load; 0 is off. Without it, 0.',
      ),
    tableSize: integer(1, 16_777_213)
      .optional()
      .describe(
        '`maglev`: entries of the table, a prime of at least 101; without it, 65537. `ring-hash`: points per unit of weight, at most 4096; without it, 160.',
      ),
    seed: hex16
      .optional()
      .describe(
        'Hash policies: 16 bytes in hexadecimal, the same in every Portico of a fleet; without it, a fixed value.',
      ),
    hashKey: hex16
      .optional()
      .describe(
        'Hash policies: 16 bytes in hexadecimal that key the hash of a request; without it, a fixed value.',
      ),
  })
  .superRefine((policy, ctx) => {
    const isHash = HASH_POLICIES.includes(policy.name);
    for (const option of ['key', 'boundedLoad', 'seed', 'hashKey'] as const) {
      if (policy[option] !== undefined && !isHash) {
        refuse(ctx, noEffect(option, policy.name, 'the hash policies rendezvous, maglev and ring-hash'), [
          option,
        ]);
      }
    }
    if (policy.choices !== undefined && !CHOICE_POLICIES.includes(policy.name)) {
      refuse(ctx, noEffect('choices', policy.name, 'least-request and peak-ewma'), ['choices']);
    }
    const { boundedLoad = 0 } = policy;
    if (boundedLoad > 0 && boundedLoad < 1.05) {
      const message = `boundedLoad ${boundedLoad} leaves no room for the mean load`;
      refuse(ctx, new Refusal('out-of-range', message, 'Use 0 for off, or 1.05 to 10.'), ['boundedLoad']);
    }
    if (policy.tableSize !== undefined) {
      refuseTableSize(policy.name, policy.tableSize, ctx);
    }
  });

/** Comes out whole, whether it was written as a name or as a map. */
export const policySchema = z.union([z.enum(POLICIES), policyMap]).transform((written): PolicyConfig => {
  const options: z.output<typeof policyMap> = typeof written === 'string' ? { name: written } : written;
  return {
    name: options.name,
    key: HASH_POLICIES.includes(options.name) ? (options.key ?? WHOLE_ADDRESS) : null,
    choices: options.choices ?? 2,
    boundedLoad: options.boundedLoad ?? 0,
    tableSize: options.tableSize ?? TABLE_SIZES[options.name] ?? 0,
    seed: (options.seed ?? DEFAULT_SEED).toLowerCase(),
    hashKey: (options.hashKey ?? DEFAULT_HASH_KEY).toLowerCase(),
  };
});

function refuseTableSize(policy: PolicyName, tableSize: number, ctx: z.RefinementCtx): void {
  if (policy === 'maglev') {
    if (tableSize < 101 || !isPrime(tableSize)) {
      refuse(
        ctx,
        new Refusal(
          'table-size',
          `the maglev table size ${tableSize} is not a prime of at least 101`,
          'Use 65537, or another prime well above 100 times the number of targets.',
        ),
        ['tableSize'],
      );
    }
  } else if (policy === 'ring-hash') {
    if (tableSize > 4096) {
      refuse(
        ctx,
        new Refusal('table-size', `${tableSize} points per unit of weight are too many`, 'Use at most 4096.'),
        ['tableSize'],
      );
    }
  } else {
    refuse(ctx, noEffect('tableSize', policy, 'maglev and ring-hash'), ['tableSize']);
  }
}

function noEffect(option: string, policy: PolicyName, owners: string): Refusal {
  return new Refusal(
    'no-effect',
    `${option} has no effect on the policy ${policy}`,
    `Remove it: it belongs to ${owners}.`,
  );
}
