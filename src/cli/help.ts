// Help texts, made from the table of commands.

import { COMMANDS, COMMON_OPTIONS, type CommandHelp, type CommandName, OPTIONS } from './command-table.ts';

const EXIT_CODES = `Exit codes:
  0  done
  1  failed: invalid configuration, refused, not found, not reachable, or not drained in time
  2  the command line is wrong
`;

const ENVIRONMENT = `Environment:
  PORTICO_ADMIN        admin address, when --admin is not given
  PORTICO_ADMIN_TOKEN  admin token, when --token-file is not given
  NO_COLOR             when set and not empty: no colour
`;

/** The help of one command, or of the whole program. */
export function helpText(command: CommandName | null): string {
  return command === null ? programHelp() : commandHelp(command, COMMANDS[command]);
}

/** Commands whose first example stands in the help of the program. */
const EXAMPLES_OF = ['run', 'check', 'targets', 'explain', 'drain'] as const;

function programHelp(): string {
  const commands = Object.entries(COMMANDS).map(([name, { about }]): [string, string] => [name, about]);
  const examples = EXAMPLES_OF.flatMap((name) => firstExample(COMMANDS[name]));
  return `Portico: edge load balancer and NodePort router for Kubernetes.

Usage: portico COMMAND [ARGUMENTS] [OPTIONS]

Commands:
${rows(commands)}
Options:
${rows(optionRows(COMMON_OPTIONS))}
${ENVIRONMENT}
${EXIT_CODES}
Examples:
${rows(examples.map(({ line, about }) => [line, about]))}
\`portico COMMAND --help\` says more of a command.
`;
}

const firstExample = ({ examples }: CommandHelp): CommandHelp['examples'] => examples.slice(0, 1);

function commandHelp(name: CommandName, help: CommandHelp): string {
  const usage = ['portico', name, ...help.positionals, '[OPTIONS]'].join(' ');
  return `${help.about}.

Usage: ${usage}

Options:
${rows(optionRows([...help.options, ...COMMON_OPTIONS]))}
Examples:
${rows(help.examples.map(({ line, about }) => [line, about]))}
${EXIT_CODES}`;
}

function optionRows(names: readonly string[]): [string, string][] {
  return OPTIONS.filter((option) => names.includes(option.name)).map((option) => [
    `${option.short === null ? '    ' : `-${option.short}, `}--${option.name}${option.value === null ? '' : ` ${option.value}`}`,
    option.about,
  ]);
}

function rows(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.min(44, Math.max(...pairs.map(([left]) => left.length)));
  return pairs
    .map(([left, right]) =>
      left.length > width
        ? `  ${left}\n  ${' '.repeat(width)}  ${right}\n`
        : `  ${left.padEnd(width)}  ${right}\n`,
    )
    .join('');
}
