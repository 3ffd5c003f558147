// What one connection takes of a worker's memory: a worker alone in a process, clients in another, garbage collected.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';

export interface ConnectionMemory {
  readonly title: string;
  readonly connections: number;
  /** Resident memory of the worker that came with them, for each. */
  readonly residentEach: number;
  /** Of it, objects and buffers that V8 knows of. */
  readonly heapEach: number;
}

export type Stage = 'accepted' | 'kept' | 'active';

/** What the worker says of itself after collecting garbage. */
export interface WorkerMemory {
  readonly residentBytes: number;
  readonly heapBytes: number;
}

const MEASUREMENTS: readonly {
  readonly title: string;
  readonly stage: Stage;
  readonly connections: number;
}[] = [
  { title: 'idle, no request yet', stage: 'accepted', connections: 8000 },
  { title: 'idle, kept after a request', stage: 'kept', connections: 8000 },
  {
    title: 'with a request in flight, its connection to the target included',
    stage: 'active',
    connections: 4000,
  },
];

/** Each measurement in a new pair of processes, so that none finds what another has left. */
export async function measureConnectionMemory(): Promise<readonly ConnectionMemory[]> {
  const backend = holdingBackend();
  await once(backend.listen(0, '127.0.0.1'), 'listening');
  const backendPort = String((backend.address() as net.AddressInfo).port);
  const results: ConnectionMemory[] = [];
  for (const { title, stage, connections } of MEASUREMENTS) {
    const worker = start('memory-worker.ts', [backendPort]);
    const [port] = (await once(worker, 'message')) as [number];
    const clients = start('memory-clients.ts', [String(port), String(connections), stage]);
    // A few were opened and closed: what stays of them is the code that was compiled.
    await once(clients, 'message');
    const before = await memoryOf(worker);
    clients.send('again');
    await once(clients, 'message');
    const after = await memoryOf(worker);
    results.push({
      title,
      connections,
      residentEach: Math.round((after.residentBytes - before.residentBytes) / connections),
      heapEach: Math.round((after.heapBytes - before.heapBytes) / connections),
    });
    const exits = [worker, clients].map((child) => once(child, 'exit'));
    worker.kill('SIGKILL');
    clients.kill('SIGKILL');
    await Promise.all(exits);
  }
  backend.close();
  return results;
}

async function memoryOf(worker: ChildProcess): Promise<WorkerMemory> {
  const answer = once(worker, 'message') as Promise<[WorkerMemory]>;
  worker.send('measure');
  return (await answer)[0];
}

/** Answers every request but one for /hold. */
function holdingBackend(): net.Server {
  return net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (!chunk.toString('latin1').startsWith('GET /hold'))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
}

function start(file: string, parameters: readonly string[]): ChildProcess {
  return fork(path.join(import.meta.dirname, file), parameters, {
    execArgv: ['--expose-gc', '--max-semi-space-size=8'],
  });
}
