// Owns the names of the object versions that decide about targets, and which of them are new.

import type { EndpointSliceFact } from '../../model/inventory.ts';
import type { DerivedSource } from './derive.ts';

type Versioned = Pick<DerivedSource, 'serviceVersion' | 'slices'>;

/** `node:RV service:RV slice/NAME:RV` of one service x node; only slices with an endpoint on the node. */
export function objectVersions(node: string | null, nodeVersion: string, derived: Versioned): string {
  const slices = derived.slices.filter(({ endpoints }) =>
    endpoints.some(({ nodeName }) => nodeName !== null && nodeName === node),
  );
  return [nodeToken(nodeVersion), serviceToken(derived), ...slices.map(sliceToken)].filter(isToken).join(' ');
}

/** The versions of the service and its slices that the derivation before did not have. */
export function newVersions(before: Versioned | null, after: Versioned): string {
  if (before === null) return '';
  if (before.slices === after.slices && before.serviceVersion === after.serviceVersion) return '';
  const known = new Map(before.slices.map((slice) => [slice.name, slice]));
  const fresh = after.slices.filter(
    (slice) => known.get(slice.name)?.resourceVersion !== slice.resourceVersion,
  );
  const listed = new Set(after.slices.map(({ name }) => name));
  const gone = before.slices.filter(({ name }) => !listed.has(name)).map(({ name }) => `slice/${name}:gone`);
  const service = before.serviceVersion === after.serviceVersion ? '' : serviceToken(after) || 'service:gone';
  return [service, ...fresh.map(sliceToken), ...gone].filter(isToken).join(' ');
}

/** `node:RV`; empty for no version. */
export function nodeToken(nodeVersion: string): string {
  return nodeVersion === '' ? '' : `node:${nodeVersion}`;
}

function serviceToken({ serviceVersion }: Versioned): string {
  return serviceVersion === '' ? '' : `service:${serviceVersion}`;
}

function sliceToken({ name, resourceVersion }: EndpointSliceFact): string {
  return `slice/${name}:${resourceVersion}`;
}

function isToken(text: string): boolean {
  return text !== '';
}

/** Two lists of versions as one. */
export function joinVersions(first: string, second: string): string {
  return [first, second].filter(isToken).join(' ');
}
