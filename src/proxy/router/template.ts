// Texts with `{capture}` places: split once when a snapshot is applied, filled for each request.

export interface Template {
  /** The whole text when it has no capture; null otherwise. */
  readonly literal: string | null;
  /** One more than `slots`: the text around the captures. */
  readonly parts: readonly string[];
  /** Indices into the captures of the match. */
  readonly slots: readonly number[];
}

const PLACE = /\{([A-Za-z_][A-Za-z0-9_-]*)\}/g;

/** Splits `text` at the places that name one of `names`; other braces stay as they are. */
export function compileTemplate(text: string, names: readonly string[]): Template {
  const parts: string[] = [];
  const slots: number[] = [];
  let from = 0;
  for (const place of text.matchAll(PLACE)) {
    const slot = names.indexOf(place[1] as string);
    if (slot < 0) continue;
    parts.push(text.slice(from, place.index));
    slots.push(slot);
    from = place.index + place[0].length;
  }
  parts.push(text.slice(from));
  return { literal: slots.length === 0 ? text : null, parts, slots };
}

/** Fills the captures in; one that the matched host did not have is the empty text. */
export function render(template: Template, captures: readonly string[]): string {
  if (template.literal !== null) return template.literal;
  let text = template.parts[0] as string;
  for (let i = 0; i < template.slots.length; i++) {
    text += (captures[template.slots[i] as number] ?? '') + (template.parts[i + 1] as string);
  }
  return text;
}
