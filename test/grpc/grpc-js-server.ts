// gRPC's interop service (grpc/testing/test.proto of grpc-proto) on @grpc/grpc-js, another implementation than the client's.

import { setTimeout as delay } from 'node:timers/promises';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import * as grpc from '@grpc/grpc-js';
import type { InteropServer } from './interop.ts';

// Messages ---------------------------------------------------------------------------------------------------------

/** What is asked for by SimpleRequest, StreamingOutputCallRequest and StreamingInputCallRequest, as far as the cases ask. */
interface Asked {
  readonly sizes: number[];
  /** Before each of them, microseconds. */
  readonly intervalsUs: number[];
  payloadBytes: number;
  status: { code: number; details: string } | null;
}

/** Calls `take` with the number of each field; what it does not read is skipped. */
function read(bytes: Uint8Array, take: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (!take(field, reader)) reader.skip(type);
  }
}

function payloadBytesOf(payload: Uint8Array): number {
  let length = 0;
  read(payload, (field, reader) => {
    if (field !== 2) return false;
    length = reader.bytes().length;
    return true;
  });
  return length;
}

function statusOf(bytes: Uint8Array): { code: number; details: string } {
  const status = { code: 0, details: '' };
  read(bytes, (field, reader) => {
    if (field === 1) status.code = reader.int32();
    else if (field === 2) status.details = reader.string();
    else return false;
    return true;
  });
  return status;
}

const nothing = (): Asked => ({ sizes: [], intervalsUs: [], payloadBytes: 0, status: null });

function simpleRequest(bytes: Uint8Array): Asked {
  const asked = nothing();
  read(bytes, (field, reader) => {
    if (field === 2) asked.sizes.push(reader.int32());
    else if (field === 3) asked.payloadBytes = payloadBytesOf(reader.bytes());
    else if (field === 7) asked.status = statusOf(reader.bytes());
    else return false;
    return true;
  });
  return asked;
}

function streamingOutputRequest(bytes: Uint8Array): Asked {
  const asked = nothing();
  read(bytes, (field, reader) => {
    if (field === 2) {
      let size = 0;
      let intervalUs = 0;
      read(reader.bytes(), (inner, parameters) => {
        if (inner === 1) size = parameters.int32();
        else if (inner === 2) intervalUs = parameters.int32();
        else return false;
        return true;
      });
      asked.sizes.push(size);
      asked.intervalsUs.push(intervalUs);
    } else if (field === 3) asked.payloadBytes = payloadBytesOf(reader.bytes());
    else if (field === 7) asked.status = statusOf(reader.bytes());
    else return false;
    return true;
  });
  return asked;
}

function streamingInputRequest(bytes: Uint8Array): Asked {
  const asked = nothing();
  read(bytes, (field, reader) => {
    if (field !== 1) return false;
    asked.payloadBytes = payloadBytesOf(reader.bytes());
    return true;
  });
  return asked;
}

/** SimpleResponse and StreamingOutputCallResponse: a payload of so many zeros. */
function payloadResponse(size: number): Buffer {
  const payload = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(new Uint8Array(size)).finish();
  return Buffer.from(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(payload).finish());
}

/** StreamingInputCallResponse. */
function sizeResponse(size: number): Buffer {
  return Buffer.from(new BinaryWriter().tag(1, WireType.Varint).int32(size).finish());
}

// The service ------------------------------------------------------------------------------------------------------

const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';

type Both = grpc.ServerDuplexStream<Asked, Buffer>;

const raw = (bytes: Buffer): Buffer => bytes;

function method<Request>(
  name: string,
  requestDeserialize: (bytes: Buffer) => Request,
  requestStream: boolean,
  responseStream: boolean,
): grpc.MethodDefinition<Request, Buffer> {
  return {
    path: `/grpc.testing.TestService/${name}`,
    requestStream,
    responseStream,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize,
    responseSerialize: raw,
    responseDeserialize: raw,
  };
}

const SERVICE = {
  emptyCall: method('EmptyCall', raw, false, false),
  unaryCall: method('UnaryCall', simpleRequest, false, false),
  streamingInputCall: method('StreamingInputCall', streamingInputRequest, true, false),
  streamingOutputCall: method('StreamingOutputCall', streamingOutputRequest, false, true),
  fullDuplexCall: method('FullDuplexCall', streamingOutputRequest, true, true),
};

/** Sends the initial metadata that the client wants back, and gives the trailers. */
function echo(call: {
  readonly metadata: grpc.Metadata;
  sendMetadata(metadata: grpc.Metadata): void;
}): grpc.Metadata {
  const initial = new grpc.Metadata();
  const trailers = new grpc.Metadata();
  for (const value of call.metadata.get(ECHO_INITIAL)) initial.add(ECHO_INITIAL, value);
  for (const value of call.metadata.get(ECHO_TRAILING)) trailers.add(ECHO_TRAILING, value);
  call.sendMetadata(initial);
  return trailers;
}

async function send(call: { write(message: Buffer): boolean }, { sizes, intervalsUs }: Asked): Promise<void> {
  for (const [index, size] of sizes.entries()) {
    const intervalUs = intervalsUs[index] ?? 0;
    if (intervalUs > 0) await delay(intervalUs / 1000);
    call.write(payloadResponse(size));
  }
}

async function converse(call: Both): Promise<void> {
  const trailers = echo(call);
  // The end of what comes is not the end of what goes: reading alone must not destroy the call.
  const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterable<Asked>;
  for await (const asked of requests) {
    if (asked.status !== null) {
      call.emit('error', { ...asked.status, metadata: trailers });
      return;
    }
    await send(call, asked);
  }
  call.end(trailers);
}

const IMPLEMENTATION: grpc.UntypedServiceImplementation = {
  emptyCall: (_call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
    done(null, Buffer.alloc(0)),
  unaryCall: (call: grpc.ServerUnaryCall<Asked, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
    const trailers = echo(call);
    const { status, sizes } = call.request;
    if (status !== null) done({ ...status, metadata: trailers });
    else done(null, payloadResponse(sizes[0] ?? 0), trailers);
  },
  streamingInputCall: (call: grpc.ServerReadableStream<Asked, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
    let bytes = 0;
    call.on('data', ({ payloadBytes }: Asked) => {
      bytes += payloadBytes;
    });
    call.on('end', () => done(null, sizeResponse(bytes)));
  },
  streamingOutputCall: (call: grpc.ServerWritableStream<Asked, Buffer>) =>
    void send(call, call.request).then(() => call.end()),
  // A client that cancels ends the reading with an error, which is the case's own.
  fullDuplexCall: (call: Both) => void converse(call).catch(() => {}),
};

export async function startGrpcJsServer(): Promise<InteropServer> {
  const server = new grpc.Server();
  server.addService(SERVICE, IMPLEMENTATION);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    port,
    close: async () => server.forceShutdown(),
  };
}
