// The peer that most Node projects use: http-proxy 1.18 with a keep-alive agent, nothing logged.
// `node bench/peers/http-proxy.ts PORT BACKEND_PORT`

import http from 'node:http';
import process from 'node:process';
import httpProxy from 'http-proxy';

const [port, backendPort] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1024, maxFreeSockets: 1024 });
const proxy = httpProxy.createProxyServer({ target: { host: '127.0.0.1', port: backendPort! }, agent });
proxy.on('error', (_error, _request, response) => {
  // After an upgrade there is a socket in its place.
  if ('writeHead' in response && !response.headersSent) response.writeHead(502);
  response.end();
});
http
  .createServer((request, response) => proxy.web(request, response))
  .on('upgrade', (request, socket, head) => proxy.ws(request, socket, head))
  .listen(port, '127.0.0.1');
