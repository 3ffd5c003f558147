// The command line: which command, with which options, or what is wrong with it.

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../config/suggest.ts';
import {
  COMMANDS,
  COMMON_OPTIONS,
  type CommandHelp,
  type CommandName,
  isCommand,
  OPTIONS,
} from './command-table.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevelOption = (typeof LOG_LEVELS)[number];

/** Null means that the option was not given. */
interface AdminOptions {
  readonly admin: string | null;
  readonly json: boolean;
}

export interface RunOptions {
  readonly config: string;
  readonly logLevel: LogLevelOption | null;
}
export interface CheckOptions {
  readonly file: string;
  readonly json: boolean;
}
export interface DemoOptions {
  /** On 127.0.0.1; 0 takes a free port. */
  readonly httpPort: number | null;
  readonly sshPort: number | null;
  readonly adminPort: number | null;
  readonly logLevel: LogLevelOption | null;
}
export interface TargetsOptions extends AdminOptions {
  readonly pool: string | null;
  readonly cluster: string | null;
  readonly node: string | null;
  readonly service: string | null;
  readonly state: string | null;
  readonly reason: string | null;
  /** The reasons in words instead of their codes. */
  readonly why: boolean;
}
export interface ExplainOptions extends AdminOptions {
  readonly subject: string;
  readonly cluster: string | null;
  readonly method: string | null;
  readonly headers: readonly string[];
}
export interface ReloadOptions extends AdminOptions {
  readonly tokenFile: string | null;
}
export interface DrainOptions extends AdminOptions {
  /** A node, or a cluster when no node has this name; null: the whole of `cluster`. */
  readonly subject: string | null;
  /** Null: found out from the targets, when only one cluster has a node of this name. */
  readonly cluster: string | null;
  readonly tokenFile: string | null;
  readonly wait: boolean;
  readonly timeoutMs: number;
}

export type ParsedArguments =
  | { readonly command: 'run'; readonly options: RunOptions }
  | { readonly command: 'check'; readonly options: CheckOptions }
  | { readonly command: 'schema' }
  | { readonly command: 'demo'; readonly options: DemoOptions }
  | { readonly command: 'targets'; readonly options: TargetsOptions }
  | { readonly command: 'explain'; readonly options: ExplainOptions }
  | { readonly command: 'reload'; readonly options: ReloadOptions }
  | { readonly command: 'drain'; readonly options: DrainOptions }
  | { readonly command: 'undrain'; readonly options: DrainOptions }
  | { readonly command: 'help'; readonly topic: CommandName | null }
  | { readonly command: 'version' }
  /** Exit code 2; `topic` is the command whose help is worth naming. */
  | { readonly command: 'usage'; readonly message: string; readonly topic: CommandName | null };

class UsageError extends Error {}

/** Largest `--timeout`: what a timer can hold. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** @param argv the arguments after the program's name */
export function parseArguments(argv: readonly string[]): ParsedArguments {
  const [first, ...rest] = argv;
  if (first === undefined) return { command: 'usage', message: 'a command is missing', topic: null };
  if (first === '--help' || first === '-h' || first === 'help') {
    const [topic] = rest;
    return { command: 'help', topic: topic !== undefined && isCommand(topic) ? topic : null };
  }
  if (first === '--version' || first === '-V' || first === 'version') return { command: 'version' };
  if (!isCommand(first)) {
    const guess = nearest(first, Object.keys(COMMANDS));
    const hint = guess === null ? '' : `, did you mean ${guess}?`;
    return { command: 'usage', message: `there is no command ${JSON.stringify(first)}${hint}`, topic: null };
  }
  // These two win over anything that is wrong beside them.
  const words = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (words.includes('--help') || words.includes('-h')) return { command: 'help', topic: first };
  if (words.includes('--version') || words.includes('-V')) return { command: 'version' };
  try {
    return readCommand(first, rest);
  } catch (error) {
    if (error instanceof UsageError || isParseArgsError(error)) {
      return { command: 'usage', message: error.message, topic: first };
    }
    throw error;
  }
}

function isParseArgsError(error: unknown): error is Error {
  return (
    error instanceof TypeError &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('ERR_PARSE_ARGS')
  );
}

function readCommand(command: CommandName, words: readonly string[]): ParsedArguments {
  const help: CommandHelp = COMMANDS[command];
  const { values, positionals } = parseArgs({
    args: [...words],
    options: parserOptions([...help.options, ...COMMON_OPTIONS]),
    allowPositionals: true,
    strict: true,
  });
  const given = new Given(values);
  if (positionals.length > help.positionals.length) {
    throw new UsageError(`unexpected argument ${JSON.stringify(positionals[help.positionals.length])}`);
  }
  const required = help.positionals.filter((name) => !name.startsWith('['));
  if (positionals.length < required.length)
    throw new UsageError(`${required[positionals.length]} is missing`);
  const [argument = null] = positionals;
  if (argument === '') throw new UsageError(`${help.positionals[0]} is empty`);
  const admin = { admin: given.text('admin'), json: given.isSet('json') };
  switch (command) {
    case 'run':
      return {
        command,
        options: { config: requireFile(given.text('config')), logLevel: logLevel(given.text('log-level')) },
      };
    case 'check': {
      const config = given.text('config');
      if (argument !== null && config !== null) throw new UsageError('the file is given twice');
      return { command, options: { file: requireFile(argument ?? config), json: admin.json } };
    }
    case 'schema':
      return { command };
    case 'demo':
      return {
        command,
        options: {
          httpPort: port(given.text('http-port'), 'http-port'),
          sshPort: port(given.text('ssh-port'), 'ssh-port'),
          adminPort: port(given.text('admin-port'), 'admin-port'),
          logLevel: logLevel(given.text('log-level')),
        },
      };
    case 'targets':
      return {
        command,
        options: {
          ...admin,
          pool: argument,
          cluster: given.text('cluster'),
          node: given.text('node'),
          service: given.text('service'),
          state: given.text('state'),
          reason: given.text('reason'),
          why: given.isSet('why'),
        },
      };
    case 'explain':
      return { command, options: explainOptions(argument ?? '', given, admin) };
    case 'reload':
      return { command, options: { ...admin, tokenFile: given.text('token-file') } };
    case 'drain':
    case 'undrain': {
      const cluster = given.text('cluster');
      if (argument === null && cluster === null) throw new UsageError('NODE or CLUSTER is missing');
      return {
        command,
        options: {
          ...admin,
          subject: argument,
          cluster,
          tokenFile: given.text('token-file'),
          wait: given.isSet('wait'),
          timeoutMs: duration(given.text('timeout') ?? '10m'),
        },
      };
    }
  }
}

function explainOptions(subject: string, given: Given, admin: AdminOptions): ExplainOptions {
  const method = given.text('method');
  const headers = given.texts('header');
  const isUrl = subject.includes('://');
  if (!isUrl && (method !== null || headers.length > 0)) {
    throw new UsageError('--method and --header belong to a URL, with http:// or https://');
  }
  if (isUrl && given.text('cluster') !== null) throw new UsageError('--cluster belongs to a node or service');
  for (const header of headers) {
    if (!/^[^:\s]+:/.test(header))
      throw new UsageError(`--header ${JSON.stringify(header)} is not NAME:VALUE`);
  }
  return { ...admin, subject, cluster: given.text('cluster'), method, headers };
}

/** The values of node:util with their types made plain. */
class Given {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  isSet(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | null {
    const value = this.#values[name];
    if (typeof value !== 'string') return null;
    if (value === '') throw new UsageError(`--${name} is empty`);
    return value;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
  }
}

function parserOptions(names: readonly string[]): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    OPTIONS.filter((option) => names.includes(option.name)).map((option) => [
      option.name,
      {
        type: option.value === null ? ('boolean' as const) : ('string' as const),
        multiple: option.multiple,
        ...(option.short === null ? {} : { short: option.short }),
      },
    ]),
  );
}

function requireFile(file: string | null): string {
  if (file === null) throw new UsageError('the configuration file is missing: -c FILE');
  return file;
}

function logLevel(level: string | null): LogLevelOption | null {
  if (level === null) return null;
  const known = LOG_LEVELS.find((name) => name === level);
  if (known === undefined) throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(', ')}`);
  return known;
}

function port(text: string | null, name: string): number | null {
  if (text === null) return null;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new UsageError(`--${name} is not a port`);
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function duration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const amount = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (!(amount <= MAX_TIMEOUT_MS)) throw new UsageError('--timeout is a time up to 596h, as 30s, 5m or 1h');
  return amount;
}
