// Header edits of a rule, folded into two things that cost little per message: names to drop and lines to append.

import { CONNECTION_FIELDS } from '../../model/connection-fields.ts';
import type { FilterConfig, HeaderValue } from '../../model/route-config.ts';
import { compileTemplate, render, type Template } from './template.ts';

type HeaderFilter = Extract<FilterConfig, { kind: 'request-headers' | 'response-headers' }>;

export interface HeaderEdits {
  /** Lower-case names whose lines are left out of the message: those removed and those set. */
  readonly drop: ReadonlySet<string>;
  /** Some of them are of lines that Portico writes itself, which then give way. */
  readonly dropsOwn: boolean;
  /** `Name: value\r\n` for each line to append when none has a capture; null when `editLines` has to fill some in. */
  readonly setLines: string | null;
  readonly template: Template;
}

/** What Portico adds to every request or answer, in lower case. */
const OWN: ReadonlySet<string> = new Set([
  'client-cert',
  'client-cert-chain',
  'date',
  'forwarded',
  'max-forwards',
  'via',
  'x-client-cert-fingerprint',
  'x-client-cert-subject',
  'x-client-cert-verify',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
]);

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// Visible characters and inner spaces or tabs (RFC 9110, section 5.5), one byte each.
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\t\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** The filters of a rule that edit the request's fields, in their order. */
export const requestHeaderFilters = (filters: readonly FilterConfig[]): readonly HeaderFilter[] =>
  filters.filter((filter): filter is HeaderFilter => filter.kind === 'request-headers');

/** The filters of a rule that edit the response's fields, in their order. */
export const responseHeaderFilters = (filters: readonly FilterConfig[]): readonly HeaderFilter[] =>
  filters.filter((filter): filter is HeaderFilter => filter.kind === 'response-headers');

interface Edit {
  /** Lines of the message with this name are left out. */
  drop: boolean;
  lines: HeaderValue[];
}

/**
 * Null when there is nothing to edit. Filters take effect in their order; within one, fields are removed, then set,
 * then added. An added field becomes a line of its own, which means the same as appending to the list
 * (RFC 9110, section 5.3). Throws RangeError on a name or value that no message may carry.
 */
export function compileHeaderEdits(
  filters: readonly HeaderFilter[],
  captureNames: readonly string[],
): HeaderEdits | null {
  const edits = foldEdits(filters);
  if (edits.size === 0) return null;
  const drop = new Set<string>();
  let lines = '';
  for (const [name, edit] of edits) {
    if (edit.drop) drop.add(name);
    for (const line of edit.lines) lines += `${line.name}: ${line.value}\r\n`;
  }
  const template = compileTemplate(lines, captureNames);
  const dropsOwn = [...drop].some((name) => OWN.has(name));
  return { drop, dropsOwn, setLines: template.literal, template };
}

/** The lines to append to the message, each ending in CRLF. */
export const editLines = (edits: HeaderEdits, captures: readonly string[]): string =>
  edits.setLines ?? render(edits.template, captures);

/** The lines with this name that the filters leave behind; '' for none. @param name lower case */
export function linesNamed(filters: readonly HeaderFilter[], name: string): string {
  const lines = foldEdits(filters).get(name)?.lines ?? [];
  return lines.map((line) => `${line.name}: ${line.value}\r\n`).join('');
}

/** The edits applied to header fields known when the snapshot is applied: those of a direct response. */
export function editFields(
  fields: readonly HeaderValue[],
  filters: readonly HeaderFilter[],
): readonly HeaderValue[] {
  const edits = foldEdits(filters);
  const kept = fields.filter(({ name }) => edits.get(name.toLowerCase())?.drop !== true);
  return [...kept, ...[...edits.values()].flatMap(({ lines }) => lines)];
}

/** Throws RangeError unless the field may stand in a message and is not one that Portico itself must write. */
export function checkField(name: string, value: string): void {
  if (!TOKEN.test(name)) throw new RangeError(`not a header field name: ${JSON.stringify(name)}`);
  if (CONNECTION_FIELDS.has(name.toLowerCase()))
    throw new RangeError(`the field ${name} cannot be edited by a filter`);
  if (!VALUE.test(value)) throw new RangeError(`not a value for the field ${name}: ${JSON.stringify(value)}`);
}

function foldEdits(filters: readonly HeaderFilter[]): Map<string, Edit> {
  const edits = new Map<string, Edit>();
  const editOf = (name: string): Edit => {
    const known = edits.get(name.toLowerCase());
    if (known !== undefined) return known;
    const edit: Edit = { drop: false, lines: [] };
    edits.set(name.toLowerCase(), edit);
    return edit;
  };
  for (const filter of filters) {
    for (const name of filter.remove) {
      checkField(name, '');
      Object.assign(editOf(name), { drop: true, lines: [] });
    }
    for (const field of filter.set) {
      checkField(field.name, field.value);
      Object.assign(editOf(field.name), { drop: true, lines: [field] });
    }
    for (const field of filter.add) {
      checkField(field.name, field.value);
      editOf(field.name).lines.push(field);
    }
  }
  return edits;
}
