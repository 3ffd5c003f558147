// The one table of commands: arguments, options and help, from which parsing and every help text are made.

export interface OptionHelp {
  readonly name: string;
  readonly short: string | null;
  /** Name of the value in the help; null for a switch. */
  readonly value: string | null;
  readonly multiple: boolean;
  /** One sentence without a full stop. */
  readonly about: string;
}

export interface CommandHelp {
  /** Positional arguments as the help shows them; `[X]` may be left out. */
  readonly positionals: readonly string[];
  readonly about: string;
  readonly options: readonly string[];
  readonly examples: readonly { readonly line: string; readonly about: string }[];
}

const option = (
  name: string,
  about: string,
  value: string | null = null,
  short: string | null = null,
  multiple = false,
): OptionHelp => ({ name, short, value, multiple, about });

export const OPTIONS: readonly OptionHelp[] = [
  option('config', 'Configuration file', 'FILE', 'c'),
  option('log-level', 'debug, info, warn, error or silent; overrides the configuration', 'LEVEL'),
  option('admin', 'Admin address of the running Portico; default http://127.0.0.1:9901', 'URL|unix:PATH'),
  option('token-file', 'File with the admin token; default the token in PORTICO_ADMIN_TOKEN, if any', 'FILE'),
  option('cluster', 'Name of the cluster', 'NAME'),
  option('node', 'Name of a node', 'NAME'),
  option('service', 'A service, as namespace/name', 'NAMESPACE/NAME'),
  option('state', 'filling, active, draining or excluded', 'STATE'),
  option('reason', 'Code of a reason', 'CODE'),
  option('why', 'Print reasons in words, since when, by which object version, and what would change them'),
  option('method', 'Method of the request to explain; default GET', 'METHOD'),
  option('header', 'A header of the request to explain; can be repeated', 'NAME:VALUE', null, true),
  option('wait', 'Return only when nothing is left on it'),
  option('timeout', 'Longest wait, as 30s, 5m or 1h; default 10m', 'TIME'),
  option('http-port', 'Port of the HTTP listener on 127.0.0.1; default 8080', 'PORT'),
  option('ssh-port', 'Port of the SSH listener on 127.0.0.1; default 2222', 'PORT'),
  option('admin-port', 'Port of the admin HTTP on 127.0.0.1; default 9901', 'PORT'),
  option('json', 'Print JSON for scripts instead of text'),
  option('help', 'Print this help', null, 'h'),
  option('version', 'Print the version', null, 'V'),
];

/** Options that every command takes. */
export const COMMON_OPTIONS = ['help', 'version'] as const;

export const COMMANDS = {
  run: {
    positionals: [],
    about: 'Serve traffic until SIGTERM or SIGINT; SIGHUP reloads',
    options: ['config', 'log-level'],
    examples: [{ line: 'portico run -c /etc/portico/portico.yaml', about: 'serve' }],
  },
  check: {
    positionals: ['[FILE]'],
    about: 'Read a configuration and report every problem in it; binds nothing',
    options: ['config', 'json'],
    examples: [
      { line: 'portico check portico.yaml', about: 'exit 0 when it is valid, 1 with the problems otherwise' },
    ],
  },
  schema: {
    positionals: [],
    about: 'Print the JSON Schema of the configuration, for editors',
    options: [],
    examples: [{ line: 'portico schema > portico.schema.json', about: 'keep it beside the configuration' }],
  },
  demo: {
    positionals: [],
    about: 'Run Portico in front of a small embedded cluster, with commands to try',
    options: ['http-port', 'ssh-port', 'admin-port', 'log-level'],
    examples: [{ line: 'portico demo --http-port 18080', about: 'on another port' }],
  },
  targets: {
    positionals: ['[POOL]'],
    about: 'List every target with its state and the reasons for it',
    options: ['cluster', 'node', 'service', 'state', 'reason', 'why', 'admin', 'json'],
    examples: [
      { line: 'portico targets', about: 'all pools' },
      {
        line: 'portico targets unicorn --why',
        about: 'with the reasons in words, and what would change them',
      },
      { line: 'portico targets --state excluded --reason no-address', about: 'what is out for one reason' },
      { line: 'portico targets unicorn --json', about: 'one pool, for a script' },
    ],
  },
  explain: {
    positionals: ['NODE|SERVICE|URL'],
    about: 'Say why a node or service is in or out of a pool, or which way a request takes',
    options: ['cluster', 'method', 'header', 'admin', 'json'],
    examples: [
      { line: 'portico explain worker-3', about: 'a node' },
      { line: 'portico explain github-production/unicorn', about: 'a service, as namespace/name' },
      {
        line: "portico explain https://github.example.com/api --method POST --header 'X-Beta: 1'",
        about: 'a request',
      },
    ],
  },
  reload: {
    positionals: [],
    about: 'Make the running Portico read its configuration anew',
    options: ['admin', 'token-file', 'json'],
    examples: [{ line: 'portico reload --admin unix:/run/portico/admin.sock', about: 'over a UNIX socket' }],
  },
  drain: {
    positionals: ['[NODE|CLUSTER]'],
    about: 'Start no new flow on a node or a whole cluster',
    options: ['cluster', 'wait', 'timeout', 'admin', 'token-file', 'json'],
    examples: [
      { line: 'portico drain worker-3 --cluster iad --wait', about: 'return when nothing is left on it' },
      { line: 'portico drain iad --wait --timeout 60s', about: 'a whole cluster, for 60 seconds at most' },
    ],
  },
  undrain: {
    positionals: ['[NODE|CLUSTER]'],
    about: 'End the drain of a node or a whole cluster',
    options: ['cluster', 'admin', 'token-file', 'json'],
    examples: [{ line: 'portico undrain worker-3 --cluster iad', about: 'use it again' }],
  },
} as const satisfies Record<string, CommandHelp>;

export type CommandName = keyof typeof COMMANDS;

export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
