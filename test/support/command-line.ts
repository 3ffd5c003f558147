// What the npm scripts of this repository do with their command line: `--help`, their options, and one line on what is wrong with them.

import process from 'node:process';
import { type ParseArgsConfig, parseArgs } from 'node:util';

const EXIT_USAGE = 2;
const HELP = { help: { type: 'boolean', short: 'h', default: false } } as const;

/**
 * The options of an npm script. Ends the process with the usage for `--help`, and as `wrongUsage` does for what the
 * script does not take. Called before anything is started.
 */
export function readOptions<const Config extends ParseArgsConfig>(
  script: string,
  usage: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  const options = { ...config.options, ...HELP };
  try {
    const read = parseArgs({ ...config, options });
    if ((read.values as { readonly help?: unknown }).help === true) {
      process.stdout.write(usage);
      process.exit(0);
    }
    return read as ReturnType<typeof parseArgs<Config>>;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // What Node says in the first sentence; the others are on how it parses.
    return wrongUsage(script, error.message.split(/\.\s|\n/)[0]!);
  }
}

/** Ends the process with one line on stderr and exit code 2. */
export function wrongUsage(script: string, why: string): never {
  const run = script === 'test' ? 'npm test' : `npm run ${script}`;
  process.stderr.write(`${script}: ${why.replace(/\.$/, '')}; see ${run} -- --help\n`);
  process.exit(EXIT_USAGE);
}
