// Makes the load of a case against a running peer.

import type { Case, CaseLoad } from '../cases.ts';
import type { RunningPeer } from '../subjects/peer.ts';
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
  const common = ['-address', address, '-connections', String(load.connections), '-seconds', String(seconds)];
  if (load.kind === 'http2') {
    const { connections, streams, bodyBytes } = load;
    return runH2load(cores, `https://${address}/`, { connections, streams, seconds }, bodyBytes);
  }
  if (load.kind !== 'http')
    return runLoad(program, cores, [load.kind, ...common, '-size', String(load.bytes)]);
  const { bodyBytes, uploadBytes = 0, newConnections = false, resume = false } = load;
  const result = await runLoad(program, cores, [
    'http',
    ...common,
    ...['-body', String(bodyBytes), '-upload', String(uploadBytes)],
    ...(endpoint === 'https' ? ['-tls'] : []),
    ...(newConnections ? ['-new'] : []),
    ...(resume ? ['-resume'] : []),
  ]);
  // Each client's first handshake has nothing to resume.
  if (resume && (result.resumed ?? 0) < 0.9) {
    const problem = `${name}: only ${((result.resumed ?? 0) * 100).toFixed(0)}% of the handshakes resumed a session`;
    return { ...result, problems: [...result.problems, problem] };
  }
  return result;
}
