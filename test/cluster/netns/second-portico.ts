// A second Portico beside the first: its configuration with other ports and a state of its own, and what is changed in it.

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { Portico } from '../portico.ts';
import type { NetWorld } from './net-world.ts';

/** As much of the configuration file as is changed. */
export interface Configuration {
  clusters: { name: string; nodes: object }[];
  listeners: { bind: string }[];
  pools: { name: string; sources: { cluster: string }[] }[];
  routes: object[];
  readonly admin: { bind: string };
  stateDirectory: string;
  readonly log: { readonly access: { path: string } };
}

/** Starts it and waits until it is ready; the caller stops it. */
export async function startBeside(
  world: NetWorld,
  name: string,
  ports: { readonly web: number; readonly ssh: number; readonly admin: number },
  change: (configuration: Configuration) => void = () => {},
): Promise<Portico> {
  const directory = path.join(world.options.directory, name);
  await mkdir(directory, { recursive: true });
  const configuration = parse(await readFile(world.portico.configurationFile, 'utf8')) as Configuration;
  configuration.listeners[0]!.bind = `127.0.0.1:${ports.web}`;
  configuration.listeners[1]!.bind = `127.0.0.1:${ports.ssh}`;
  configuration.admin.bind = `127.0.0.1:${ports.admin}`;
  configuration.stateDirectory = path.join(directory, 'state');
  configuration.log.access.path = path.join(directory, 'access.log');
  change(configuration);
  const { transcript } = world.options;
  const second = new Portico({ directory, configuration, adminPort: ports.admin, transcript });
  await second.start();
  return second;
}

/** The published checksum of the hash table of the pool for git; empty while workers are between two snapshots. */
export async function tableOf(portico: Portico): Promise<string> {
  const { body } = await portico.admin('/tables');
  const { tables } = JSON.parse(body) as { tables: { pool: string; checksum: string | null }[] };
  return tables.find((table) => table.pool === 'git-ssh')?.checksum ?? '';
}
