// The bytes of a kept inventory: one header line with version, age, size and checksum, then the inventory as JSON.

import { z } from 'zod';
import { type ClusterInventory, NOTHING_UNLISTED } from '../../model/inventory.ts';
import { sealedInParts, unsealed } from '../state-file.ts';

const format = 'portico-inventory';
/** To be raised with every change of the inventory's shape: a file of another version is not read. */
const version = 1;

const text = z.string();
const port = z.int().min(0).max(65535);
const identity = {
  name: text,
  uid: text,
  resourceVersion: text,
  deletionTimestamp: text.nullable(),
};

const inventorySchema = z.strictObject({
  nodes: z.array(
    z.strictObject({
      ...identity,
      labels: z.record(text, text),
      addresses: z.array(z.strictObject({ type: text, address: text })),
      ready: z.enum(['True', 'False', 'Unknown']),
      unschedulable: z.boolean(),
      taints: z.array(z.strictObject({ key: text, effect: text })),
    }),
  ),
  services: z.array(
    z.strictObject({
      ...identity,
      namespace: text,
      type: text,
      externalTrafficPolicy: z.enum(['Cluster', 'Local']),
      healthCheckNodePort: port,
      ipFamilies: z.array(text),
      ports: z.array(z.strictObject({ name: text, port, nodePort: port, protocol: text })),
    }),
  ),
  slices: z.array(
    z.strictObject({
      ...identity,
      namespace: text,
      service: text,
      addressType: text,
      ports: z.array(z.strictObject({ name: text, port })),
      endpoints: z.array(
        z.strictObject({
          addresses: z.array(text),
          nodeName: text.nullable(),
          ready: z.boolean(),
          serving: z.boolean(),
          terminating: z.boolean(),
        }),
      ),
    }),
  ),
});

const header = {
  format: z.literal(format),
  version: z.literal(version),
  cluster: text,
  writtenAtMs: z.number(),
  syncedAtMs: z.number(),
};

/** Characters that are made at once: a large cluster has megabytes, and events are answered meanwhile. */
const PART = 65_536;

/** In pieces; `rest` is awaited between two of them. */
export function encodeInventory(
  inventory: ClusterInventory,
  writtenAtMs: number,
  rest: () => Promise<void>,
): Promise<readonly Buffer[]> {
  const { cluster, syncedAtMs, nodes, services, slices } = inventory;
  const header = { format, version, cluster, writtenAtMs, syncedAtMs };
  return sealedInParts(header, partsOf({ nodes, services, slices }), rest);
}

/** The JSON text of an object of lists. */
function* partsOf(lists: Readonly<Record<string, readonly object[]>>): Generator<string> {
  let text = '';
  let opening = '{';
  for (const [name, list] of Object.entries(lists)) {
    text += `${opening}${JSON.stringify(name)}:[`;
    opening = '],';
    for (const [index, item] of list.entries()) {
      text += `${index === 0 ? '' : ','}${JSON.stringify(item)}`;
      if (text.length < PART) continue;
      yield text;
      text = '';
    }
  }
  yield `${text}]}`;
}

/** The inventory with origin `disk`, or a sentence that says why these bytes are none of this cluster. */
export function decodeInventory(bytes: Uint8Array, cluster: string): ClusterInventory | string {
  const read = unsealed(bytes, header);
  if (typeof read === 'string') return read;
  if (read.header.cluster !== cluster) return 'it belongs to another cluster';
  const inventory = inventorySchema.safeParse(read.content);
  if (!inventory.success) return 'its content has an unexpected shape';
  const { syncedAtMs } = read.header;
  return { cluster, origin: 'disk', syncedAtMs, ...inventory.data, unlisted: NOTHING_UNLISTED };
}
