// `npm run test:clients`: curl, nghttp and h2load through Portico, over TLS and cleartext, to targets of both versions.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { certificateFor } from '../support/certificates.ts';
import { DataPlane } from '../support/data-plane.ts';
import { requirePeers, runPeerSoon } from '../support/peers.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';

const peers = requirePeers(['curl', 'nghttp', 'h2load']);
const UPLOAD_BYTES = 24 * 1024 * 1024;
const REQUESTS = 2000;

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Reads the body whole and says what it was, as a field, as trailers, and for `/echo` as the body. */
function serve(
  request: http.IncomingMessage | http2.Http2ServerRequest,
  response: http.ServerResponse,
): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.setHeader('x-digest', digest(body));
    response.setHeader('x-request-trailer', String(request.trailers['x-sum'] ?? 'none'));
    response.setHeader('x-via', String(request.headers.via));
    if (request.httpVersionMajor === 1) response.setHeader('trailer', 'x-answer-sum');
    response.write(request.url === '/echo' ? body : 'hello');
    response.addTrailers({ 'x-answer-sum': String(body.length) });
    response.end();
  });
}

for (const target of ['http1', 'http2'] as const) {
  describe(`real clients, target ${target}`, () => {
    const plane = new DataPlane();
    const onRequest = serve as (request: unknown, response: unknown) => void;
    const server = target === 'http1' ? http.createServer(onRequest) : http2.createServer(onRequest);
    const sessions = new Set<http2.Http2Session>();
    let folder = '';
    let upload = Buffer.alloc(0);
    const inFolder = (name: string): string => path.join(folder, name);
    const at = (scheme: 'http' | 'https', pathname: string): string =>
      `${scheme}://localhost:${plane.port(scheme === 'http' ? 'web' : 'tls')}${pathname}`;

    before(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'portico-clients-'));
      upload = randomBytes(UPLOAD_BYTES);
      await writeFile(inFolder('upload'), upload);
      const pair = await certificateFor('localhost');
      await writeFile(inFolder('ca.pem'), pair.cert);
      server.on('session', (session: http2.Http2Session) => sessions.add(session));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      plane.apply(
        snapshotOf({
          listeners: [listenerConfig(), httpsListener(1)],
          pools: [{ targets: [`127.0.0.1:${port}`], protocol: target }],
        }),
        secretsOf([pair]),
      );
    });
    after(async () => {
      await plane.close();
      for (const session of sessions) session.destroy();
      server.close();
      await rm(folder, { recursive: true });
    });

    /** What curl got: heads and trailers, the body, and its own account of version and status. */
    async function curl(
      ...parameters: readonly string[]
    ): Promise<{ heads: string; body: Buffer; account: string }> {
      const account = await runPeerSoon(peers.curl, [
        ...['--silent', '--show-error', '--cacert', inFolder('ca.pem'), '--max-time', '60'],
        ...['--dump-header', inFolder('heads'), '--output', inFolder('body')],
        ...['--write-out', '%{http_version} %{response_code}'],
        ...parameters,
      ]);
      return {
        heads: await readFile(inFolder('heads'), 'utf8'),
        body: await readFile(inFolder('body')),
        account,
      };
    }

    for (const [name, scheme, version, via, parameters] of [
      ['curl --http2 over TLS', 'https', '2', '2.0', ['--http2']],
      ['curl --http2-prior-knowledge', 'http', '2', '2.0', ['--http2-prior-knowledge']],
      ['curl --http2 in cleartext, whose upgrade is not taken', 'http', '1.1', '1.1', ['--http2']],
      ['curl --http1.1 over TLS', 'https', '1.1', '1.1', ['--http1.1']],
    ] as const) {
      it(`${name}: an answer with trailers`, async () => {
        const { heads, body, account } = await curl(...parameters, at(scheme, '/hello'));
        assert.equal(account, `${version} 200`);
        assert.equal(String(body), 'hello');
        assert.match(heads, new RegExp(`^x-via: ${via} portico\\r$`, 'm'));
        assert.match(heads, /^x-answer-sum: 0\r$/m);
      });

      it(`${name}: a big upload that waits for 100, and comes back`, async () => {
        const { heads, body, account } = await curl(
          ...parameters,
          ...['--header', 'Expect: 100-continue', '--expect100-timeout', '30'],
          ...['--data-binary', `@${inFolder('upload')}`, at(scheme, '/echo')],
        );
        assert.equal(account, `${version} 200`);
        assert.match(heads, /^HTTP\/\S+ 100/m);
        assert.ok(body.equals(upload), `${body.length} bytes`);
        assert.match(heads, new RegExp(`^x-answer-sum: ${UPLOAD_BYTES}\\r$`, 'm'));
      });
    }

    for (const scheme of ['http', 'https'] as const) {
      it(`nghttp over ${scheme}: an upload with trailers, answered with trailers`, async () => {
        const said = await runPeerSoon(peers.nghttp, [
          ...['--verbose', '--no-verify-peer', '--null-out', '--no-content-length', '--trailer', 'x-sum: 7'],
          ...['--data', inFolder('upload'), at(scheme, '/upload')],
        ]);
        assert.match(said, /:status: 200/);
        assert.match(said, new RegExp(`x-digest: ${digest(upload)}`));
        // An HTTP/1.1 target gets none (docs/http1.md).
        assert.match(said, target === 'http1' ? /x-request-trailer: none/ : /x-request-trailer: 7/);
        assert.match(said, new RegExp(`x-answer-sum: ${UPLOAD_BYTES}`));
        assert.doesNotMatch(said, /RST_STREAM|error_code=(?!NO_ERROR)/);
      });

      it(`nghttp over ${scheme}: fifty requests at once on one connection`, async () => {
        const said = await runPeerSoon(peers.nghttp, [
          ...['--verbose', '--no-verify-peer', '--null-out', '--multiply', '50', at(scheme, '/hello')],
        ]);
        assert.equal([...said.matchAll(/:status: 200/g)].length, 50);
      });

      it(`h2load over ${scheme}: every one of ${REQUESTS} requests and 200 uploads succeeds`, async () => {
        const load = async (count: number, ...parameters: readonly string[]): Promise<void> => {
          const said = await runPeerSoon(peers.h2load, [
            ...['-n', String(count), '-c', '8', '-m', '16', ...parameters],
          ]);
          assert.match(said, new RegExp(`${count} succeeded, 0 failed, 0 errored, 0 timeout`));
          assert.match(said, new RegExp(`status codes: ${count} 2xx`));
          assert.match(said, scheme === 'http' ? /Application protocol: h2c/ : /Application protocol: h2$/m);
        };
        await load(REQUESTS, at(scheme, '/hello'));
        await writeFile(inFolder('small'), upload.subarray(0, 200_000));
        await load(200, '-d', inFolder('small'), at(scheme, '/upload'));
      });
    }

    it('none of it was a failure of Portico', () => {
      assert.equal(plane.metric('portico_failures_total'), 0);
      assert.equal(plane.metric('portico_http2_connection_failures_total'), 0);
    });
  });
}
