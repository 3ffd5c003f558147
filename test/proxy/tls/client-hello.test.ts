// The ClientHello reader: real hellos of two implementations, at every split, over several records, and broken ones.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { before, describe, it } from 'node:test';
import tls from 'node:tls';
import { type ClientHello, readClientHello } from '../../../src/proxy/tls/client-hello.ts';
import { certificateFor } from '../../support/certificates.ts';
import { openssl } from '../../support/openssl.ts';
import { fc } from '../../support/properties.ts';

const NAME = 'A.Example.com';

/** What a client sends first. */
async function firstFlight(connect: (port: number) => void): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  connect((server.address() as net.AddressInfo).port);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  let bytes = Buffer.alloc(0);
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) break;
  }
  socket.destroy();
  server.close();
  return bytes;
}

/** The same message in records of at most `size` bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let start = 0; start < message.length; start += size) {
    const part = message.subarray(start, start + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

/** The same hello with another server_name extension, and something behind its extensions. */
function withServerName(hello: Buffer, extension: Buffer, behind = Buffer.alloc(0)): Buffer {
  const name = hello.indexOf(NAME);
  const [start, end] = [name - 9, name + NAME.length];
  const sessionId = 5 + 4 + 2 + 32;
  const ciphers = sessionId + 1 + hello[sessionId]!;
  const compression = ciphers + 2 + hello.readUInt16BE(ciphers);
  const extensions = compression + 1 + hello[compression]!;
  assert.ok(name > 0 && hello.readUInt16BE(start) === 0, 'the extension is where it is looked for');
  const parts = [
    hello.subarray(0, start),
    Buffer.from([0, 0]),
    sized(extension),
    hello.subarray(end),
    behind,
  ];
  const changed = Buffer.concat(parts);
  changed.writeUInt16BE(changed.length - 5, 3);
  changed.writeUIntBE(changed.length - 9, 6, 3);
  changed.writeUInt16BE(changed.length - behind.length - extensions - 2, extensions);
  return changed;
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

const named = (text: string, type = 0): Buffer =>
  Buffer.concat([Buffer.from([type]), sized(Buffer.from(text))]);
const listOf = (...names: readonly Buffer[]): Buffer => sized(Buffer.concat(names));

/** Whether a TLS server on OpenSSL goes on with it. */
async function opensslTakes(hello: Buffer, server: tls.Server): Promise<boolean> {
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {}).write(hello);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer[0] === 22;
}

describe('readClientHello', () => {
  let hello: Buffer;

  before(async () => {
    hello = await firstFlight((port) => {
      const options = {
        host: '127.0.0.1',
        port,
        servername: NAME,
        ALPNProtocols: ['h2', 'http/1.1'],
      };
      tls.connect(options).on('error', () => {});
    });
  });

  it('reads name, protocols, ciphers and signature algorithms of Node’s client', () => {
    const read = readClientHello(hello);
    assert.ok(read !== null && read !== 'more');
    assert.equal(read.serverName, 'a.example.com');
    assert.deepEqual(read.alpn, ['h2', 'http/1.1']);
    assert.equal(read.offersTls13, true);
    assert.ok(read.ciphers.includes(0x1301));
    assert.ok(read.signatureAlgorithms.includes(0x0403));
    assert.equal(read.wantsStatus, false);
  });

  it('reads those of openssl: with and without a name, asking for a staple, TLS 1.2 alone', async () => {
    const read = async (...parameters: string[]) => {
      const flight = await firstFlight((port) => void openssl(port, parameters));
      const answer = readClientHello(flight);
      assert.ok(answer !== null && answer !== 'more');
      return answer;
    };
    const old = await read('-servername', 'b.example.com', '-status', '-tls1_2');
    assert.equal(old.serverName, 'b.example.com');
    assert.equal(old.wantsStatus, true);
    assert.equal(old.offersTls13, false);
    const nameless = await read('-noservername', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256', '-tls1_2');
    assert.equal(nameless.serverName, '');
    assert.deepEqual(
      nameless.ciphers.filter((code) => code !== 0x00ff),
      [0xc02f],
    );
  });

  it('asks for more at every split, and reads the same however the message is cut into records', () => {
    const whole = readClientHello(hello);
    for (let length = 0; length < hello.length; length += 1) {
      assert.equal(readClientHello(hello.subarray(0, length)), 'more', `after ${length} bytes`);
    }
    const least = Math.ceil(hello.length / 60);
    for (const size of [least, least + 1, 37, 100, 512])
      assert.deepEqual(readClientHello(inRecords(hello, size)), whole);
    const cut = inRecords(hello, 37);
    for (let length = 0; length < cut.length; length += 1) {
      assert.equal(
        readClientHello(cut.subarray(0, length)),
        'more',
        `after ${length} bytes of small records`,
      );
    }
  });

  it('reads no more than 64 records and 16 KiB: the rest is for OpenSSL to refuse', () => {
    assert.equal(readClientHello(inRecords(hello, 1)), null);
    const drip = inRecords(hello, 1).subarray(0, 63 * 6);
    assert.equal(readClientHello(drip), 'more');
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 0x00])), null);
  });

  it('takes what follows the message for no part of it', () => {
    assert.deepEqual(readClientHello(Buffer.concat([hello, Buffer.from('rest')])), readClientHello(hello));
  });

  for (const [what, extension, behind, serverName] of [
    ['one name', listOf(named('b.example')), '', 'b.example'],
    ['a name with a final dot', listOf(named('b.example.')), '', 'b.example'],
    ['two names', listOf(named('b.example'), named('c.example')), '', null],
    ['the same name twice', listOf(named('b.example'), named('b.example')), '', null],
    ['a name of another type', listOf(named('b.example', 1)), '', null],
    ['a name of another type behind it', listOf(named('b.example'), named('c', 1)), '', null],
    ['a name of no length', listOf(named('')), '', ''],
    ['no name in the list', listOf(), '', null],
    ['no list', Buffer.alloc(0), '', null],
    ['a NUL in the name', listOf(named('b.example\0.c')), '', null],
    ['bytes behind the list', Buffer.concat([listOf(named('b.example')), Buffer.from('x')]), '', null],
    ['bytes behind the extensions', listOf(named('b.example')), 'xy', null],
  ] as const) {
    it(`${serverName === null ? 'refuses' : 'reads'} ${what}, as OpenSSL does`, async (test) => {
      const changed = withServerName(hello, extension, Buffer.from(behind));
      const read = readClientHello(changed);
      assert.notEqual(read, 'more');
      assert.equal((read as ClientHello | null)?.serverName ?? null, serverName);
      const server = tls.createServer(await certificateFor('b.example')).on('tlsClientError', () => {});
      test.after(() => server.close());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      assert.equal(await opensslTakes(changed, server), serverName !== null);
    });
  }

  it('says at once that other protocols and other messages are none', () => {
    assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1\r\n')), null);
    assert.equal(readClientHello(Buffer.from('SSH-2.0-x\r\n')), null);
    assert.equal(readClientHello(Buffer.from([0x80, 0x2e, 1, 0, 2])), null, 'SSL 2');
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])), null, 'a ServerHello');
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 0])), null, 'an empty record');
    assert.equal(
      readClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255])),
      null,
      'a message beyond the limit',
    );
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 255, 255])), null, 'a record beyond the limit');
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), fc.nat(3), (at, byte, cut) => {
        const broken = Buffer.from(hello.subarray(0, hello.length - cut));
        if (at < broken.length) broken[at] = byte;
        readClientHello(broken);
      }),
      { numRuns: 2000 },
    );
  });
});
