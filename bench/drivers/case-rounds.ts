// A case's rounds with several proxies: backend, certificates, load and the count of log lines are the same for all.

import { freePort } from '../../test/support/free-port.ts';
import type { Case } from '../cases.ts';
import { makeCertificate } from '../measure/certificate.ts';
import { type RoundOptions, runRounds, type Turn } from '../measure/rounds.ts';
import { awaitCase } from '../measure/verify.ts';
import type { Peer, RunningPeer } from '../subjects/peer.ts';
import { bodyBytesOf, type LoadPlace, runCase, tryCase } from './case-load.ts';
import { startBackend } from './go-load.ts';

const BACKENDS = 3;
/** What has a line of its own in an access log. */
const LOGGED: ReadonlySet<Case['unit']> = new Set(['request', 'call', 'connection']);

/** @param cores where the proxies run, as taskset reads them; load and backend have those of `place` */
export async function runCaseRounds(
  one: Case,
  peers: readonly Peer[],
  cores: string,
  place: LoadPlace,
  options: RoundOptions<Peer>,
): Promise<readonly Turn[]> {
  const backendPorts = await Promise.all(Array.from({ length: BACKENDS }, () => freePort()));
  const backend = await startBackend(place.program, place.cores, backendPorts, bodyBytesOf(one.load));
  try {
    return await runRounds<Peer, RunningPeer>(
      peers.filter(({ speaks }) => speaks.has(one.endpoint)),
      {
        start: (peer, directory) => {
          makeCertificate(directory);
          return peer.start({ cores, backendPorts, directory });
        },
        ready: (running) => awaitCase(() => tryCase(one, running, place), running.child),
        load: (running, seconds) => runCase(one, running, seconds, place),
        // The load has compared every byte.
        verify: () => Promise.resolve(),
        checkDuties: (running, requests) =>
          LOGGED.has(one.unit) ? running.checkLog(one.endpoint, requests) : Promise.resolve(),
      },
      options,
    );
  } finally {
    await backend.stop();
  }
}
