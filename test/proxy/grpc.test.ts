// gRPC through the whole data plane with @grpc/grpc-js on both ends: calls of all kinds, status, deadlines, cancellation.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { assertNoSocketLeft, DataPlane, eventually } from '../support/data-plane.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

/** Messages are bytes: what a proxy sees of them is the same with any schema. */
const raw = (bytes: Buffer): Buffer => bytes;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
});
const SERVICE = {
  unary: method('Unary', false, false),
  down: method('Down', false, true),
  up: method('Up', true, false),
  both: method('Both', true, true),
};

describe('gRPC', () => {
  let plane = new DataPlane();
  let server: grpc.Server | null = null;
  const clients: grpc.Client[] = [];
  let cancelled = 0;
  /** Messages that a call in both directions has brought. */
  let received = 0;

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    server?.forceShutdown();
    server = null;
    cancelled = 0;
    received = 0;
    await plane.close();
    plane = new DataPlane();
  });
  after(async () => {
    await plane.close();
    await assertNoSocketLeft();
  });

  function implementation(): grpc.UntypedServiceImplementation {
    return {
      unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        call.on('cancelled', () => {
          cancelled += 1;
        });
        const text = call.request.toString();
        if (text === 'silence') return;
        if (text === 'refuse') {
          done({ code: grpc.status.FAILED_PRECONDITION, details: 'with ünicode' });
          return;
        }
        const trailer = new grpc.Metadata();
        trailer.set('x-trailer', call.metadata.get('x-asked')[0] ?? 'none');
        done(null, call.request, trailer);
      },
      down: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
        for (let index = 0; index < 5; index += 1) call.write(Buffer.from(`${call.request}${index}`));
        call.end();
      },
      up: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        let length = 0;
        call.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        call.on('end', () => done(null, Buffer.from(String(length))));
      },
      both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (chunk: Buffer) => {
          received += 1;
          if (String(chunk) !== 'silence') call.write(chunk);
        });
        call.on('end', () => call.end());
        call.on('cancelled', () => {
          cancelled += 1;
        });
      },
    };
  }

  async function serve(): Promise<grpc.Client> {
    const at = await new Promise<number>((resolve, reject) => {
      server = new grpc.Server();
      server.addService(SERVICE as unknown as grpc.ServiceDefinition, implementation());
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return connect([`127.0.0.1:${at}`]);
  }

  function connect(targets: readonly string[]): grpc.Client {
    const listeners = [listenerConfig({ limits: { minBodyRate: 240, minReadRate: 240 } })];
    plane.apply(snapshotOf({ listeners, pools: [{ targets, protocol: 'http2' }] }));
    const client = new grpc.Client(`127.0.0.1:${plane.port()}`, grpc.credentials.createInsecure());
    clients.push(client);
    return client;
  }

  interface Outcome {
    readonly error: grpc.ServiceError | null;
    readonly value: string;
    readonly status: grpc.StatusObject | null;
  }

  async function unary(
    client: grpc.Client,
    text: string,
    options: grpc.CallOptions = {},
    metadata = new grpc.Metadata(),
  ): Promise<Outcome> {
    return await new Promise((resolve) => {
      let status: grpc.StatusObject | null = null;
      let outcome: { error: grpc.ServiceError | null; value: string } | null = null;
      const settle = (): void => {
        if (status !== null && outcome !== null) resolve({ ...outcome, status });
      };
      const call = client.makeUnaryRequest(
        SERVICE.unary.path,
        raw,
        raw,
        Buffer.from(text),
        metadata,
        options,
        (error, value) => {
          outcome = { error, value: value?.toString() ?? '' };
          settle();
        },
      );
      call.on('status', (given) => {
        status = given;
        settle();
      });
    });
  }

  it('calls pass with their metadata and trailers', async () => {
    const client = await serve();
    const metadata = new grpc.Metadata();
    metadata.set('x-asked', 'yes');
    const { error, value, status } = await unary(client, 'hello', {}, metadata);
    assert.equal(error, null);
    assert.equal(value, 'hello');
    assert.deepEqual(status?.metadata.get('x-trailer'), ['yes']);
  });

  it('status and message of a server pass, in a head of trailers only too', async () => {
    const client = await serve();
    const { error } = await unary(client, 'refuse');
    assert.equal(error?.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(error?.details, 'with ünicode');
  });

  it('streams pass in both directions, message by message', async () => {
    const client = await serve();
    const down = client.makeServerStreamRequest(SERVICE.down.path, raw, raw, Buffer.from('m'));
    const messages: string[] = [];
    for await (const message of down) messages.push(String(message));
    assert.deepEqual(messages, ['m0', 'm1', 'm2', 'm3', 'm4']);
    const both = client.makeBidiStreamRequest(SERVICE.both.path, raw, raw);
    const answers = both[Symbol.asyncIterator]();
    for (const text of ['a', 'b', 'c']) {
      both.write(Buffer.from(text));
      assert.equal(String((await answers.next()).value), text);
    }
    both.end();
    assert.equal((await answers.next()).done, true);
  });

  it('streams may be silent for as long as a tunnel, before the server has said a word too', async () => {
    const client = await serve();
    const both = client.makeBidiStreamRequest(SERVICE.both.path, raw, raw);
    const answers = both[Symbol.asyncIterator]();
    both.write(Buffer.from('silence'));
    await eventually('the first message at the server', () => received === 1);
    for (let minute = 0; minute < 5; minute += 1) await plane.skip(60_000);
    both.write(Buffer.from('a'));
    assert.equal(String((await answers.next()).value), 'a');
    for (let minute = 0; minute < 5; minute += 1) await plane.skip(60_000);
    both.write(Buffer.from('b'));
    assert.equal(String((await answers.next()).value), 'b');
    both.end();
    assert.equal((await answers.next()).done, true);
  });

  it('large messages pass both ways, held back as the windows say', async () => {
    const client = await serve();
    const total = await new Promise<string>((resolve, reject) => {
      const up = client.makeClientStreamRequest(SERVICE.up.path, raw, raw, (error, value) =>
        error === null ? resolve(String(value)) : reject(error),
      );
      for (let index = 0; index < 8; index += 1) up.write(Buffer.alloc(1024 * 1024, 'x'));
      up.end();
    });
    assert.equal(total, String(8 * 1024 * 1024));
    const large = await unary(client, 'y'.repeat(2 * 1024 * 1024));
    assert.equal(large.value.length, 2 * 1024 * 1024);
  });

  it('a deadline ends the call', async () => {
    const client = await serve();
    const { error } = await unary(client, 'silence', { deadline: Date.now() + 150 });
    assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);
  });

  it('a cancelled call is cancelled at the server', async () => {
    const client = await serve();
    const both = client.makeBidiStreamRequest(SERVICE.both.path, raw, raw);
    const ended = new Promise<grpc.ServiceError>((resolve) => {
      both.on('error', resolve);
    });
    both.on('data', () => both.cancel());
    both.write(Buffer.from('a'));
    assert.equal((await ended).code, grpc.status.CANCELLED);
    await eventually('the cancellation', () => cancelled === 1);
  });

  it('failures of the proxy arrive as status', async () => {
    const client = connect([]);
    const { error } = await unary(client, 'hello');
    assert.equal(error?.code, grpc.status.UNAVAILABLE);
    assert.match(error?.details ?? '', /no-target/);
  });

  it('a call through HTTP/1.1 to targets fails with a status, not with a riddle', async () => {
    plane.apply(snapshotOf({ pools: [{ targets: ['127.0.0.1:1'] }] }));
    const client = new grpc.Client(`127.0.0.1:${plane.port()}`, grpc.credentials.createInsecure());
    clients.push(client);
    const { error } = await unary(client, 'hello');
    assert.equal(error?.code, grpc.status.UNAVAILABLE);
  });
});
