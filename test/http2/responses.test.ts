// The client role: which responses are taken and which refused, and what GOAWAY and resets mean for a request.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { Framing } from '../../src/http1/step.ts';
import { ErrorCode } from '../../src/http2/error-code.ts';
import { type DrivenClient, driveClient } from './drive.ts';
import { data, frame, goaway, headers, ping, reset, settings, uint32, windowUpdate } from './frames.ts';
import type { Field } from './hpack.ts';

/** A client that has sent requests with these methods on streams 1, 3 and so on. */
function asking(...methods: readonly string[]): DrivenClient {
  const driven = driveClient();
  for (const method of methods) {
    const stream = driven.connection.open(method, null)!;
    driven.connection.beginHead(stream).request(method, 'https', 'example.com', '/', '');
    driven.connection.endHead(true);
  }
  driven.send(settings());
  return driven;
}

const response = (id: number, status: string, fields: readonly Field[] = [], ended = true): Buffer =>
  headers(id, [[':status', status], ...fields], ended);

function eventsOf(method: string, ...frames: readonly Buffer[]): readonly string[] {
  const driven = asking(method);
  driven.send(...frames);
  return driven.recorder.events;
}

describe('a response is refused', () => {
  const refused: Readonly<Record<string, readonly [Buffer, string]>> = {
    'without :status': [headers(1, [['server', 'x']]), 'pseudo-field-missing'],
    'with :status twice': [response(1, '200', [[':status', '200']]), 'pseudo-field-duplicate'],
    'with a request pseudo field': [response(1, '200', [[':path', '/']]), 'pseudo-field-unknown'],
    'with a status that is none': [response(1, '2x0'), 'status-invalid'],
    'with a status of four digits': [response(1, '2000'), 'status-invalid'],
    'with 101, which HTTP/2 has not': [response(1, '101', [], false), 'status-invalid'],
    'with an interim status and an end': [response(1, '100'), 'status-invalid'],
    'with Connection': [response(1, '200', [['connection', 'close']]), 'field-connection-specific'],
    'with a length and an end': [response(1, '200', [['content-length', '5']]), 'content-length-mismatch'],
    'with two lengths': [
      response(1, '200', [
        ['content-length', '5'],
        ['content-length', '5'],
      ]),
      'content-length-duplicate',
    ],
    'with content before its head': [data(1, 'x'), 'response-unexpected'],
  };
  for (const [name, [bytes, reason]] of Object.entries(refused)) {
    it(name, () => {
      const driven = asking('GET');
      driven.send(bytes);
      assert.deepEqual(driven.recorder.events, [`refused 1 ${reason}`]);
      assert.equal(driven.recorder.log.lines.at(-1), 'RST 1 1');
      assert.equal(driven.connection.streamCount, 0);
    });
  }

  it('when content follows where there is none', () => {
    for (const [method, status] of [
      ['HEAD', '200'],
      ['GET', '204'],
      ['GET', '304'],
    ] as const) {
      const events = eventsOf(method, response(1, status, [], false), data(1, 'x'));
      assert.deepEqual(events.slice(1), ['refused 1 body-not-allowed'], `${method} ${status}`);
    }
  });

  it('when a frame goes beyond its length, before any of that frame is handed on, however it is cut', () => {
    const bytes = Buffer.concat([response(1, '200', [['content-length', '3']], false), data(1, 'abcd')]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const driven = asking('GET');
      driven.send(bytes.subarray(0, cut));
      driven.send(bytes.subarray(cut));
      assert.deepEqual(driven.recorder.events, [
        'head 1 200 content-length=3',
        'refused 1 content-length-mismatch',
      ]);
    }
  });
});

describe('a response is taken', () => {
  const headOf = (method: string, bytes: Buffer) => {
    const driven = asking(method);
    driven.recorder.release = false;
    let head = driven.recorder.streams.get(1)?.head;
    const onHead = driven.recorder.onHead.bind(driven.recorder);
    driven.recorder.onHead = (stream) => {
      onHead(stream);
      head = stream.head;
    };
    driven.send(bytes);
    return head!;
  };

  it('with the reason that HTTP/1.1 would give', () => {
    assert.equal(headOf('GET', response(1, '404')).reason, 'Not Found');
  });

  it('with a length of 0 when it ends with its head, so that HTTP/1.1 clients do not wait', () => {
    const head = headOf('GET', response(1, '200'));
    assert.deepEqual([head.framing, head.contentLength], [Framing.Length, 0]);
  });

  it('without content for HEAD, whose length is that of GET', () => {
    const head = headOf('HEAD', response(1, '200', [['content-length', '5']]));
    assert.deepEqual([head.framing, head.contentLength], [Framing.None, 5]);
    assert.equal(headOf('GET', response(1, '304', [['content-length', '5']])).framing, Framing.None);
  });

  it('with content of a length that is not said', () => {
    assert.equal(headOf('GET', response(1, '200', [], false)).framing, Framing.Chunked);
  });

  it('behind interim ones', () => {
    const events = eventsOf(
      'GET',
      response(1, '103', [], false),
      response(1, '100', [], false),
      response(1, '204'),
    );
    assert.deepEqual(events, ['head 1 103 ', 'head 1 100 ', 'head 1 204 ', 'end 1']);
  });
});

describe('a client', () => {
  it('says its preface and settings first, without push', () => {
    const driven = driveClient();
    assert.equal(driven.recorder.log.lines.length, 0);
    assert.equal(driven.connection.canOpen, true);
  });

  it('takes refused streams back, and no others, when the target leaves', () => {
    const driven = asking('GET', 'POST', 'GET');
    driven.send(goaway(3, 0));
    assert.deepEqual(driven.recorder.events, [`reset 5 ${ErrorCode.RefusedStream}`, 'goaway 3 0']);
    assert.equal(driven.connection.canOpen, false);
    assert.equal(driven.connection.open('GET', null), null);
    driven.send(response(1, '204'), response(3, '204'));
    assert.deepEqual(driven.recorder.events.slice(-2), ['head 3 204 ', 'end 3']);
    assert.equal(driven.connection.streamCount, 0);
  });

  it('opens no more streams than the target takes', () => {
    const driven = asking('GET');
    driven.send(settings([3, 1]));
    assert.equal(driven.connection.canOpen, false);
    driven.send(response(1, '204'));
    assert.equal(driven.connection.canOpen, true);
  });

  it('is told of a reset, with its code', () => {
    const events = eventsOf('GET', reset(1, ErrorCode.RefusedStream));
    assert.deepEqual(events, ['reset 1 7']);
  });

  it('passes over what still comes for a stream that it gave up', () => {
    const driven = asking('GET', 'GET');
    const stream = [...driven.connection.streams][0]!;
    driven.connection.reset(stream, ErrorCode.Cancel);
    driven.send(response(1, '200', [], false), data(1, 'late', true), windowUpdate(1, 5), response(3, '204'));
    assert.deepEqual(driven.recorder.events, ['head 3 204 ', 'end 3']);
  });

  it('learns whether the target takes extended CONNECT, and that it is alive', () => {
    const driven = asking();
    driven.send(settings([8, 1]));
    assert.equal(driven.connection.extendedConnect, true);
    driven.connection.ping();
    driven.send(ping('\x01\0\0\0\0\0\0\0', true), ping('someelse', true));
    assert.deepEqual(driven.recorder.events, ['pong']);
  });

  const broken: Readonly<Record<string, readonly [Buffer, string]>> = {
    'a stream that it never opened': [response(3, '200'), 'stream-id-invalid'],
    'a stream of the target': [response(2, '200'), 'stream-id-invalid'],
    'PUSH_PROMISE, which was switched off': [frame(5, 4, 1, uint32(2)), 'frame-unexpected'],
    'ENABLE_PUSH 1 from a target': [settings([2, 1]), 'settings-invalid'],
    'content of a stream that it never opened': [data(3, 'x'), 'stream-id-invalid'],
  };
  for (const [name, [bytes, failure]] of Object.entries(broken)) {
    it(`ends the connection for ${name}`, () => {
      assert.deepEqual(eventsOf('GET', bytes), [`failure ${failure}`]);
    });
  }
});
