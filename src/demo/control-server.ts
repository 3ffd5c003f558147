// The demo's remote control: POST requests that kill, revive, exclude and taint nodes and roll pods.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listen } from './listening.ts';
import { isLocal } from './local-only.ts';
import { UnknownNameError, type World } from './world.ts';

export interface ControlServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  close(): Promise<void>;
}

type NodeAction = (world: World, node: string) => Promise<void> | void;

const NODE_ACTIONS: Readonly<Record<string, NodeAction>> = {
  kill: (world, node) => world.kill(node),
  revive: (world, node) => world.revive(node),
  exclude: (world, node) => world.exclude(node, true),
  include: (world, node) => world.exclude(node, false),
  taint: (world, node) => world.taint(node, true),
  untaint: (world, node) => world.taint(node, false),
};

const USAGE = `POST /nodes/NODE/{${Object.keys(NODE_ACTIONS).join(',')}}
POST /services/NAMESPACE/NAME/roll
`;

/** Starts on a port of 127.0.0.1; 0 takes a free one. */
export async function startControlServer(world: World, port: number): Promise<ControlServer> {
  const server = createServer((request, response) => void answer(world, request, response));
  const listening = await listen(server, '127.0.0.1', port);
  return {
    url: `http://127.0.0.1:${listening.port}`,
    close: async () => {
      const closed = listening.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  const say = (status: number, text: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(text);
  };
  if (!isLocal(request)) return say(403, 'for programs on this machine only\n');
  const [, kind, ...parts] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/');
  if (request.method !== 'POST') return say(405, USAGE);
  try {
    const [first = '', second = '', third = ''] = parts.map(decodeURIComponent);
    const act = Object.hasOwn(NODE_ACTIONS, second) ? NODE_ACTIONS[second] : undefined;
    if (kind === 'nodes' && act !== undefined && parts.length === 2) {
      await act(world, first);
      return say(200, `${first}: ${second} done\n`);
    }
    if (kind === 'services' && third === 'roll' && parts.length === 3) {
      await world.roll(`${first}/${second}`);
      return say(200, `${first}/${second}: every pod replaced\n`);
    }
    return say(404, USAGE);
  } catch (error) {
    const isClients = error instanceof UnknownNameError || error instanceof URIError;
    return say(isClients ? 404 : 500, `${error instanceof Error ? error.message : String(error)}\n`);
  }
}
