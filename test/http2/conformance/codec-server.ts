// A server made of the codec alone, for conformance tools: answers every request with 200 and a short body.

import { Buffer } from 'node:buffer';
import { listen } from '../endpoint.ts';

const BODY = Buffer.from('The codec says hello.\n');
const STATUS = { refused: 400, tooLarge: 431 } as const;

export const startCodecServer = () =>
  listen((end) => {
    end.onMessage = (stream) => {
      end.answer(stream, 200, `Content-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n`, BODY);
    };
    const refused = end.onRefused.bind(end);
    end.onRefused = (stream, reason) => {
      refused(stream, reason);
      const encoder = end.connection.beginHead(stream);
      encoder.status(reason === 'header-too-large' ? STATUS.tooLarge : STATUS.refused);
      end.connection.endHead(true);
    };
  });
