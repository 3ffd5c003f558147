// Faults of Portico's own processes and of the machine; each is shown by the test that it names.

import type { ProcessFault } from './fault.ts';

const HERE = 'test/faults/process.test.ts';
const restarts = (reason: string): string =>
  `portico_worker_restarts_total{role="worker",reason="${reason}"}`;

export const PROCESSES: readonly ProcessFault[] = [
  {
    part: 'the target',
    name: 'its machine is gone, by what the cluster or the kernel says',
    client:
      'Streams that have begun are reset at once instead of after their timeout; idempotent requests without an answer are sent elsewhere.',
    logged: 'target-lost',
    counted: ['portico_failures_total{reason="target-lost"}'],
    recovers: 'Its successor is dialled; nothing waits for it.',
    shownBy:
      'test/proxy/tcp-session.test.ts: resets both sides at once when the machine of the target is lost',
  },
  {
    part: 'processes',
    name: 'a worker is killed under load',
    client:
      'Its connections end; those of the other workers notice nothing. New ones wait in its socket, which the supervisor holds, for its successor.',
    logged: 'code worker-died',
    counted: [restarts('SIGKILL')],
    recovers: 'A successor starts at once, and after a growing pause (0.1 s to 10 s) while they keep dying.',
    shownBy:
      'test/integration/roles.test.ts: replaces a killed worker, and no client of another worker notices',
  },
  {
    part: 'processes',
    name: 'a worker runs out of memory',
    client: 'The same.',
    logged: 'code worker-died',
    counted: [restarts('SIGABRT')],
    recovers: 'The same. V8 says why on standard error.',
    shownBy: `${HERE}: a worker hangs, another runs out of memory`,
  },
  {
    part: 'processes',
    name: 'the event loop of a worker is blocked',
    client: 'Its connections wait; after 10 s they end. The others notice nothing.',
    logged: 'code worker-hung',
    counted: [restarts('hung')],
    recovers:
      'Workers report four times a second. One that has been silent for 10 s is killed and replaced. A machine that was suspended as a whole is not taken for a hang.',
    shownBy: `${HERE}: a worker hangs, another runs out of memory`,
  },
  {
    part: 'processes',
    name: 'the event loop of the controller is blocked',
    client: 'Nothing: workers go on with the last snapshot.',
    logged: 'code controller-hung',
    counted: ['portico_worker_restarts_total{role="controller",reason="hung"}'],
    recovers: 'After 30 s of silence it is killed and replaced; its successor catches up.',
    shownBy: 'test/supervisor/watchdog.test.ts: gives a controller thirty seconds',
  },
  {
    part: 'processes',
    name: 'the controller is killed',
    client: 'Nothing.',
    logged: 'code controller-died',
    counted: ['portico_worker_restarts_total{role="controller",reason="SIGKILL"}'],
    recovers: 'It is started again; counters, drains and the configuration in force are handed on.',
    shownBy:
      'test/integration/roles.test.ts: serves on while the controller is killed and comes back, and counters go on from where they were',
  },
  {
    part: 'processes',
    name: 'a process cannot be started (no descriptor, no memory)',
    client: 'Nothing, as long as another worker serves.',
    logged: 'code child-error',
    counted: ['portico_worker_restarts_total{role="worker",reason="not-started-EMFILE"}'],
    recovers: 'It is tried again like one that died.',
    shownBy:
      'test/supervisor/child.test.ts: tells of a process that cannot be started like of one that ended',
  },
  {
    part: 'the machine',
    name: 'more clients than descriptors',
    client:
      'Connections above half of the descriptor limit are closed right after the accept; those inside are served.',
    logged: 'code descriptor-limit',
    counted: ['portico_connections_refused_total{reason="descriptor-limit"}'],
    recovers:
      'Connections are taken again as soon as others end; `descriptor-limit-over` says when there is a tenth of room. The worker sleeps at its limit. Descriptors are raised to the hard limit at the start: set that (`LimitNOFILE`).',
    shownBy: `${HERE}: more clients than descriptors`,
  },
  {
    part: 'the machine',
    name: 'no descriptor or local port for another connection to a target',
    client:
      'Nothing: idle connections are closed and the connect is made again. Where there are none, 503 `local-limit`.',
    logged: 'local-limit',
    counted: [
      'portico_upstream_connect_failures_total{reason="local-limit"}',
      'portico_retries_total{reason="local-limit"}',
    ],
    recovers:
      'With the next connection that ends. No target is blamed; probes that find none say nothing (`result="local"`).',
    shownBy: `${HERE}: no descriptor for another connection to a target`,
  },
  {
    part: 'the machine',
    name: 'the disk of the access log is full',
    client: 'Nothing.',
    logged: 'code access-log-failed',
    counted: ['portico_access_log_lines_lost_total{reason="write-error"}'],
    recovers:
      'Lines wait in memory (`log.access.bufferBytes`), then are dropped and counted; the file is tried every second and goes on where it was cut.',
    shownBy: `${HERE}: the disk of the access log is full`,
  },
  {
    part: 'the machine',
    name: "the disk of Portico's own log is full, or nobody reads its pipe",
    client: 'Nothing.',
    logged: '-',
    counted: ['portico_log_lines_lost_total{role="controller",reason="write-error"}'],
    recovers:
      '256 KiB wait in each process, then lines are dropped and counted; it goes on when there is room.',
    shownBy: `${HERE}: the disk of Portico’s own log is full`,
  },
  {
    part: 'the machine',
    name: 'the kept inventory cannot be written',
    client: 'Nothing.',
    logged: 'code inventory-write-failed',
    counted: ['portico_inventory_file_total{result="write-failed"}'],
    recovers: 'Tried again after 10 s, and with every change; the file of before stays whole.',
    shownBy:
      'test/control/discovery/inventory-store.test.ts: a write that failed is tried again by itself, and says when it works again',
  },
];
