// `${NAME}` substitution in scalar values.

/** Values by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type Substitution =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly fix: string };

const REFERENCE = /\$(?:\$|\{([^}]*)(\})?)/g;
const NAME_AND_FALLBACK = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/** Whether a scalar holds anything that `substitute` would touch. */
export function hasReference(text: string): boolean {
  return text.includes('${') || text.includes('$$');
}

/**
 * Replaces `${NAME}` by the variable, `${NAME:-fallback}` by the fallback when it is unset or empty, and `$$` by
 * one dollar sign. Any other dollar sign stands for itself. What was put in is not looked at again.
 */
export function substitute(text: string, env: Environment): Substitution {
  let failure: Substitution | null = null;
  const result = text.replace(REFERENCE, (whole, body: string | undefined, close: string | undefined) => {
    if (whole === '$$') {
      return '$';
    }
    const parts = close === undefined ? null : NAME_AND_FALLBACK.exec(body ?? '');
    if (parts === null) {
      failure ??= {
        ok: false,
        code: 'env-syntax',
        message: `${whole.slice(0, 60)} is not a reference to an environment variable`,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: this is the syntax that the message explains
        fix: 'Write ${NAME} or ${NAME:-fallback}; write $$ for a dollar sign that stands for itself.',
      };
      return '';
    }
    const name = parts[1]!;
    const fallback = parts[2];
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined && fallback === undefined) {
      failure ??= {
        ok: false,
        code: 'env-missing',
        message: `the environment variable ${name} is not set`,
        fix: `Set ${name}, or give a fallback: \${${name}:-value}.`,
      };
      return '';
    }
    return value === undefined || (value === '' && fallback !== undefined) ? (fallback ?? '') : value;
  });
  return failure ?? { ok: true, text: result };
}
