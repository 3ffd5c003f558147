// The command line: chooses the role or command of this process and sets its exit code.

import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from './cli/command-table.ts';
import { type DemoOptions, LOG_LEVELS, parseArguments, type RunOptions } from './cli/parse-arguments.ts';
import { type CliIo, usesColour } from './cli/terminal.ts';
import { COMPILE_ONLY, compile } from './supervisor/compile.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { createLogger, type LoggerOptions } from './telemetry/logger.ts';
import { createProcessLog, type ProcessLog } from './telemetry/process-log.ts';

const VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** @param entry the file that child processes run */
export async function main(argv: readonly string[], entry: string): Promise<void> {
  const [role, ...rest] = argv;
  if (role === '--role=worker') return startWorker(rest[0] ?? 'info');
  if (role === '--role=controller') return startController(rest[0] ?? '', rest[1] ?? null);
  if (role === '--role=compile') {
    process.exitCode = await compile(process.execPath, entry);
    return;
  }
  const code = await runCommand(argv, entry);
  process.exitCode = code;
  // What had children and sockets ends at once: Node's own clean-up was seen to wait for ever for a handle that never
  // closes, on a core of its own.
  if (role === 'run' || role === 'demo') {
    await written(process.stdout);
    await written(process.stderr);
    process.exit(code);
  }
}

/** All that was written so far is out, or nobody reads it any more. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    // A full disk is no reason to end with an error.
    stream.on('error', () => resolve());
    stream.write('', () => resolve());
  });
}

type LogLevel = LoggerOptions['level'];

/** Levels come from our own supervisor; anything else is taken for the default. */
function levelOf(text: string): LogLevel {
  return LOG_LEVELS.find((level) => level === text) ?? 'info';
}

// Each role loads its own code only: a worker has no use for the libraries of the controller.

async function startWorker(level: string): Promise<void> {
  const { runWorker } = await import('./proxy/run-worker.ts');
  if (level === COMPILE_ONLY) return;
  const lines = createProcessLog();
  const { destination } = lines;
  const log = createLogger({ level: levelOf(level), role: 'worker', pid: process.pid, destination });
  runWorker(log, lines);
}

/** @param level given on the command line; null follows the configuration */
async function startController(configPath: string, level: string | null): Promise<void> {
  const { runController } = await import('./control/run-controller.ts');
  if (configPath === COMPILE_ONLY) return;
  const lines = createProcessLog();
  const log = createLogger({
    level: levelOf(level ?? 'info'),
    role: 'controller',
    pid: process.pid,
    destination: lines.destination,
  });
  runController({
    configPath,
    log,
    lines,
    version: VERSION,
    setLogLevel: (wanted) => {
      if (level === null) log.level = wanted;
    },
  });
}

async function runCommand(argv: readonly string[], entry: string): Promise<number> {
  const parsed = parseArguments(argv);
  if (parsed.command === 'run') return run(parsed.options, entry);
  const io = processIo();
  if (parsed.command === 'demo') return demo(parsed.options, entry, io);
  const commands = await import('./cli/commands.ts');
  switch (parsed.command) {
    case 'check':
      return commands.check(
        parsed.options,
        io,
        (await import('./control/discovery/credential-files.ts')).kubeconfigFault,
      );
    case 'schema':
      return commands.schema(io);
    case 'targets':
      return commands.targets(parsed.options, io);
    case 'explain':
      return commands.explain(parsed.options, io);
    case 'reload':
      return commands.reload(parsed.options, io);
    case 'drain':
    case 'undrain':
      return (await import('./cli/drain-commands.ts'))[parsed.command](parsed.options, io);
    case 'help':
      return commands.help(parsed.topic, io);
    case 'version':
      io.stdout(`portico ${VERSION} (node ${process.version})\n`);
      return EXIT.ok;
    case 'usage':
      return commands.usage(parsed.message, parsed.topic, io);
  }
}

async function run(options: RunOptions, entry: string): Promise<number> {
  const { supervisor, lines } = createSupervisor(options.config, options.logLevel, entry);
  const code = supervisor.run();
  process.on('SIGTERM', () => supervisor.stop());
  process.on('SIGINT', () => supervisor.stop());
  process.on('SIGHUP', () => supervisor.reload());
  process.on('SIGUSR1', () => supervisor.reopenLogs());
  process.on('SIGUSR2', () => supervisor.replaceAll());
  const ended = await code;
  await lines.close();
  return ended;
}

function createSupervisor(
  configPath: string,
  logLevel: RunOptions['logLevel'],
  entry: string,
): { readonly supervisor: Supervisor; readonly lines: ProcessLog } {
  const lines = createProcessLog();
  const supervisor = new Supervisor({
    entry,
    configPath,
    logLevel,
    workers: null,
    drainTimeoutMs: 30_000,
    log: createLogger({
      level: logLevel ?? 'info',
      role: 'supervisor',
      pid: process.pid,
      destination: lines.destination,
    }),
    report: lines.report,
    lostLines: () => lines.lost,
  });
  return { supervisor, lines };
}

/** Portico in front of the embedded cluster, in this process and its children, until Ctrl-C. */
async function demo(options: DemoOptions, entry: string, io: CliIo): Promise<number> {
  const { runDemo } = await import('./demo/demo.ts');
  const ended = Promise.withResolvers<number>();
  const stop = (): void => ended.resolve(EXIT.ok);
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    const running = await runDemo(
      {
        ...(options.httpPort === null ? {} : { httpPort: options.httpPort }),
        ...(options.sshPort === null ? {} : { sshPort: options.sshPort }),
        ...(options.adminPort === null ? {} : { adminPort: options.adminPort }),
      },
      {
        write: io.stdout,
        colour: usesColour(io, 'stdout'),
        cli: `npx portico`,
        temporaryDirectory: tmpdir(),
        platform: process.platform,
        path: process.env['PATH'],
        random: Math.random,
        now: Date.now,
        startPortico: (configPath) => startInside(configPath, options.logLevel, entry, ended.resolve),
      },
    );
    const code = await ended.promise;
    await running.close();
    return code;
  } catch (error) {
    io.stderr(`portico: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.failed;
  }
}

async function startInside(
  configPath: string,
  logLevel: DemoOptions['logLevel'],
  entry: string,
  onExit: (code: number) => void,
): Promise<{ close(): Promise<void> }> {
  const { supervisor, lines } = createSupervisor(configPath, logLevel ?? 'error', entry);
  const code = supervisor.run();
  void code.then(onExit);
  const ready = supervisor.whenServing();
  const failed = await Promise.race([ready.then(() => null), code]);
  if (failed !== null) throw new Error(`Portico ended with exit code ${failed} before it was ready`);
  return {
    close: async () => {
      supervisor.stop();
      await code;
      await lines.close();
    },
  };
}

function processIo(): CliIo {
  // Nobody is left to be told when the complaints themselves cannot be written.
  process.stderr.on('error', () => {});
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    // A reader that has seen enough, as `head`.
    if (code === 'EPIPE') return;
    process.stderr.write(`portico: the output cannot be written: ${code}\n`);
    process.exit(EXIT.failed);
  });
  return {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    env: process.env,
    isTerminal: { stdout: process.stdout.isTTY === true, stderr: process.stderr.isTTY === true },
    now: () => performance.now(),
    wallClock: () => Date.now(),
    sleep: (ms) => sleep(ms),
  };
}
