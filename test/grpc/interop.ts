// The interop programs of gRPC for Go (google.golang.org/grpc/interop): built once, a server started, one case run.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.ts';
import { buildGo } from '../support/go-build.ts';

/** The cases of gRPC's doc/interop-test-descriptions.md that need no credentials of a cloud. */
export const CASES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'custom_metadata',
  'status_code_and_message',
  'special_status_message',
  'unimplemented_method',
  'unimplemented_service',
] as const;

/** For one case; each takes less than a second on a quiet machine. */
const CASE_MS = 60_000;
const START_MS = 20_000;

export function buildInterop(part: 'client' | 'server', say: (line: string) => void): Promise<string> {
  return buildGo(
    {
      name: `grpc-interop-${part}`,
      module: import.meta.dirname,
      sources: ['go.mod', 'go.sum'],
      package: `google.golang.org/grpc/interop/${part}`,
    },
    say,
  );
}

export interface InteropServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startGoServer(program: string): Promise<InteropServer> {
  const port = await freePort();
  const server = spawn(program, ['--port', String(port), '--use_tls=false'], { stdio: 'ignore' });
  const exited = once(server, 'exit');
  const untilMs = performance.now() + START_MS;
  while (!(await answers(port))) {
    if (server.exitCode !== null || performance.now() > untilMs)
      throw new Error(`the interop server does not answer (exit code ${server.exitCode})`);
  }
  return {
    port,
    close: async () => {
      server.kill();
      await exited;
    },
  };
}

/**
 * Runs one case against a port of this machine.
 * @param authority file of the certificate to trust; without one there is no TLS
 * @returns '' when it passed, what the client said otherwise
 */
export async function runCase(
  program: string,
  port: number,
  name: string,
  authority: string | null,
): Promise<string> {
  const tls =
    authority === null
      ? ['--use_tls=false']
      : [
          '--use_tls=true',
          '--use_test_ca=true',
          `--ca_file=${authority}`,
          '--server_host_override=localhost',
        ];
  const parameters = ['--server_host=127.0.0.1', `--server_port=${port}`, `--test_case=${name}`, ...tls];
  return await promisify(execFile)(program, parameters, { timeout: CASE_MS }).then(
    () => '',
    (error: Error & { stderr?: string }) => error.stderr || error.message,
  );
}

async function answers(port: number): Promise<boolean> {
  const socket = net.connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return false;
  } finally {
    socket.destroy();
  }
}
