// What the target is told of a request in the place of what the client said: path, host and the fields of a rule.

import type { ExchangeSession } from './exchange-context.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import type { RequestHeadParts } from './http/request-head.ts';
import { rewritePath } from './router/filters.ts';
import { render } from './router/template.ts';

export function requestPartsOf(facts: ExchangeFacts, session: ExchangeSession): RequestHeadParts {
  const { match, view, requestId } = facts;
  const { head } = view;
  const { filters } = match.rule!;
  const { captures } = match;
  const received = session.paths.forward === 'received' ? head.path : view.path;
  const path =
    filters.path === null ? received : rewritePath(filters.path, view.path, match.prefixLength, captures);
  return {
    target: head.hasQuery ? `${path}?${head.query}` : path,
    authority: filters.host === null ? head.authority : render(filters.host, captures),
    scheme: session.scheme,
    webSocketKey: session.webSocketKey,
    grpcType: '',
    client: session.client,
    requestId,
    edits: filters.request,
    captures,
  };
}

/** The host that the target is told, lower case, without port and final dot. */
export function sentHostOf({ match, view }: ExchangeFacts): string {
  const { host } = match.rule!.filters;
  const sent = host === null ? view.head.host : render(host, match.captures).toLowerCase();
  return sent.replace(/(:\d*)?$/, '').replace(/\.$/, '');
}
