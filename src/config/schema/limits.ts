// Schema of `limits`: what one listener takes from all clients and from one of them, with the defaults of `defaults.limits`.

import { z } from 'zod';
import { integer, size } from './scalars.ts';

const count = () => integer(1, 1_000_000);
const rate = () => integer(0, 1_000_000);

/** Everything counts for one worker: workers share nothing while they serve (docs/limits.md says what that means). */
export const limitFields = {
  connections: count().describe('Open downstream connections per worker.'),
  connectionsPerClient: count().describe('Open downstream connections of one client address per worker.'),
  connectionRate: rate().describe('New connections a second per worker; 0 is no limit.'),
  connectionBurst: rate().describe(
    'Connections that may come at once under `connectionRate`; 0 is one second of it.',
  ),
  connectionRatePerClient: rate().describe(
    'New connections a second of one client address per worker; 0 is no limit.',
  ),
  connectionBurstPerClient: rate().describe(
    'Connections that may come at once under `connectionRatePerClient`; 0 is one second of it.',
  ),
  requests: count().describe('Requests in flight per worker, those that became tunnels included.'),
  requestsPerClient: count().describe('Requests in flight of one client address per worker.'),
  requestRate: rate().describe('Requests a second per worker; 0 is no limit.'),
  requestBurst: rate().describe('Requests that may come at once under `requestRate`; 0 is one second of it.'),
  requestRatePerClient: rate().describe('Requests a second of one client address per worker; 0 is no limit.'),
  requestBurstPerClient: rate().describe(
    'Requests that may come at once under `requestRatePerClient`; 0 is one second of it.',
  ),
  clientPrefix4: integer(8, 32).describe('Leading bits of an IPv4 address that make one client.'),
  clientPrefix6: integer(16, 128).describe('Leading bits of an IPv6 address that make one client.'),
  headerCount: integer(1, 10_000).describe('Header fields in one message.'),
  headerBytes: size(1024, 1024 * 1024).describe('Bytes of a message head, request line included.'),
  headerLineBytes: size(256, 1024 * 1024).describe('Bytes of the request line or of one header line.'),
  minBodyRate: rate().describe(
    'Bytes a second of a request body, over each `timeouts.rateGrace`, while Portico waits for them; 0 is no limit.',
  ),
  minReadRate: rate().describe(
    'Bytes a second of an answer that a client takes, over each `timeouts.rateGrace`, while Portico waits for it; 0 is no limit.',
  ),
  pipelinedRequests: count().describe(
    'Requests that a connection may have sent ahead of their answers; one more and it is closed with an answer.',
  ),
  pipelinedBytes: size(1024, 262_144).describe(
    'Bytes behind a request that are held until it is answered; with more the connection is closed with the answer.',
  ),
  requestsPerConnection: integer(1, 1_000_000_000).describe(
    'Requests answered on one downstream connection before it is closed.',
  ),
};

/** `defaults.limits`: every field with its default. */
export const defaultLimits = z.strictObject({
  connections: limitFields.connections.default(20_000),
  connectionsPerClient: limitFields.connectionsPerClient.default(1000),
  connectionRate: limitFields.connectionRate.default(0),
  connectionBurst: limitFields.connectionBurst.default(0),
  connectionRatePerClient: limitFields.connectionRatePerClient.default(0),
  connectionBurstPerClient: limitFields.connectionBurstPerClient.default(0),
  requests: limitFields.requests.default(20_000),
  requestsPerClient: limitFields.requestsPerClient.default(2000),
  requestRate: limitFields.requestRate.default(0),
  requestBurst: limitFields.requestBurst.default(0),
  requestRatePerClient: limitFields.requestRatePerClient.default(0),
  requestBurstPerClient: limitFields.requestBurstPerClient.default(0),
  clientPrefix4: limitFields.clientPrefix4.default(32),
  clientPrefix6: limitFields.clientPrefix6.default(64),
  headerCount: limitFields.headerCount.default(100),
  headerBytes: limitFields.headerBytes.prefault('32KiB'),
  headerLineBytes: limitFields.headerLineBytes.prefault('16KiB'),
  minBodyRate: limitFields.minBodyRate.default(240),
  minReadRate: limitFields.minReadRate.default(240),
  pipelinedRequests: limitFields.pipelinedRequests.default(256),
  pipelinedBytes: limitFields.pipelinedBytes.prefault('256KiB'),
  requestsPerConnection: limitFields.requestsPerConnection.default(100_000),
});
