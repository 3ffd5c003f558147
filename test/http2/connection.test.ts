// Connection and stream states (RFC 9113, sections 3 to 6): what ends a connection, what a stream, and what neither.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { ErrorCode } from '../../src/http2/error-code.ts';
import { Flag, FrameType, Setting } from '../../src/http2/frames.ts';
import { matchPreface, PREFACE } from '../../src/http2/preface.ts';
import { driveClient, driveServer, readServer } from './drive.ts';
import {
  block,
  continuation,
  data,
  frame,
  GET,
  goaway,
  headers,
  OPENING,
  POST,
  padded,
  ping,
  priority,
  reset,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from './frames.ts';

const open = headers(1, POST, false);
const ended = headers(1, GET);
const PAST_LIMIT = Buffer.alloc(16385);

/** Frames behind the opening, the failure of the connection, and the code of its GOAWAY. */
const BROKEN: Readonly<Record<string, readonly [readonly Buffer[], string, number]>> = {
  'DATA for stream 0 (6.1)': [[data(0, 'x')], 'stream-id-invalid', ErrorCode.ProtocolError],
  'DATA for an idle stream (5.1)': [[data(1, 'x')], 'stream-id-invalid', ErrorCode.ProtocolError],
  'DATA padded beyond its length (6.1)': [
    [open, frame(FrameType.Data, Flag.Padded, 1, '\x05abcd')],
    'frame-invalid',
    ErrorCode.ProtocolError,
  ],
  'padded DATA without a length of it': [
    [open, frame(0, Flag.Padded, 1)],
    'frame-size',
    ErrorCode.FrameSizeError,
  ],
  'HEADERS for stream 0 (6.2)': [[headers(0, GET)], 'stream-id-invalid', ErrorCode.ProtocolError],
  'HEADERS for an even stream (5.1.1)': [[headers(2, GET)], 'stream-id-invalid', ErrorCode.ProtocolError],
  'HEADERS for a stream that was passed over (5.1.1)': [
    [headers(5, GET), headers(3, GET)],
    'stream-id-invalid',
    ErrorCode.ProtocolError,
  ],
  'HEADERS for a stream that has ended (5.1)': [[ended, ended], 'stream-closed', ErrorCode.StreamClosed],
  'HEADERS for a stream that was reset by its client': [
    [open, reset(1, 8), ended],
    'stream-closed',
    ErrorCode.StreamClosed,
  ],
  'HEADERS padded beyond their length (6.2)': [
    [padded(1, 5, 1, block(...GET), 0).fill(200, 9, 10)],
    'frame-invalid',
    ErrorCode.ProtocolError,
  ],
  'HEADERS with a priority that is cut off': [
    [frame(1, 0x25, 1, 'abc')],
    'frame-size',
    ErrorCode.FrameSizeError,
  ],
  'HEADERS with a block that is no HPACK (4.3)': [
    [frame(1, 5, 1, Buffer.from([0x80]))],
    'header-compression',
    ErrorCode.CompressionError,
  ],
  'DATA for a stream that has ended (5.1)': [[ended, data(1, 'x')], 'stream-closed', ErrorCode.StreamClosed],
  'CONTINUATION without HEADERS (6.10)': [
    [continuation(1, '', true)],
    'frame-unexpected',
    ErrorCode.ProtocolError,
  ],
  'CONTINUATION of another stream (6.10)': [
    [frame(1, 1, 1, block(...GET)), continuation(3, '', true)],
    'frame-unexpected',
    ErrorCode.ProtocolError,
  ],
  'another frame within a header block (6.2)': [
    [frame(1, 1, 1, block(...GET)), ping()],
    'frame-unexpected',
    ErrorCode.ProtocolError,
  ],
  'DATA within a header block': [
    [frame(1, 0, 1, block(...POST)), data(1, 'x')],
    'frame-unexpected',
    ErrorCode.ProtocolError,
  ],
  'PRIORITY for stream 0 (6.3)': [[priority(0)], 'stream-id-invalid', ErrorCode.ProtocolError],
  'PRIORITY of a wrong length for a stream that is not open': [
    [frame(FrameType.Priority, 0, 1, 'abcd')],
    'frame-size',
    ErrorCode.FrameSizeError,
  ],
  'RST_STREAM for stream 0 (6.4)': [[reset(0, 8)], 'stream-id-invalid', ErrorCode.ProtocolError],
  'RST_STREAM for an idle stream (6.4)': [[reset(1, 8)], 'stream-id-invalid', ErrorCode.ProtocolError],
  'RST_STREAM of a wrong length (6.4)': [
    [open, frame(3, 0, 1, 'abc')],
    'frame-size',
    ErrorCode.FrameSizeError,
  ],
  'SETTINGS for a stream (6.5)': [[frame(4, 0, 1)], 'stream-id-invalid', ErrorCode.ProtocolError],
  'SETTINGS of a wrong length (6.5)': [[frame(4, 0, 0, 'abcde')], 'frame-size', ErrorCode.FrameSizeError],
  'an acknowledgement with settings (6.5)': [
    [frame(4, Flag.Ack, 0, 'abcdef')],
    'frame-size',
    ErrorCode.FrameSizeError,
  ],
  'ENABLE_PUSH 2 (6.5.2)': [[settings([2, 2])], 'settings-invalid', ErrorCode.ProtocolError],
  'INITIAL_WINDOW_SIZE above 2^31-1 (6.5.2)': [
    [settings([4, 2 ** 31])],
    'window-size-invalid',
    ErrorCode.FlowControlError,
  ],
  'MAX_FRAME_SIZE below 2^14 (6.5.2)': [[settings([5, 16383])], 'settings-invalid', ErrorCode.ProtocolError],
  'MAX_FRAME_SIZE above 2^24-1 (6.5.2)': [
    [settings([5, 2 ** 24])],
    'settings-invalid',
    ErrorCode.ProtocolError,
  ],
  'ENABLE_CONNECT_PROTOCOL 2 (RFC 8441, 3)': [
    [settings([8, 2])],
    'settings-invalid',
    ErrorCode.ProtocolError,
  ],
  'ENABLE_CONNECT_PROTOCOL taken back (RFC 8441, 3)': [
    [settings([8, 1]), settings([8, 0])],
    'settings-invalid',
    ErrorCode.ProtocolError,
  ],
  'a window that overflows by SETTINGS (6.9.2)': [
    [open, windowUpdate(1, 2 ** 31 - 65536), settings([4, 65537])],
    'window-overflow',
    ErrorCode.FlowControlError,
  ],
  'PUSH_PROMISE from a client (8.4)': [
    [frame(5, 4, 1, uint32(2))],
    'frame-unexpected',
    ErrorCode.ProtocolError,
  ],
  'PING for a stream (6.7)': [[frame(6, 0, 1, '12345678')], 'stream-id-invalid', ErrorCode.ProtocolError],
  'PING of a wrong length (6.7)': [[frame(6, 0, 0, '1234567')], 'frame-size', ErrorCode.FrameSizeError],
  'GOAWAY for a stream (6.8)': [[frame(7, 0, 1, uint32(0, 0))], 'stream-id-invalid', ErrorCode.ProtocolError],
  'GOAWAY that is too short': [[frame(7, 0, 0, uint32(0))], 'frame-size', ErrorCode.FrameSizeError],
  'WINDOW_UPDATE of a wrong length (6.9)': [[frame(8, 0, 0, 'abc')], 'frame-size', ErrorCode.FrameSizeError],
  'WINDOW_UPDATE of 0 for the connection (6.9)': [
    [windowUpdate(0, 0)],
    'frame-invalid',
    ErrorCode.ProtocolError,
  ],
  'WINDOW_UPDATE for an idle stream (5.1)': [
    [windowUpdate(1, 1)],
    'stream-id-invalid',
    ErrorCode.ProtocolError,
  ],
  'a connection window above 2^31-1 (6.9.1)': [
    [windowUpdate(0, 2 ** 31 - 1)],
    'window-overflow',
    ErrorCode.FlowControlError,
  ],
  'a frame above the limit (4.2)': [[frame(0x42, 0, 0, PAST_LIMIT)], 'frame-size', ErrorCode.FrameSizeError],
  'DATA above the limit (4.2)': [[open, data(1, PAST_LIMIT)], 'frame-size', ErrorCode.FrameSizeError],
};

describe('a connection ends', () => {
  for (const [name, [frames, failure, code]] of Object.entries(BROKEN)) {
    it(name, () => {
      const bytes = Buffer.concat([OPENING, ...frames]);
      const { events, frames: sent } = readServer(bytes);
      assert.equal(events.at(-1), `failure ${failure}`);
      assert.match(sent.at(-1)!, new RegExp(`^GOAWAY \\d+ ${code} ${failure}$`));
      // What came before the broken frame has been read, what comes behind it is not.
      const more = readServer(Buffer.concat([bytes, headers(9, GET)]));
      assert.deepEqual(more.events, events);
      assert.deepEqual(readServer(bytes, everyByte(bytes)).events, events);
    });
  }

  const prefaces: Readonly<Record<string, Buffer>> = {
    'a wrong byte in the preface (3.4)': Buffer.from('PRI * HTTP/2.1\r\n'),
    'an HTTP/1.1 request': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    'another frame than SETTINGS behind the preface (3.4)': Buffer.concat([PREFACE, ping()]),
    'an acknowledgement behind the preface': Buffer.concat([PREFACE, settingsAck]),
    'DATA behind the preface': Buffer.concat([PREFACE, data(1, 'x')]),
  };
  for (const [name, bytes] of Object.entries(prefaces)) {
    it(name, () => {
      const { events, frames } = readServer(bytes);
      assert.deepEqual(events, ['failure preface-invalid']);
      assert.deepEqual(frames, ['GOAWAY 0 1 preface-invalid']);
    });
  }

  it('and leaves nothing to be read later, also where it was told to rest', () => {
    const driven = driveServer();
    const { connection, recorder } = driven;
    driven.send(ping());
    recorder.onRequest = () => {
      connection.rest();
      connection.close();
    };
    const bytes = Buffer.concat([headers(1, GET), headers(3, GET)]);
    assert.equal(connection.receive(bytes, 0, bytes.length, driven.nowMs), bytes.length);
    assert.deepEqual(
      recorder.events.filter((event) => event.startsWith('end ')),
      ['end 1'],
    );
  });

  it('and nothing is written any more, whatever the session does', () => {
    const { recorder, connection, send } = driveServer();
    send(headers(1, GET));
    const stream = recorder.streams.get(1)!;
    send(ping('1234567'.slice(0, 7)));
    const before = recorder.log.lines.length;
    connection.beginHead(stream).status(200);
    connection.endHead(false);
    assert.equal(connection.sendData(stream, Buffer.from('hello'), 0, 5, true), 5);
    connection.sendEnd(stream, 'a: b\r\n');
    connection.consume(stream, 5);
    connection.reset(stream, 0);
    connection.ping();
    connection.drain();
    connection.finishDrain();
    connection.goaway(0);
    connection.flush();
    assert.equal(recorder.log.lines.length, before);
    assert.deepEqual([...connection.streams], [stream]);
  });
});

function everyByte(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length }, (_, i) => i);
}

/** Frames on an open stream 1, the code of the RST_STREAM, and what the session hears. */
const STREAM_ERRORS: Readonly<Record<string, readonly [readonly Buffer[], number]>> = {
  'HEADERS of a stream that depends on itself': [
    [frame(1, 0x24, 3, Buffer.concat([uint32(3), Buffer.from([0]), block(...GET)]))],
    ErrorCode.ProtocolError,
  ],
  'PRIORITY of a stream that depends on itself': [
    [headers(3, POST, false), priority(3, 3)],
    ErrorCode.ProtocolError,
  ],
  'PRIORITY of a wrong length (6.3)': [
    [headers(3, POST, false), frame(FrameType.Priority, 0, 3, 'abcd')],
    ErrorCode.FrameSizeError,
  ],
  'WINDOW_UPDATE of 0 (6.9)': [[headers(3, POST, false), windowUpdate(3, 0)], ErrorCode.ProtocolError],
  'a window above 2^31-1 (6.9.1)': [
    [headers(3, POST, false), windowUpdate(3, 2 ** 31 - 1)],
    ErrorCode.FlowControlError,
  ],
  'DATA behind the end (5.1)': [[headers(3, GET), data(3, 'x')], ErrorCode.StreamClosed],
  'HEADERS behind the end (5.1)': [[headers(3, GET), headers(3, GET)], ErrorCode.StreamClosed],
};

describe('a stream is reset', () => {
  for (const [name, [frames, code]] of Object.entries(STREAM_ERRORS)) {
    it(`for ${name}`, () => {
      const { recorder, connection, send } = driveServer();
      send(open, ...frames);
      assert.ok(recorder.events.includes(`reset 3 ${code}`), recorder.events.join());
      assert.deepEqual(recorder.log.lines.at(-1), `RST 3 ${code}`);
      assert.equal(connection.streamCount, 1);
      send(data(1, 'still here', true));
      assert.deepEqual(recorder.events.slice(-2), ['data 1 still here', 'end 1']);
    });
  }

  it('for each stream above the limit, as refused', () => {
    const { recorder, connection, send } = driveServer({ maxStreams: 2 });
    send(headers(1, GET), headers(3, GET), headers(5, GET));
    assert.equal(recorder.log.lines.at(-1), `RST 5 ${ErrorCode.RefusedStream}`);
    assert.equal(connection.streamCount, 2);
  });

  it('also when the streams before are closed but still held by the session', () => {
    const { recorder, send } = driveServer({ maxStreams: 2 });
    recorder.release = false;
    for (let id = 1; id <= 7; id += 2) send(headers(id, GET), reset(id, 8));
    send(headers(9, GET));
    assert.equal(recorder.log.lines.at(-1), `RST 9 ${ErrorCode.RefusedStream}`);
  });

  it('by the session, and what was in flight is passed over', () => {
    const { recorder, connection, send } = driveServer({ connectionWindow: 65535 });
    send(open, data(1, 'a'));
    connection.reset(recorder.streams.get(1)!, ErrorCode.Cancel);
    const before = recorder.events.length;
    const full = Buffer.alloc(16384);
    send(
      data(1, full),
      data(1, full),
      data(1, full),
      windowUpdate(1, 5),
      headers(1, [['a', 'b']]),
      reset(1, 8),
    );
    assert.equal(recorder.events.length, before);
    assert.equal(recorder.log.lines.at(-1), 'RST 1 8');
    // The window of the connection opens again.
    assert.ok(recorder.log.windows.get(0)! >= 32768);
    send(headers(3, GET));
    assert.equal(recorder.events.at(-1), 'end 3');
  });

  it('by whoever gets the last of its content, and is not refused for what is missing too', () => {
    const { recorder, connection, send } = driveServer();
    recorder.consume = (stream) => connection.reset(stream, ErrorCode.Cancel);
    send(headers(1, [...POST, ['content-length', '2']], false), data(1, 'x', true));
    assert.deepEqual(recorder.events.slice(1), ['data 1 x']);
    assert.deepEqual(recorder.log.lines.slice(-1), ['RST 1 8']);
  });

  it('by its client: what is sent afterwards goes nowhere', () => {
    const { recorder, connection, send } = driveServer();
    send(headers(1, GET));
    const stream = recorder.streams.get(1)!;
    recorder.release = false;
    send(reset(1, 8));
    assert.equal(recorder.events.at(-1), 'reset 1 8');
    const before = recorder.log.lines.length;
    const encoder = connection.beginHead(stream);
    encoder.status(200);
    encoder.field('x-new', 'field');
    connection.endHead(false);
    connection.sendEnd(stream, '');
    connection.reset(stream, 2);
    connection.flush();
    assert.equal(recorder.log.lines.length, before);
    // The table is still that of the peer.
    send(headers(3, GET));
    for (let i = 0; i < 3; i++) {
      const next = connection.beginHead(recorder.streams.get(3)!);
      next.status(i < 2 ? 103 : 200);
      next.field('x-new', 'field');
      connection.endHead(i === 2);
    }
    connection.flush();
    assert.equal(recorder.log.lines.at(-1), 'HEADERS 3 :status=200 x-new=field end');
  });
});

describe('a connection goes on', () => {
  const answered = (bytes: readonly Buffer[], cuts: (all: Buffer) => number[] = () => []) => {
    const all = Buffer.concat([OPENING, ...bytes]);
    return readServer(all, cuts(all));
  };

  it('after frames of unknown types and flags (4.1)', () => {
    const { events } = answered([frame(0x42, 0xff, 7, 'anything'), frame(6, 0xfe, 0, '12345678'), ended]);
    assert.deepEqual(events, ['head 1 GET / host=example.com', 'end 1']);
  });

  it('after settings that it does not know (6.5.2)', () => {
    const { events, frames } = answered([settings([0x4242, 7], [1, 0], [3, 0]), ended]);
    assert.equal(events.length, 2);
    assert.deepEqual(frames, ['SETTINGS ack', 'SETTINGS ack', 'HEADERS 1 :status=204 end']);
  });

  it('and tells of the smallest table that one SETTINGS frame allows for a moment (RFC 7541, 4.2)', () => {
    const { recorder, connection, send } = driveServer();
    send(settings([Setting.HeaderTableSize, 0], [Setting.HeaderTableSize, 4096]), headers(1, GET));
    const encoder = connection.beginHead(recorder.streams.get(1)!);
    assert.deepEqual([...encoder.block.subarray(0, encoder.length)], [0x20, 0x3f, 0xe1, 0x1f]);
  });

  it('with priorities, which it ignores (5.3)', () => {
    const { events } = answered([priority(1), priority(7, 3), frame(16, 0, 0, 'u=3'), ended]);
    assert.equal(events.length, 2);
  });

  it('with padding around everything that may have it', () => {
    const { events } = answered([
      padded(1, 4, 1, block(...POST), 200),
      padded(0, 0, 1, 'hel', 255),
      padded(0, 1, 1, 'lo', 0),
    ]);
    assert.deepEqual(events, ['head 1 POST / host=example.com', 'data 1 hello', 'end 1']);
  });

  it('with a header block in many parts, some of them empty', () => {
    const bytes = block(...GET);
    const frames = [frame(1, 1, 1, bytes.subarray(0, 3)), continuation(1, '', false)];
    for (let i = 3; i < bytes.length; i++) frames.push(continuation(1, bytes.subarray(i, i + 1), false));
    frames.push(continuation(1, '', true));
    const { events } = answered(frames);
    assert.deepEqual(events, ['head 1 GET / host=example.com', 'end 1']);
  });

  it('with an end that comes in a frame of its own, or in trailers', () => {
    const { events } = answered([
      open,
      data(1, 'a'),
      data(1, '', true),
      headers(3, POST, false),
      headers(3, [['t', '1']]),
    ]);
    assert.deepEqual(
      events.filter((event) => event.startsWith('end')),
      ['end 1', 'end 3 t: 1'],
    );
  });

  it('the same way, however its bytes are cut', () => {
    const bytes = Buffer.concat([
      OPENING,
      settingsAck,
      padded(1, 4, 1, block(...POST, ['x', 'y'.repeat(60)]), 3),
      data(1, 'some '),
      headers(3, GET),
      padded(0, 1, 1, 'content', 9),
      ping(),
      frame(1, 1, 5, block(...GET).subarray(0, 10)),
      continuation(5, block(...GET).subarray(10), true),
      headers(7, [...GET, ['connection', 'close']]),
      windowUpdate(0, 5),
      goaway(0, 0),
    ]);
    const whole = readServer(bytes);
    assert.equal(whole.events.filter((event) => event.startsWith('end')).length, 3);
    assert.deepEqual(readServer(bytes, everyByte(bytes)), whole);
    for (let cut = 1; cut < bytes.length; cut++) assert.deepEqual(readServer(bytes, [cut]), whole);
  });
});

describe('flow control', () => {
  it('lets a peer send what the windows say and no more, on a stream', () => {
    const { recorder, send } = driveServer({ streamWindow: 10 });
    send(settingsAck, open, headers(3, POST, false), data(1, '1234567890'));
    recorder.consume = () => {};
    send(data(3, '12345678901'));
    assert.equal(recorder.events.at(-1), `reset 3 ${ErrorCode.FlowControlError}`);
  });

  it('or what they were before the peer has taken our settings', () => {
    const { recorder, send } = driveServer({ streamWindow: 10 });
    send(open, data(1, Buffer.alloc(1000)), settingsAck, headers(3, POST, false), data(3, Buffer.alloc(11)));
    assert.deepEqual(
      recorder.events.filter((event) => event.startsWith('reset')),
      ['reset 3 3'],
    );
    assert.equal(recorder.log.windows.get(1), 1000);
  });

  it('and on the connection', () => {
    const { recorder, send } = driveServer({ streamWindow: 100_000, connectionWindow: 65535 });
    recorder.consume = () => {};
    send(open, ...Array.from({ length: 4 }, () => data(1, Buffer.alloc(16384))));
    assert.equal(recorder.events.at(-1), 'failure window-exceeded');
  });

  it('opens the windows by what is consumed, in few frames', () => {
    const { recorder, connection, send } = driveServer({ streamWindow: 1000, connectionWindow: 65535 });
    recorder.consume = () => {};
    send(settingsAck, open, data(1, Buffer.alloc(600)));
    const stream = recorder.streams.get(1)!;
    connection.consume(stream, 499);
    connection.flush();
    assert.equal(recorder.log.windows.get(1), undefined);
    connection.consume(stream, 1);
    connection.flush();
    assert.equal(recorder.log.windows.get(1), 500);
    connection.consume(stream, 1_000_000);
    assert.equal(stream.unconsumed, 0);
  });

  it('as a client opens that of the connection at once, and that of a stream by what is consumed', () => {
    const { recorder, connection, send } = driveClient({
      streamWindow: 1000,
      connectionWindow: 65535,
      large: { window: 5000, streams: 1 },
    });
    recorder.consume = () => {};
    send(settings(), settingsAck);
    const streams = [1, 3, 5].map((id) => {
      const stream = connection.open('GET', null)!;
      connection.beginHead(stream).request('GET', 'http', 'h', '/', '');
      connection.endHead(true);
      send(headers(id, [[':status', '200']], false), data(id, Buffer.alloc(1000)));
      return stream;
    });
    const before = recorder.log.windows.get(0) ?? 0;
    // Nobody takes the bytes of 100 streams, and others are answered all the same.
    for (let id = 7; id < 207; id += 2) {
      connection.beginHead(connection.open('GET', null)!).request('GET', 'http', 'h', '/', '');
      connection.endHead(true);
      send(headers(id, [[':status', '200']], false), data(id, Buffer.alloc(1000)));
    }
    assert.ok((recorder.log.windows.get(0) ?? 0) - before > 65_535);
    assert.equal(recorder.failure, '');
    // Who reads gets the large window, as many as there are of it, until it ends.
    for (const stream of streams.slice(0, 2)) connection.consume(stream, 1000);
    connection.flush();
    assert.equal(recorder.log.windows.get(1), 1000 + 4000);
    assert.equal(recorder.log.windows.get(3), 1000);
    connection.reset(streams[0]!, 8);
    connection.consume(streams[2]!, 1000);
    connection.flush();
    assert.equal(recorder.log.windows.get(5), 1000 + 4000);
  });

  it('gives the padding back by itself', () => {
    const { recorder, send } = driveServer({ streamWindow: 1000 });
    recorder.consume = () => {};
    send(open, ...Array.from({ length: 3 }, () => padded(0, 0, 1, 'x', 255)));
    assert.equal(recorder.log.windows.get(1), 512);
  });

  it('sends what the windows of the peer allow, and goes on when they open', () => {
    const { recorder, connection, send } = driveServer();
    send(settings([4, 5]), headers(1, GET), headers(3, GET));
    const left = new Map<number, number>();
    const body = Buffer.alloc(12, 'abcdefghijkl');
    recorder.onMore = (stream) => {
      const start = left.get(stream.id) ?? 0;
      left.set(stream.id, start + connection.sendData(stream, body, start, 12, true));
    };
    for (const stream of [...recorder.streams.values()]) recorder.onMore(stream);
    connection.flush();
    assert.deepEqual(recorder.log.lines.slice(-2), ['DATA 1 abcde', 'DATA 3 abcde']);
    send(windowUpdate(3, 4));
    assert.equal(recorder.log.lines.at(-1), 'DATA 3 fghi');
    send(settings([4, 20]));
    assert.deepEqual(recorder.log.lines.slice(-3), ['SETTINGS ack', 'DATA 1 fghijkl end', 'DATA 3 jkl end']);
    assert.equal(connection.streamCount, 0);
  });

  it('keeps a window negative after smaller settings, and counts from there (6.9.2)', () => {
    const { recorder, connection, send } = driveServer();
    send(settings([4, 10]), headers(1, GET));
    const stream = recorder.streams.get(1)!;
    assert.equal(connection.sendData(stream, Buffer.alloc(10), 0, 10, false), 10);
    send(settings([4, 3]));
    assert.equal(stream.sendWindow, -7);
    assert.equal(connection.sendData(stream, Buffer.alloc(10), 0, 10, false), 0);
    send(windowUpdate(1, 8));
    assert.equal(connection.sendData(stream, Buffer.alloc(10), 0, 10, false), 1);
  });

  it('shares a small window of the connection in turns', () => {
    const { recorder, connection, send } = driveServer();
    send(settings([4, 1_000_000]), headers(1, GET), headers(3, GET), headers(5, GET));
    const body = Buffer.alloc(65535);
    const streams = [...recorder.streams.values()];
    assert.equal(connection.sendData(streams[0]!, body, 0, 65535, false), 65535);
    const turns: number[] = [];
    recorder.onMore = (stream) => {
      turns.push(stream.id);
      connection.sendData(stream, body, 0, 65535, false);
    };
    for (const stream of streams) connection.sendData(stream, body, 0, 65535, false);
    for (let i = 0; i < 6; i++) send(windowUpdate(0, 1000));
    assert.deepEqual(turns, [1, 3, 5, 1, 3, 5]);
  });

  it('does not let an empty end wait for a window', () => {
    const { recorder, connection, send } = driveServer();
    send(settings([4, 0]), headers(1, GET));
    const stream = recorder.streams.get(1)!;
    assert.equal(connection.sendData(stream, Buffer.alloc(0), 0, 0, true), 0);
    connection.flush();
    assert.equal(recorder.log.lines.at(-1), 'DATA 1  end');
  });
});

describe('an end in two steps', () => {
  it('takes streams until the peer has seen the first GOAWAY, and ignores those after the second', () => {
    const { recorder, connection, send } = driveServer();
    send(headers(1, POST, false));
    connection.drain();
    connection.flush();
    assert.deepEqual(recorder.log.lines.slice(-2), ['GOAWAY 2147483647 0', 'PING']);
    send(headers(3, GET));
    assert.equal(recorder.events.at(-1), 'end 3');
    send(ping('\x02\0\0\0\0\0\0\0', true));
    assert.equal(recorder.log.lines.at(-1), 'GOAWAY 3 0');
    const before = recorder.events.length;
    send(headers(5, POST, false), data(5, 'x'), windowUpdate(5, 1), reset(5, 8));
    assert.equal(recorder.events.length, before);
    send(data(1, 'on', true));
    assert.deepEqual(recorder.events.slice(-2), ['data 1 on', 'end 1']);
  });

  it('can be finished without the answer, once', () => {
    const { recorder, connection, send } = driveServer();
    send(headers(1, GET));
    connection.drain();
    connection.finishDrain();
    connection.finishDrain();
    connection.flush();
    assert.deepEqual(recorder.log.lines.slice(-1), ['GOAWAY 1 0']);
  });
});

it('the preface is told from anything else by its first bytes', () => {
  assert.equal(matchPreface(PREFACE, 0, PREFACE.length), 'yes');
  assert.equal(matchPreface(Buffer.concat([PREFACE, ping()]), 0, 60), 'yes');
  for (let i = 0; i < PREFACE.length; i++) assert.equal(matchPreface(PREFACE, 0, i), 'partial');
  assert.equal(matchPreface(Buffer.from('PRI * HTTP/1'), 0, 12), 'no');
  assert.equal(matchPreface(Buffer.from('POST'), 0, 4), 'no');
});
