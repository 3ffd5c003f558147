// The HTTP backends: every answer names the node, the pod and what Portico told it about the request.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { DemoPod } from './objects.ts';

export interface Arrival {
  /** The node whose port the connection came in by. */
  readonly node: string;
  readonly address: string;
  readonly pod: DemoPod;
}

/** One server for all pods: the socket says which pod a request has reached. */
export class HttpPods {
  readonly #arrivals = new WeakMap<Socket, Arrival>();
  readonly #server: Server;

  constructor() {
    // Longer than a balancer keeps an idle connection, as servers behind one are set.
    this.#server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
      this.#answer(request, response);
    });
  }

  serve(socket: Socket, arrival: Arrival): void {
    this.#arrivals.set(socket, arrival);
    this.#server.emit('connection', socket);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const arrival = this.#arrivals.get(request.socket);
    if (arrival === undefined) {
      response.destroy();
      return;
    }
    request.resume();
    const { pod } = arrival;
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.setHeader('x-demo-node', arrival.node);
    if (pod.state === 'terminating') response.setHeader('connection', 'close');
    response.end(request.url === '/_ping' ? 'pong\n' : page(request, arrival));
  }
}

function page(request: IncomingMessage, { node, address, pod }: Arrival): string {
  const { service } = pod;
  const header = (name: string): string => {
    const value = request.headers[name];
    return value === undefined ? '(none)' : String(value);
  };
  const where = pod.node === node ? 'on this node' : `on ${pod.node}`;
  return `Hello from ${service.name} in ${service.namespace}

  node             ${node} (${address}:${request.socket.localPort})
  pod              ${pod.name}, ${where}
  request          ${request.method} ${request.url}
  host             ${header('host')}
  x-forwarded-for  ${header('x-forwarded-for')}
  x-request-id     ${header('x-request-id')}
`;
}
