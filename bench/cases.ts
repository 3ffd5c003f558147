// The kinds of load of `npm run bench:peers`, and what the project wants to reach in each.

import type { Endpoint } from './subjects/peer.ts';

export interface Case {
  readonly name: string;
  readonly about: string;
  /** What one unit of work is called in the tables. */
  readonly unit: 'request' | 'call' | 'connection' | 'exchange' | 'message';
  readonly endpoint: Endpoint;
  readonly load: CaseLoad;
  /** Least ratio of a peer's CPU for each unit to Portico's; a peer is found by the begin of its name. */
  readonly goals: Readonly<Record<string, number>>;
}

export type CaseLoad =
  | {
      readonly kind: 'http';
      readonly connections: number;
      readonly bodyBytes: number;
      readonly uploadBytes?: number;
      readonly newConnections?: boolean;
      readonly resume?: boolean;
    }
  | Streams<'http2'>
  | Streams<'grpc'>
  | {
      readonly kind: 'tcp';
      readonly connections: number;
      readonly bytes: number;
      readonly newConnections?: boolean;
    }
  | { readonly kind: 'websocket'; readonly connections: number; readonly bytes: number };

interface Streams<Kind> {
  readonly kind: Kind;
  readonly connections: number;
  readonly streams: number;
  /** Of the answer; for gRPC of both messages. */
  readonly bodyBytes: number;
}

const KIB = 1024;
const MIB = 1024 * 1024;

export const CASES: readonly Case[] = [
  {
    name: 'keep-alive',
    about: 'HTTP/1.1, kept connections, 66-byte answers',
    unit: 'request',
    endpoint: 'http',
    load: { kind: 'http', connections: 64, bodyBytes: 66 },
    goals: { nginx: 1, HAProxy: 1.15, Envoy: 2.3, Traefik: 4.5, Caddy: 4.5, 'http-proxy': 5 },
  },
  {
    name: 'new-connections',
    about: 'HTTP/1.1, a connection for each request',
    unit: 'request',
    endpoint: 'http',
    load: { kind: 'http', connections: 64, bodyBytes: 66, newConnections: true },
    goals: { nginx: 0.9, HAProxy: 0.9, Envoy: 2, Traefik: 2 },
  },
  {
    name: 'answers-64k',
    about: 'HTTP/1.1, answers of 64 KiB',
    unit: 'request',
    endpoint: 'http',
    load: { kind: 'http', connections: 16, bodyBytes: 64 * KIB },
    goals: { nginx: 0.8, HAProxy: 0.8 },
  },
  {
    name: 'answers-1m',
    about: 'HTTP/1.1, answers of 1 MiB',
    unit: 'request',
    endpoint: 'http',
    load: { kind: 'http', connections: 16, bodyBytes: MIB },
    goals: { nginx: 0.8, HAProxy: 0.8 },
  },
  {
    name: 'uploads-1m',
    about: 'HTTP/1.1, requests of 1 MiB',
    unit: 'request',
    endpoint: 'http',
    load: { kind: 'http', connections: 16, bodyBytes: 66, uploadBytes: MIB },
    goals: { nginx: 0.8, HAProxy: 0.8 },
  },
  {
    name: 'tls-keep-alive',
    about: 'TLS 1.3, HTTP/1.1, kept connections, 66-byte answers',
    unit: 'request',
    endpoint: 'https',
    load: { kind: 'http', connections: 64, bodyBytes: 66 },
    goals: { HAProxy: 0.95 },
  },
  {
    name: 'tls-new',
    about: 'TLS 1.3, a full handshake (ECDSA P-256) for each request',
    unit: 'request',
    endpoint: 'https',
    load: { kind: 'http', connections: 16, bodyBytes: 66, newConnections: true },
    goals: { HAProxy: 0.9 },
  },
  {
    name: 'tls-resumed',
    about: 'TLS 1.3, a resumed session for each request',
    unit: 'request',
    endpoint: 'https',
    load: { kind: 'http', connections: 16, bodyBytes: 66, newConnections: true, resume: true },
    goals: { HAProxy: 0.9 },
  },
  {
    name: 'http2',
    about: 'HTTP/2 over TLS, 10 connections with 32 streams each',
    unit: 'request',
    endpoint: 'https',
    load: { kind: 'http2', connections: 10, streams: 32, bodyBytes: 66 },
    goals: { HAProxy: 0.8, Envoy: 1.5, 'node:http2': 3 },
  },
  {
    name: 'grpc',
    about: 'gRPC, unary calls of 66 bytes each way, 10 connections with 32 streams each over TLS',
    unit: 'call',
    endpoint: 'grpc',
    load: { kind: 'grpc', connections: 10, streams: 32, bodyBytes: 66 },
    goals: { HAProxy: 0.8, nginx: 0.8, Envoy: 1.5 },
  },
  {
    name: 'passthrough-new',
    about: 'TLS by server name, unopened: a connection, its handshake and a request of 66 bytes',
    unit: 'connection',
    endpoint: 'passthrough',
    load: { kind: 'http', connections: 16, bodyBytes: 66, newConnections: true },
    goals: { HAProxy: 0.9, nginx: 0.9, Envoy: 1.5 },
  },
  {
    name: 'passthrough-64k',
    about: 'TLS by server name, unopened: answers of 64 KiB on kept connections',
    unit: 'exchange',
    endpoint: 'passthrough',
    load: { kind: 'http', connections: 16, bodyBytes: 64 * KIB },
    goals: { HAProxy: 0.9, nginx: 0.9, Envoy: 0.9 },
  },
  {
    name: 'tcp-proxied',
    about: 'TCP, a connection for each message of 66 bytes, with a PROXY header to the target',
    unit: 'connection',
    endpoint: 'proxied',
    load: { kind: 'tcp', connections: 16, bytes: 66, newConnections: true },
    goals: { HAProxy: 0.9, nginx: 0.9, Envoy: 1.5 },
  },
  {
    name: 'tcp-64k',
    about: 'TCP, 64 KiB there and back',
    unit: 'exchange',
    endpoint: 'tcp',
    load: { kind: 'tcp', connections: 16, bytes: 64 * KIB },
    goals: { HAProxy: 0.9 },
  },
  {
    name: 'tcp-1m',
    about: 'TCP, 1 MiB there and back',
    unit: 'exchange',
    endpoint: 'tcp',
    load: { kind: 'tcp', connections: 8, bytes: MIB },
    goals: { HAProxy: 0.6 },
  },
  {
    name: 'websocket',
    about: 'WebSocket messages of 128 bytes there and back',
    unit: 'message',
    endpoint: 'http',
    load: { kind: 'websocket', connections: 64, bytes: 128 },
    goals: { HAProxy: 0.9 },
  },
];
