// The one table of metric families: name, type, labels, unit, where it is counted and how workers are merged.

import { counter, gauge, histogram, type MetricFamily, type MetricType } from './metric-family.ts';

export const FAMILIES = {
  // Downstream
  portico_http_requests_total: counter(
    'worker',
    ['listener', 'route', 'method', 'code'],
    'Answered HTTP requests, those that Portico answered itself included; 499 is a client that left first',
  ),
  portico_http_request_duration_seconds: histogram(
    'worker',
    ['route', 'code_class'],
    'Time from the first byte of the request to the last byte of the answer',
  ),
  portico_failures_total: counter(
    'worker',
    ['listener', 'reason'],
    'Requests and connections that ended with a failure of the failure table, by its code',
  ),
  portico_connections_active: gauge(
    'worker',
    ['listener', 'protocol'],
    'Downstream connections that are open',
  ),
  portico_connections_total: counter('worker', ['listener', 'protocol'], 'Accepted downstream connections'),
  portico_connections_refused_total: counter(
    'worker',
    ['listener', 'reason'],
    'Downstream connections closed before their session began, by the limit or the first bytes (docs/tcp.md) that refused them',
  ),
  portico_tls_handshakes_total: counter(
    'worker',
    ['listener', 'version', 'resumed'],
    'Finished TLS handshakes of clients, by version and by whether a session was resumed',
  ),
  portico_protocol_requests_total: counter(
    'worker',
    ['listener', 'protocol'],
    'Answered HTTP requests by the protocol of the client',
  ),
  portico_http2_connection_failures_total: counter(
    'worker',
    ['listener', 'reason'],
    'HTTP/2 connections of clients that were given up because they broke the protocol or flooded it',
  ),
  portico_connections_ended_total: counter(
    'worker',
    ['listener', 'reason'],
    'Open downstream connections that a limit ended, by that limit',
  ),
  portico_requests_active: gauge(
    'worker',
    ['listener'],
    'HTTP requests in flight, those that became tunnels included',
  ),
  portico_bytes_received_total: counter('worker', ['listener'], 'Bytes received from clients', 'bytes'),
  portico_bytes_sent_total: counter('worker', ['listener'], 'Bytes sent to clients', 'bytes'),
  portico_tcp_connections_total: counter(
    'worker',
    ['listener', 'result'],
    'Ended connections of tcp listeners, by how they ended',
  ),

  // Upstream
  portico_upstream_requests_total: counter(
    'worker',
    ['pool', 'code_class'],
    'Attempts that a target answered, by the class of its status',
  ),
  portico_upstream_connect_duration_seconds: histogram(
    'worker',
    ['pool'],
    'Time to open a connection to a target',
  ),
  portico_upstream_response_duration_seconds: histogram(
    'worker',
    ['pool'],
    'Time from the end of the request to the head of the answer of a target',
  ),
  portico_upstream_connect_failures_total: counter(
    'worker',
    ['pool', 'reason'],
    'Connections to targets that could not be opened',
  ),
  portico_name_lookups_total: counter(
    'worker',
    ['result'],
    'Look-ups of the host names of targets, by workers and controller; kept is one that failed while the addresses of before are used',
  ),
  portico_upstream_connections: gauge(
    'worker',
    ['pool', 'state'],
    'Open connections to targets, by whether a request is on them',
  ),
  portico_upstream_pending: gauge(
    'worker',
    ['pool'],
    'Requests and tcp connections that wait for a free connection to a target',
  ),
  portico_upstream_connection_reuses_total: counter(
    'worker',
    ['pool'],
    'Attempts that went out on a connection that was already open',
  ),
  portico_retries_total: counter(
    'worker',
    ['pool', 'reason'],
    'Attempts after the first, by what ended the attempt before; connect-slow is a second dial beside one that hangs, path-silent a request on a dead path',
  ),
  portico_retry_budget_exhausted_total: counter(
    'worker',
    ['pool'],
    'Retries that were not made because the budget was used up',
  ),
  portico_ejections_total: counter(
    'worker',
    ['pool'],
    'Targets taken out by what a worker saw of their traffic',
  ),
  portico_ejected: gauge('worker', ['pool'], 'Targets that are ejected now, counted once for each worker'),

  // Workers and snapshots
  portico_snapshot_version: gauge(
    'worker',
    [],
    'Version of the snapshot in use, the oldest of all workers',
    'none',
    'min',
  ),
  portico_snapshot_apply_seconds: histogram(
    'worker',
    [],
    'Time a worker took to build and swap in a snapshot',
  ),
  portico_snapshot_rejected_total: counter(
    'worker',
    [],
    'Snapshots that a worker could not build; the one before went on serving',
  ),
  portico_snapshot_missed_total: counter(
    'worker',
    [],
    'Publications that did not fit the snapshot before them, so that a worker had to get it whole',
  ),
  portico_worker_memory_bytes: gauge('worker', [], 'Resident memory of the workers', 'bytes'),
  portico_worker_memory_over: gauge('worker', [], 'Workers that are at their memory ceiling now'),
  portico_access_log_lines_lost_total: counter(
    'worker',
    ['reason'],
    'Access log lines that were not written',
  ),
  portico_log_lines_lost_total: counter(
    'worker',
    ['role', 'reason'],
    "Lines of the processes' own log that were not written, those of supervisor and controller included",
  ),

  // Targets and health
  portico_target_health: gauge('controller', ['pool', 'health'], 'Targets of a pool by health'),
  portico_target_state: gauge('controller', ['pool', 'state'], 'Targets of a pool by state'),
  portico_target_reasons: gauge(
    'controller',
    ['pool', 'reason'],
    'Targets of a pool that carry a reason; one target can carry several',
  ),
  portico_healthcheck_total: counter(
    'controller',
    ['kind', 'result'],
    'Finished probes; one probe may serve many pools',
  ),
  portico_healthcheck_duration_seconds: histogram('controller', ['kind'], 'Time a probe took'),

  // Configuration and discovery
  portico_config_reloads_total: counter(
    'controller',
    ['result'],
    'Attempts to load the configuration, the first included',
  ),
  portico_config_last_reload_success_timestamp_seconds: gauge(
    'controller',
    [],
    'When a configuration was last loaded without a problem',
    'timestamp',
    'max',
  ),
  portico_tls_certificate_not_after_timestamp_seconds: gauge(
    'controller',
    ['certificate'],
    'When a certificate in force expires',
    'timestamp',
  ),
  portico_tls_certificate_changes_total: counter(
    'controller',
    ['certificate', 'result'],
    'Changed certificates that were taken, and those that were not with the reason',
  ),
  portico_k8s_watch_up: gauge(
    'controller',
    ['cluster', 'kind'],
    'Whether the watch of this kind of object is connected',
    'none',
    'max',
  ),
  portico_drain_file_total: counter(
    'controller',
    ['result'],
    'What became of the file that keeps the drains: written, write-failed, loaded, rejected',
  ),
  portico_k8s_watch_restarts_total: counter(
    'controller',
    ['cluster', 'kind', 'reason'],
    'Watches that ended and were started again',
  ),
  portico_k8s_unlisted_objects_total: counter(
    'controller',
    ['cluster', 'kind'],
    'Objects that a list left out although no deletion had been announced; their targets wait for probes',
  ),
  portico_k8s_last_sync_timestamp_seconds: gauge(
    'controller',
    ['cluster', 'kind'],
    'When what is known was last sure to agree with the API server',
    'timestamp',
    'max',
  ),
  portico_k8s_event_to_apply_seconds: histogram(
    'controller',
    [],
    'Time from a cluster event to the acknowledgement of the last worker',
  ),
  portico_inventory_file_total: counter(
    'controller',
    ['cluster', 'result'],
    'Times that the kept inventory was loaded or rejected, written, too large or failed to be written',
  ),
  portico_worker_restarts_total: counter(
    'controller',
    ['role', 'reason'],
    'Processes that the supervisor replaced',
  ),
  portico_build_info: gauge(
    'controller',
    ['version', 'node'],
    'Always 1; the labels say which build runs',
    'info',
    'max',
  ),
} as const satisfies Record<string, MetricFamily>;

export type FamilyName = keyof typeof FAMILIES;
type NameOfType<T extends MetricType> = {
  [N in FamilyName]: (typeof FAMILIES)[N]['type'] extends T ? N : never;
}[FamilyName];
export type CounterName = NameOfType<'counter'>;
export type GaugeName = NameOfType<'gauge'>;
export type HistogramName = NameOfType<'histogram'>;

/** Exactly the labels of the family, each with a value. */
export type LabelsOf<N extends FamilyName> = Readonly<Record<(typeof FAMILIES)[N]['labels'][number], string>>;

/** The family of a name that came from elsewhere, or undefined when the table does not have it. */
export function familyOf(name: string): MetricFamily | undefined {
  return Object.hasOwn(FAMILIES, name) ? FAMILIES[name as FamilyName] : undefined;
}
