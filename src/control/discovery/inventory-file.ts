// The bytes of a kept inventory: one header line with version, age, size and checksum, then the inventory as JSON.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ClusterInventory } from '../../model/inventory.ts';
import { parseJsonObject } from './json.ts';

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

const headerSchema = z.strictObject({
  format: z.literal(format),
  version: z.literal(version),
  cluster: text,
  writtenAtMs: z.number(),
  syncedAtMs: z.number(),
  bytes: z.int(),
  sha256: text,
});

export function encodeInventory(inventory: ClusterInventory, writtenAtMs: number): Buffer {
  const { cluster, syncedAtMs, nodes, services, slices } = inventory;
  const payload = Buffer.from(JSON.stringify({ nodes, services, slices }));
  const header = {
    format,
    version,
    cluster,
    writtenAtMs,
    syncedAtMs,
    bytes: payload.length,
    sha256: createHash('sha256').update(payload).digest('hex'),
  };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), payload]);
}

/** The inventory with origin `disk`, or a sentence that says why these bytes are none of this cluster. */
export function decodeInventory(bytes: Uint8Array, cluster: string): ClusterInventory | string {
  const end = bytes.indexOf(0x0a);
  if (end === -1) return 'it has no header line';
  const header = headerSchema.safeParse(parseJsonObject(bytes.subarray(0, end)));
  if (!header.success) return 'its header is not one of this version';
  if (header.data.cluster !== cluster) return 'it belongs to another cluster';
  const payload = bytes.subarray(end + 1);
  if (payload.length !== header.data.bytes) return 'it is truncated or has grown';
  if (createHash('sha256').update(payload).digest('hex') !== header.data.sha256)
    return 'its checksum is wrong';
  const inventory = inventorySchema.safeParse(parseJsonObject(payload));
  if (!inventory.success) return 'its content has an unexpected shape';
  return { cluster, origin: 'disk', syncedAtMs: header.data.syncedAtMs, ...inventory.data };
}
