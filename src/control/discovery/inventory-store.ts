// Keeps the last good inventory of each cluster on disk, so that a start during an API outage knows its targets.

import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { readRegularFileSync } from '../../files/regular-file.ts';
import type { ClusterInventory } from '../../model/inventory.ts';
import { replaceFile } from '../state-file.ts';
import type { Clock } from './clock.ts';
import type { OnCount } from './counts.ts';
import { errorCode } from './failure.ts';
import { decodeInventory, encodeInventory } from './inventory-file.ts';

export interface InventoryStoreOptions {
  /** Made when missing, mode 0700. Null keeps nothing. */
  readonly directory: string | null;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onCount: OnCount;
  /** Shortest time between two writes of one cluster, milliseconds. Default 1000, at least 1000. */
  readonly intervalMs?: number;
  /** Larger files are neither written nor read, bytes. Default 64 MiB. */
  readonly limitBytes?: number;
}

export interface InventoryStore {
  /** The kept inventory with origin `disk`; null when there is none or it cannot be used. Reads synchronously. */
  load(cluster: string): ClusterInventory | null;
  /** From here on another directory, which soon gets what was saved last; null keeps nothing any more. */
  moveTo(directory: string | null): void;
  /** Asks for a write soon; `inventory` is called when it is due, so many changes cost one encoding. */
  save(cluster: string, inventory: () => ClusterInventory): void;
  /** Writes what is still waiting, and resolves when the disk has it. Never rejects. */
  flush(): Promise<void>;
}

interface Slot {
  /** What was saved last. */
  latest: () => ClusterInventory;
  /** The newest value not yet written. */
  pending: (() => ClusterInventory) | null;
  cancel: (() => void) | null;
  writing: Promise<void> | null;
  lastWriteMs: number;
  /** What the last write took, from its start to its end. */
  tookMs: number;
  /** The last outcome was a failure: said once, not at each try. */
  failing: boolean;
}

const abandonedAfterMs = 3_600_000;
/** From the start of a write to that of the next, in lengths of the write: for nineteen twentieths of the time there is none. */
const LENGTHS_BETWEEN = 20;
/** From the end of a write to the next, milliseconds: a disk that stalls for long must not put the next off for an hour. */
const MOST_PAUSE_MS = 60_000;
/** From a write that failed to the next. */
const RETRY_MS = 10_000;

export function createInventoryStore(options: InventoryStoreOptions): InventoryStore {
  const { clock, log, onCount } = options;
  let { directory } = options;
  const intervalMs = Math.max(1_000, options.intervalMs ?? 1_000);
  const limitBytes = options.limitBytes ?? 64 * 1024 * 1024;
  const slots = new Map<string, Slot>();

  function load(cluster: string): ClusterInventory | null {
    if (directory === null) return null;
    const path = join(directory, fileName(cluster));
    let result: ClusterInventory | string;
    try {
      result = decodeInventory(readRegularFileSync(path, limitBytes), cluster);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      result = `it cannot be read (${errorCode(error)})`;
    }
    if (typeof result === 'string') {
      onCount('inventory-file', { cluster, result: 'rejected' });
      log.warn({ code: 'inventory-file-rejected', cluster, path }, `kept inventory ignored: ${result}`);
      return null;
    }
    onCount('inventory-file', { cluster, result: 'loaded' });
    const ageMs = clock.now() - result.syncedAtMs;
    log.info(
      { code: 'inventory-loaded', cluster, ageMs, nodes: result.nodes.length },
      'kept inventory loaded',
    );
    return result;
  }

  function moveTo(next: string | null): void {
    if (next === directory) return;
    directory = next;
    for (const [cluster, slot] of slots) save(cluster, slot.latest);
  }

  function save(cluster: string, inventory: () => ClusterInventory): void {
    let slot = slots.get(cluster);
    if (slot === undefined) {
      slot = {
        latest: inventory,
        pending: null,
        cancel: null,
        writing: null,
        lastWriteMs: 0,
        tookMs: 0,
        failing: false,
      };
      slots.set(cluster, slot);
    }
    slot.latest = inventory;
    slot.pending = inventory;
    schedule(cluster, slot);
  }

  function schedule(cluster: string, slot: Slot): void {
    if (directory === null || slot.cancel !== null || slot.writing !== null || slot.pending === null) return;
    const { tookMs } = slot;
    const pauseMs = Math.max(
      slot.failing ? RETRY_MS : intervalMs,
      Math.min(tookMs * LENGTHS_BETWEEN, tookMs + MOST_PAUSE_MS),
    );
    const sinceMs = clock.now() - slot.lastWriteMs;
    // A clock that was set back must not put the write off by the difference.
    const delayMs = sinceMs < 0 ? pauseMs : Math.max(0, pauseMs - sinceMs);
    slot.cancel = clock.after(delayMs, () => {
      slot.cancel = null;
      startWrite(cluster, slot);
    });
  }

  function startWrite(cluster: string, slot: Slot): void {
    const inventory = slot.pending;
    if (directory === null || inventory === null) return;
    slot.pending = null;
    slot.lastWriteMs = clock.now();
    slot.writing = write(directory, cluster, slot, inventory).finally(() => {
      slot.tookMs = Math.max(0, clock.now() - slot.lastWriteMs);
      slot.writing = null;
      schedule(cluster, slot);
    });
  }

  async function write(
    into: string,
    cluster: string,
    slot: Slot,
    inventory: () => ClusterInventory,
  ): Promise<void> {
    try {
      const pieces = await encodeInventory(inventory(), clock.now(), setImmediate);
      const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
      if (bytes > limitBytes) {
        report(cluster, slot, 'too-large', `${bytes} bytes`);
        return;
      }
      await replaceFile(into, fileName(cluster), pieces);
      await removeAbandoned(into, fileName(cluster), clock.now());
      onCount('inventory-file', { cluster, result: 'written' });
      if (slot.failing) log.info({ code: 'inventory-kept', cluster }, 'inventory is kept on disk again');
      slot.failing = false;
    } catch (error) {
      report(cluster, slot, 'write-failed', errorCode(error));
      // Nothing may change for days: the disk that was full has to be tried again without a reason.
      slot.pending ??= inventory;
    }
  }

  function report(cluster: string, slot: Slot, result: 'too-large' | 'write-failed', detail: string): void {
    onCount('inventory-file', { cluster, result });
    if (!slot.failing)
      log.warn({ code: `inventory-${result}`, cluster, detail }, 'inventory is not kept on disk');
    slot.failing = true;
  }

  async function flush(): Promise<void> {
    for (const [cluster, slot] of slots) {
      disarm(slot);
      await slot.writing;
      // The write that has just ended may have armed the next one.
      disarm(slot);
      startWrite(cluster, slot);
      await slot.writing;
      disarm(slot);
      slot.pending = null;
    }
  }

  return { load, moveTo, save, flush };
}

function disarm(slot: Slot): void {
  slot.cancel?.();
  slot.cancel = null;
}

/** A readable name that cannot leave the directory, and a digest that keeps two clusters apart. */
function fileName(cluster: string): string {
  const readable = cluster
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '_')
    .slice(0, 40);
  return `inventory-${readable}-${createHash('sha256').update(cluster).digest('hex').slice(0, 12)}.json`;
}

/** Files left aside by a process that was killed while it wrote. */
async function removeAbandoned(directory: string, name: string, nowMs: number): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (!entry.startsWith(`${name}.`) || !entry.endsWith('.tmp')) continue;
    const path = join(directory, entry);
    const { mtimeMs } = await stat(path);
    if (nowMs - mtimeMs > abandonedAfterMs) await rm(path, { force: true });
  }
}
