// Starts Portico, nginx and HAProxy, each in front of a backend of its own, with settings as alike as they can be.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { peerVersion, requirePeers } from '../support/peers.ts';

export const PROXIES = ['portico', 'nginx', 'haproxy'] as const;
export type FrontName = (typeof PROXIES)[number];

export interface Front {
  readonly name: FrontName;
  readonly version: string;
  readonly port: number;
  stop(): Promise<void>;
}

const MAIN = path.join(import.meta.dirname, '../../src/portico.js');
const START_MS = 20_000;
const STOP_MS = 3_000;

function nginxConfiguration(folder: string, port: number, backend: number): string {
  return `
daemon off; master_process off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off; server_tokens off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  upstream app { server 127.0.0.1:${backend}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    large_client_header_buffers 4 32k;
    location / {
      proxy_pass http://app; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off; proxy_buffering off; proxy_next_upstream off;
    }
  }
}`;
}

function haproxyConfiguration(port: number, backend: number): string {
  return `
global
  maxconn 1000
  nbthread 1
  tune.bufsize 49152
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
  timeout http-request 5s
  option forwardfor
  http-reuse always
  retries 0
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  server app 127.0.0.1:${backend}
`;
}

function porticoConfiguration(port: number, admin: number, backend: number): string {
  return JSON.stringify({
    workers: 1,
    stateDirectory: null,
    listeners: [{ name: 'web', bind: `127.0.0.1:${port}`, protocol: 'http', http2: { enabled: false } }],
    pools: [
      {
        name: 'app',
        sources: [{ static: [`127.0.0.1:${backend}`] }],
        ejection: { gatewayErrors: 0, connectFailures: 0 },
      },
    ],
    routes: [{ name: 'all', hosts: ['*'], rules: [{ pools: [{ name: 'app' }] }] }],
    admin: { bind: `127.0.0.1:${admin}` },
    log: { level: 'error', access: { path: 'off' } },
  });
}

/** Starts one proxy in front of the backend at `backend` and waits until it accepts. */
export async function startProxy(name: FrontName, backend: number): Promise<Front> {
  const folder = mkdtempSync(path.join(tmpdir(), `differential-${name}-`));
  const port = await freePort();
  let command: string = process.execPath;
  let args: string[] = [];
  let version = 'portico';
  if (name === 'portico') {
    const file = path.join(folder, 'portico.yaml');
    writeFileSync(file, porticoConfiguration(port, await freePort(), backend));
    args = [MAIN, 'run', '-c', file];
  } else {
    const file = path.join(folder, `${name}.conf`);
    const program = requirePeers([name])[name];
    version = peerVersion(name, program);
    command = program;
    if (name === 'nginx') {
      writeFileSync(file, nginxConfiguration(folder, port, backend));
      args = ['-p', folder, '-c', file];
    } else {
      writeFileSync(file, haproxyConfiguration(port, backend));
      args = ['-db', '-f', file];
    }
  }
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said = (said + String(chunk)).slice(-4000);
    });
  }
  try {
    await untilAccepts(port, child);
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${name} does not start: ${String(error)}\n${said}`);
  }
  return {
    name,
    version,
    port,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
        await once(child, 'exit');
        clearTimeout(late);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function untilAccepts(port: number, child: ChildProcess): Promise<void> {
  const endsAtMs = performance.now() + START_MS;
  while (performance.now() < endsAtMs) {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`);
    const socket = net.connect(port, '127.0.0.1');
    const accepted = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (accepted) return;
    await delay(50);
  }
  throw new Error('nothing accepts');
}
