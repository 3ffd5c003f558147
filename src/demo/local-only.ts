// Who may call the demo's HTTP interfaces: programs on this machine, and no web page that happens to be open on it.

import type { IncomingMessage } from 'node:http';

const LOCAL = ['127.0.0.1', 'localhost'];

/** False for a request that a browser sent for a page (it names an Origin) or that reached us by a rebound name. */
export function isLocal(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  return request.headers.origin === undefined && LOCAL.includes(host);
}
