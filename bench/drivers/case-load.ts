// Makes the load of a case against a running peer.

import type { Case, CaseLoad } from '../cases.ts';
import type { Endpoint, RunningPeer } from '../subjects/peer.ts';
import type { LoadResult } from './driver.ts';
import { runLoad } from './go-load.ts';
import { runH2load } from './h2load.ts';

export interface LoadPlace {
  /** The built program of bench/load. */
  readonly program: string;
  /** As taskset reads them. */
  readonly cores: string;
}

const READY_SECONDS = 0.2;
/** The backend's own (bench/load/certificate.go): who gets it has come through unopened. */
const BACKEND_CERTIFICATE = 'backend.bench.example';

/** Bytes of the body that the backend answers with. */
export const bodyBytesOf = (load: CaseLoad): number => ('bodyBytes' in load ? load.bodyBytes : 66);

/**
 * A short load that shows whether a proxy answers. For HTTP/2 it is HTTP/1.1 over TLS: when its time is over, h2load waits
 * for connections that have not come about, and those to a proxy that has just started take some tenths of a second.
 */
export function tryCase(one: Case, running: RunningPeer, place: LoadPlace): Promise<LoadResult> {
  const { load } = one;
  const plain: CaseLoad =
    load.kind === 'http2' ? { kind: 'http', connections: load.connections, bodyBytes: load.bodyBytes } : load;
  return runCase({ ...one, load: plain }, running, READY_SECONDS, place);
}

export async function runCase(
  { load, endpoint, name }: Case,
  running: RunningPeer,
  seconds: number,
  { program, cores }: LoadPlace,
): Promise<LoadResult> {
  const address = `127.0.0.1:${running.ports[endpoint]}`;
  if (load.kind === 'http2') {
    const { connections, streams, bodyBytes } = load;
    return runH2load(cores, `https://${address}/`, { connections, streams, seconds }, bodyBytes);
  }
  const common = ['-address', address, '-connections', String(load.connections), '-seconds', String(seconds)];
  const parameters = [load.kind, ...common, ...parametersOf(load), ...ofEndpoint(endpoint)];
  const result = await runLoad(program, cores, parameters);
  // Each client's first handshake has nothing to resume.
  if (load.kind === 'http' && load.resume === true && (result.resumed ?? 0) < 0.9) {
    const problem = `${name}: only ${((result.resumed ?? 0) * 100).toFixed(0)}% of the handshakes resumed a session`;
    return { ...result, problems: [...result.problems, problem] };
  }
  return result;
}

/** What the program under bench/load is told of a load, beside its kind and what all have. */
function parametersOf(load: Exclude<CaseLoad, { kind: 'http2' }>): readonly string[] {
  switch (load.kind) {
    case 'http': {
      const { bodyBytes, uploadBytes = 0, newConnections = false, resume = false } = load;
      const sizes = ['-body', String(bodyBytes), '-upload', String(uploadBytes)];
      return [...sizes, ...(newConnections ? ['-new'] : []), ...(resume ? ['-resume'] : [])];
    }
    case 'grpc': {
      const bytes = String(load.bodyBytes);
      return ['-streams', String(load.streams), '-size', bytes, '-body', bytes];
    }
    case 'tcp':
      return ['-size', String(load.bytes), ...(load.newConnections === true ? ['-new'] : [])];
    case 'websocket':
      return ['-size', String(load.bytes)];
  }
}

/** What it speaks there, and what it must find behind the proxy. */
function ofEndpoint(endpoint: Endpoint): readonly string[] {
  if (endpoint === 'https' || endpoint === 'grpc') return ['-tls'];
  if (endpoint === 'passthrough') return ['-tls', '-certificate', BACKEND_CERTIFICATE];
  return endpoint === 'proxied' ? ['-announced'] : [];
}
