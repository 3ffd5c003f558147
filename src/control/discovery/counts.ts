// What discovery counts: names and bounded labels, handed to a callback so that metrics stay out of this folder.

/** Why a list or watch began again; the label `reason` of the restart counter and the code in logs and status. */
export const RESTART_REASONS = [
  /** The server ended the watch in order, as `timeoutSeconds` asks it to. */
  'ended',
  /** 410: the resourceVersion or the continue token is too old (HTTP status, list body or ERROR event). */
  'expired',
  /** Nothing was heard for the inactivity ceiling. */
  'inactive',
  /** No answer head or no whole list page in time. */
  'timeout',
  /** The connection could not be made or broke, TLS included. */
  'connection',
  /** 401, also after the credentials were read again. */
  'unauthorized',
  /** 403: RBAC does not allow it. */
  'forbidden',
  /** 429, as HTTP status or as ERROR event. */
  'throttled',
  /** Any other status than 200. */
  'http-status',
  /** An ERROR event of another kind. */
  'stream-error',
  /** A watch line that is no event: not UTF-8, not JSON, of another kind, or without an identity. */
  'bad-line',
  /** A watch line over the size limit. */
  'long-line',
  /** A list that is not one: not JSON, of another kind, without metadata or items, contradictory, too large. */
  'bad-list',
  /** An empty list after a full one, held until further lists agree. */
  'empty-list',
  /** Credentials could not be read or used. */
  'credentials',
  /** A fault of our own; the loop goes on. */
  'internal',
] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

export const RESOURCES = ['nodes', 'services', 'endpointslices', 'secrets'] as const;
/** The API's plural names: also the label `kind` of metrics and logs. */
export type Resource = (typeof RESOURCES)[number];

/** Label sets by counter name. All values are bounded: cluster names come from the configuration. */
export interface DiscoveryCounts {
  /** A list or watch of one kind and scope began again. */
  'watch-restart': { readonly cluster: string; readonly kind: Resource; readonly reason: RestartReason };
  /** An event of a watch that was understood. */
  'watch-event': {
    readonly cluster: string;
    readonly kind: Resource;
    readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  };
  /** A list left an object out of which no deletion had been announced. */
  unlisted: { readonly cluster: string; readonly kind: Resource };
  /** A list was taken in full. */
  list: { readonly cluster: string; readonly kind: Resource };
  /** An object was ignored, its former version kept; `field` is the path of the field without indices. */
  'bad-object': { readonly cluster: string; readonly kind: Resource; readonly field: string };
  credentials: { readonly cluster: string; readonly result: 'changed' | 'renewed-after-401' | 'failed' };
  'inventory-file': {
    readonly cluster: string;
    readonly result: 'written' | 'write-failed' | 'too-large' | 'loaded' | 'rejected';
  };
}

/** Adds one to the counter `name`. Must not throw. */
export type OnCount = <N extends keyof DiscoveryCounts>(name: N, labels: DiscoveryCounts[N]) => void;
