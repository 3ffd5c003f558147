// Status objects: how the Kubernetes API says no.

import type { JsonObject } from './kube-object.ts';

export interface Failure extends JsonObject {
  readonly code: number;
}

export const failure = (code: number, reason: string, message: string): Failure => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  code,
});

export const notFound = (what: string): Failure => failure(404, 'NotFound', `${what} not found`);
export const expired = (message: string): Failure => failure(410, 'Expired', message);
export const badRequest = (message: string): Failure => failure(400, 'BadRequest', message);
