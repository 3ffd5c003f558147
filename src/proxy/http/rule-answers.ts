// Answers that a rule gives without a target: a direct response, or a redirect.

import { STATUS_CODES } from 'node:http';
import {
  type CompiledRedirect,
  type CompiledRespond,
  locationOf,
  type RedirectOrigin,
} from '../router/actions.ts';
import { editLines } from '../router/header-edits.ts';
import type { RouteMatch, RouteRequest } from '../router/router.ts';
import { render } from '../router/template.ts';
import { type AnswerParts, ownFields } from './answers.ts';

export function directAnswer(
  action: CompiledRespond,
  captures: readonly string[],
  parts: AnswerParts,
): string {
  return render(action.head, captures) + ownFields(parts) + (parts.isHead ? '' : action.body.latin1Slice());
}

export function redirectAnswer(
  action: CompiledRedirect,
  request: RouteRequest,
  origin: RedirectOrigin,
  match: RouteMatch,
  parts: AnswerParts,
): string {
  const edits = match.rule?.filters.response ?? null;
  return (
    `HTTP/1.1 ${action.status} ${STATUS_CODES[action.status] ?? ''}\r\n` +
    `Location: ${locationOf(action, request, origin, match.prefixLength, match.captures)}\r\n` +
    `Content-Length: 0\r\n${edits === null ? '' : editLines(edits, match.captures)}` +
    ownFields(parts)
  );
}
