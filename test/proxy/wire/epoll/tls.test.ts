// TLS on a descriptor: what arrives of what is sent, and what its ends are told of, however bytes are cut and readers behave.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { loadTls } from '../../../../src/proxy/wire/epoll/tls.ts';
import type { TlsContext } from '../../../../src/proxy/wire/tls-context.ts';
import { certificateFor } from '../../../support/certificates.ts';
import { assertNoSocketLeft } from '../../../support/data-plane.ts';
import { fc } from '../../../support/properties.ts';
import { asserted, ECONNRESET, UV_EOF } from './handle-stage.ts';
import { OWN_TLS, TlsStage } from './tls-stage.ts';

const EPROTO = -71;
/** Bytes of which each tells where it stands. */
const PATTERN = Buffer.alloc(1024 * 1024, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));

if (OWN_TLS !== null) {
  describe('TLS on a descriptor', () => {
    const stage = new TlsStage();
    let context: TlsContext;

    before(async () => {
      context = await stage.context();
    });
    afterEach(() => stage.clear());
    after(() => assertNoSocketLeft());

    for (const piece of [1, 7, Number.POSITIVE_INFINITY]) {
      it(`shakes hands and carries bytes that come ${piece} at a time, into buffers of any size`, async () => {
        for (const bufferBytes of [1, 100, 20_000, 256 * 1024]) {
          const { handle, reader, client } = await stage.connect(context, { piece, bufferBytes });
          client.write('hello ');
          client.write('x'.repeat(1000));
          await asserted(() => assert.equal(reader.text, `hello ${'x'.repeat(1000)}`));
          client.setEncoding('latin1');
          handle.writeLatin1String(null, 'welcome');
          assert.deepEqual(await once(client, 'data'), ['welcome']);
        }
      });
    }

    it('tells what was agreed on', async () => {
      const { session, client } = await stage.connect(context);
      const { alpn, version, cipher, resumed, certificate, verifyError } = session;
      assert.deepEqual(
        { alpn, version, cipher, resumed, certificate, verifyError },
        {
          alpn: 'http/1.1',
          version: client.getProtocol(),
          cipher: client.getCipher().name,
          resumed: false,
          certificate: undefined,
          verifyError: null,
        },
      );
    });

    it('shows the certificate of a client, and what is wrong with it', async () => {
      const pair = await certificateFor('client.example.com');
      const asking = await stage.context({ requestCert: true });
      const { session, client } = await stage.connect(asking, { options: pair });
      assert.deepEqual(session.certificate, (client.getCertificate() as { raw: Buffer }).raw);
      assert.equal(session.verifyError, 'DEPTH_ZERO_SELF_SIGNED_CERT');
    });

    it('carries all bytes in order between ends that read and write as they like', async () => {
      const writes = fc.array(
        fc.record({ length: fc.integer({ min: 0, max: 200_000 }), isText: fc.boolean() }),
        {
          maxLength: 8,
        },
      );
      const schedule = fc.record({
        ours: writes,
        theirs: fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 6 }),
        bufferBytes: fc.constantFrom(500, 16 * 1024, 64 * 1024, 256 * 1024),
        piece: fc.constantFrom(3000, 17_000, Number.POSITIVE_INFINITY),
        readsLate: fc.boolean(),
        stops: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(schedule, async ({ ours, theirs, bufferBytes, piece, readsLate, stops }) => {
          const { handle, reader, client } = await stage.connect(context, { bufferBytes, piece });
          const received: Buffer[] = [];
          const read = (): void => void client.on('data', (chunk: Buffer) => received.push(chunk));
          if (!readsLate) read();
          if (stops) reader.onRead = () => handle.readStop();
          let at = 0;
          const expected: Buffer[] = [];
          const pending: (Promise<number> | number)[] = [];
          for (const { length, isText } of ours) {
            const bytes = PATTERN.subarray(at % 251, (at % 251) + length);
            at += length;
            expected.push(bytes);
            pending.push(
              stage.written(
                isText
                  ? handle.writeLatin1String(null, bytes.latin1Slice())
                  : handle.writeBuffer(null, Buffer.from(bytes)),
              ),
            );
          }
          for (const length of theirs) client.write(PATTERN.subarray(0, length));
          const text = Buffer.concat(theirs.map((length) => PATTERN.subarray(0, length))).latin1Slice();
          await asserted(() => {
            if (stops) handle.readStart();
            assert.equal(reader.text.length, text.length);
          });
          assert.ok(reader.text === text);
          if (readsLate) read();
          assert.ok((await Promise.all(pending)).every((status) => status === 0));
          await asserted(() => assert.equal(Buffer.concat(received).length, at));
          assert.ok(Buffer.concat(received).equals(Buffer.concat(expected)));
          assert.equal(handle.writeQueueSize, 0);
          await stage.clear();
        }),
        { numRuns: 25 },
      );
    });

    it('counts what a peer does not read as waiting, and sends it once the peer reads', async () => {
      const { handle, client } = await stage.connect(context);
      const piece = PATTERN.subarray(0, 1200 * 251);
      let bytes = 0;
      let write: ReturnType<typeof handle.writeBuffer> = 0;
      for (; write === 0; bytes += piece.length) write = handle.writeBuffer(null, piece);
      assert.ok(handle.writeQueueSize > 0 && handle.writeQueueSize <= piece.length);
      assert.equal(handle.writeNow!(piece, 0, 100), 0, 'behind what waits nothing is taken');
      let received = 0;
      client.on('data', (chunk: Buffer) => {
        assert.ok(chunk.equals(PATTERN.subarray(patternAt(received), patternAt(received) + chunk.length)));
        received += chunk.length;
      });
      assert.equal(await stage.written(write), 0);
      await asserted(() => assert.equal(received, bytes));
    });

    it('goes on with the rest of what was taken in part', async () => {
      const { handle, client } = await stage.connect(context);
      const taken = (from: number): number => handle.writeNow!(PATTERN, from, PATTERN.length);
      let sent = 0;
      for (let more = taken(0); more > 0; more = taken(sent % 251)) sent += more;
      // In two parts that are shorter than what was encrypted of them.
      const at = sent % 251;
      const rest = [PATTERN.subarray(at, at + 1000), PATTERN.subarray(at + 1000, at + 100_000)];
      const writes = rest.map((bytes) => stage.written(handle.writeBuffer(null, bytes)));
      let received = 0;
      client.on('data', (chunk: Buffer) => {
        assert.ok(chunk.equals(PATTERN.subarray(patternAt(received), patternAt(received) + chunk.length)));
        received += chunk.length;
      });
      assert.deepEqual(await Promise.all(writes), [0, 0]);
      await asserted(() => assert.equal(received, sent + 100_000));
    });

    it('ends its side with close_notify behind all that was written, and reads on', async () => {
      const { handle, reader, client } = await stage.connect(context);
      const received: Buffer[] = [];
      client.on('data', (chunk: Buffer) => received.push(chunk));
      client.allowHalfOpen = true;
      handle.writeBuffer(null, PATTERN.subarray(0, 100_000));
      handle.shutdown({});
      await once(client, 'end');
      assert.equal(Buffer.concat(received).length, 100_000);
      client.end('late');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, 'late');
    });

    it('tells of the end where a record and close_notify came together, and where the connection was cut', async () => {
      const ended = await stage.connect(context);
      ended.client.end('bye');
      await asserted(() => assert.deepEqual([ended.reader.text, ended.reader.end], ['bye', UV_EOF]));
      const cut = await stage.connect(context);
      cut.client.write('half');
      await asserted(() => assert.equal(cut.reader.text, 'half'));
      cut.peer.end();
      await asserted(() => assert.equal(cut.reader.end, UV_EOF));
      const reset = await stage.connect(context);
      reset.peer.resetAndDestroy();
      await asserted(() => assert.equal(reset.reader.end, ECONNRESET));
    });

    it('says why a handshake fails, and sends the alert', async () => {
      const { handle, session, peer } = await stage.accept(context);
      const failed = new Promise<NodeJS.ErrnoException>((resolve) => {
        session.onerror = resolve;
      });
      handle.readStart();
      peer.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.equal((await failed).code, 'ERR_SSL_HTTP_REQUEST');
      peer.end();
      const other = await stage.accept(context);
      const unsupported = new Promise<NodeJS.ErrnoException>((resolve) => {
        other.session.onerror = resolve;
      });
      other.handle.readStart();
      other.peer.write(Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0]));
      const [alert] = (await once(other.peer, 'data')) as [Buffer];
      assert.equal(alert[0], 0x15);
      assert.match((await unsupported).code!, /^ERR_SSL_/);
    });

    it('ends with a record that was not encrypted by its client', async () => {
      const { handle, session, reader, client, peer } = await stage.connect(context);
      client.write('good');
      await asserted(() => assert.equal(reader.text, 'good'));
      const failed = new Promise<NodeJS.ErrnoException>((resolve) => {
        session.onerror = resolve;
      });
      peer.write(Buffer.concat([Buffer.from([0x17, 3, 3, 0, 32]), PATTERN.subarray(0, 32)]));
      assert.equal((await failed).code, 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC');
      assert.equal(reader.text, 'good');
      assert.equal(handle.writeLatin1String(null, 'more'), EPROTO);
    });

    it('takes the bytes that were read before it, and can be closed by whoever is told of anything', async () => {
      const first = await stage.connect(context);
      first.reader.onRead = () => first.handle.close();
      first.client.write('x');
      await asserted(() => assert.equal(first.handle.fd, -1));
      assert.equal(first.reader.text, 'x');
      const { handle, session } = await stage.accept(context);
      session.onerror = () => handle.close();
      handle.readStart();
      session.begin(Buffer.from('not a ClientHello'));
      assert.equal(handle.fd, -1);
      const third = await stage.accept(context);
      const done = new Promise<void>((resolve) => {
        third.session.onhandshakedone = () => {
          third.handle.close();
          resolve();
        };
      });
      third.handle.readStart();
      const tls = await import('node:tls');
      const client = tls.connect({ socket: third.peer, rejectUnauthorized: false });
      client.on('error', () => {});
      client.write('at once');
      await done;
      await turn();
      assert.equal(third.reader.reads, 0);
      client.destroy();
    });

    it('goes on after its buffers were freed, by rest or by too many others that came after it', async () => {
      const connections = [];
      for (let index = 0; index < 270; index += 1) connections.push(await stage.connect(context));
      OWN_TLS!.rest();
      OWN_TLS!.rest();
      for (const { handle, client } of connections) {
        handle.writeLatin1String(null, 'still');
        client.write('there');
      }
      for (const { reader } of connections) await asserted(() => assert.equal(reader.text, 'there'));
    });

    it('says what is wrong with a certificate, a key or a name of what is negotiated, and never the key', async () => {
      const one = await certificateFor('one.example.com');
      const two = await certificateFor('two.example.com');
      for (const over of [
        { cert: ['nothing'], key: [one.key] },
        {
          cert: [`${one.cert}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`],
          key: [one.key],
        },
        { cert: [one.cert], key: [two.key] },
        { cert: [one.cert], key: ['-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n'] },
        { ecdhCurve: 'nonsense' },
        { ca: 'nothing' },
        { crl: 'nothing' },
      ]) {
        await assert.rejects(stage.context(over), (error: Error) => !error.message.includes('SECRET'));
      }
    });

    it('refuses what is no descriptor of a connection, no context, and no buffer', () => {
      const { calls } = loadTls()!;
      const EBADF = -9;
      const EINVAL = -22;
      for (const fd of [-1, 1_000_000]) {
        assert.equal(calls.receive(fd, PATTERN), EBADF);
        assert.equal(calls.sendText(fd, 'x'), EBADF);
        assert.equal(calls.sendBytes(fd, PATTERN, 0, 1), EBADF);
        assert.equal(calls.shutdown(fd), EBADF);
        assert.equal(calls.forget(fd), EBADF);
        assert.equal(calls.keep(fd, PATTERN), EBADF);
        assert.equal(calls.staple(fd, PATTERN), EBADF);
        assert.deepEqual([calls.alpn(fd), calls.version(fd), calls.cipher(fd)], ['', '', '']);
        assert.equal(calls.certificate(fd), undefined);
      }
      assert.equal(calls.open(0, {} as never), EINVAL);
      assert.equal(calls.setTicketKeys(calls.createTicketKeys(), Buffer.alloc(47)), EINVAL);
    });
  });
}

function patternAt(position: number): number {
  return position % 251;
}
