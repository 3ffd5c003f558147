// Answers that a rule gives without a target: a direct response, or a redirect.

import {
  type CompiledRedirect,
  type CompiledRespond,
  locationOf,
  type RedirectOrigin,
} from '../router/actions.ts';
import { editLines } from '../router/header-edits.ts';
import type { RouteMatch, RouteRequest } from '../router/router.ts';
import { render } from '../router/template.ts';
import type { Answer } from './answers.ts';

export function directAnswer(action: CompiledRespond, captures: readonly string[]): Answer {
  return {
    status: action.status,
    fields: render(action.fields, captures),
    body: action.body.latin1Slice(),
    close: false,
    ruled: action.ruled,
  };
}

export function redirectAnswer(
  action: CompiledRedirect,
  request: RouteRequest,
  origin: RedirectOrigin,
  match: RouteMatch,
): Answer {
  const edits = match.rule?.filters.response ?? null;
  const location = locationOf(action, request, origin, match.prefixLength, match.captures);
  const ownLine = edits?.drop.has('location') ? '' : `Location: ${location}\r\n`;
  return {
    status: action.status,
    fields: `${ownLine}Content-Length: 0\r\n${edits === null ? '' : editLines(edits, match.captures)}`,
    body: '',
    close: false,
    ruled: edits === null ? null : edits.drop,
  };
}
