// Fields that no filter may touch, because they belong to the connection and not to the message.

/**
 * Lower case: those that frame messages and connections (RFC 9110, section 7.6.1), what the client waits for (Expect), Host,
 * which the rewrite filter owns, and what the ends of a WebSocket's handshake prove to each other (RFC 6455, section 1.3).
 */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'sec-websocket-accept',
  'sec-websocket-key',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
