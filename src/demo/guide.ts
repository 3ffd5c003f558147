// The printed guide: commands that a newcomer can paste, in an order that tells the story.

import { LAB_HOST } from './demo-config.ts';

export interface GuideFacts {
  readonly httpPort: number;
  readonly sshPort: number;
  readonly adminPort: number;
  readonly controlUrl: string;
  /** The demo's temporary directory, with config.yaml, kubeconfig and ssh_config. */
  readonly directory: string;
  /** How this Portico's command line is called, such as `node src/portico.js`; pasted as it stands. */
  readonly cli: string;
  readonly nodes: readonly string[];
  readonly hasGit: boolean;
  /** `process.platform`: says why there is only one node where that is so. */
  readonly platform: string;
}

export interface GuideStep {
  readonly title: string;
  readonly command: string;
  /** What the output shows when all is well; with `soon`, after a few seconds of asking again. */
  readonly expect: RegExp;
  readonly soon?: boolean;
  /** Programs that have to be there, beside curl and the shell. */
  readonly needs?: readonly string[];
}

/** Puts a text into one shell word. */
export const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

/** The steps, in order; run one after the other they leave every node serving. */
export function guideSteps(facts: GuideFacts): readonly GuideStep[] {
  const { cli, controlUrl, nodes } = facts;
  const web = `http://127.0.0.1:${facts.httpPort}`;
  const admin = `http://127.0.0.1:${facts.adminPort}`;
  const adminFlag = facts.adminPort === 9901 ? '' : ` --admin ${admin}`;
  const sshConfig = quoted(`${facts.directory}/ssh_config`);
  const kubectl = `kubectl --kubeconfig ${quoted(`${facts.directory}/kubeconfig`)}`;
  const excluded = nodes[1] ?? (nodes[0] as string);
  const killed = nodes[2] ?? (nodes[0] as string);
  const label = 'node.kubernetes.io/exclude-from-external-load-balancers';
  const step = (
    title: string,
    command: string,
    expect: RegExp,
    more: Partial<GuideStep> = {},
  ): GuideStep => ({
    title,
    command,
    expect,
    ...more,
  });
  return [
    step('Ask the site: a pod answers, through one of the nodes', `curl ${web}/`, /Hello from unicorn/, {
      soon: true,
    }),
    step('Another pool by path', `curl ${web}/api/repos`, /Hello from unicorn-api .*GET \/api\/repos/s, {
      soon: true,
    }),
    step('The canary by a header', `curl -H 'X-Canary: always' ${web}/`, /Hello from unicorn-canary/),
    step(
      'A branch environment: a namespace of its own for every branch',
      `curl -H 'Host: fix-login.${LAB_HOST}' ${web}/`,
      /in review-lab-fix-login/,
    ),
    step('SSH, over the TCP listener', `ssh -F ${sshConfig} portico-demo`, /git over SSH.*node-\d/s, {
      needs: ['ssh'],
    }),
    ...(facts.hasGit
      ? [
          step(
            'Clone over SSH',
            `GIT_SSH_COMMAND=${quoted(`ssh -F ${sshConfig}`)} git clone ssh://git@127.0.0.1:${facts.sshPort}/demo.git ${quoted(`${facts.directory}/clone`)}`,
            /Cloning into/,
            { needs: ['git', 'ssh'] },
          ),
        ]
      : []),
    step(
      'Every service on every node, with its state and the reasons',
      `${cli} targets${adminFlag}`,
      /unicorn/,
    ),
    step(
      'Which route, rule, pool and target a request takes',
      `${cli} explain ${web}/api/repos${adminFlag}`,
      /unicorn-api/,
    ),
    step('Take a node out by its label', `curl -X POST ${controlUrl}/nodes/${excluded}/exclude`, /done/),
    step('Why it is out', `${cli} explain ${excluded}${adminFlag}`, /exclude/, { soon: true }),
    step(
      'The same with kubectl, and back in again',
      `${kubectl} label node ${excluded} ${label}-`,
      /labeled/,
      {
        needs: ['kubectl'],
      },
    ),
    step('Back in again without kubectl', `curl -X POST ${controlUrl}/nodes/${excluded}/include`, /done/),
    step('Pull the plug of a node', `curl -X POST ${controlUrl}/nodes/${killed}/kill`, /done/),
    step('See it leave', `${cli} targets unicorn${adminFlag}`, /unhealthy|not-ready/, { soon: true }),
    step('The site still answers', `curl ${web}/`, /Hello from unicorn/, { soon: true }),
    step('Plug it in again', `curl -X POST ${controlUrl}/nodes/${killed}/revive`, /done/),
    step(
      'Replace every pod of the API, one by one',
      `curl -X POST ${controlUrl}/services/github-production/unicorn-api/roll`,
      /every pod replaced/,
    ),
    step(
      'The counters',
      `curl -s ${admin}/metrics | grep portico_http_requests_total`,
      /portico_http_requests_total\{/,
      {
        soon: true,
      },
    ),
  ];
}

/** The guide as text; `colour` marks the commands on a terminal. */
export function printGuide(facts: GuideFacts, colour: boolean): string {
  const [dim, bold, plain] = colour ? ['\x1b[2m', '\x1b[1m', '\x1b[0m'] : ['', '', ''];
  const shared = facts.nodes.length === 1 ? `${oneNode(facts.platform)}\n` : '';
  const steps = guideSteps(facts).map(
    ({ title, command, needs }) =>
      `${dim}# ${title}${needs === undefined ? '' : ` (needs ${needs.join(' and ')})`}${plain}\n${bold}${command}${plain}\n`,
  );
  return `
Portico stands in front of an embedded cluster of ${facts.nodes.join(', ')}.

  HTTP   http://127.0.0.1:${facts.httpPort}
  SSH    127.0.0.1:${facts.sshPort}
  admin  http://127.0.0.1:${facts.adminPort}
  files  ${facts.directory} (config.yaml, kubeconfig, ssh_config, access.log)
${shared}
Paste these into another terminal, in this directory:

${steps.join('\n')}
Ctrl-C ends all of it and removes the files.
`;
}

const oneNode = (platform: string): string => `
Only one node: on ${platform} no loopback address but 127.0.0.1 answers, and a NodePort is the same port on every
node. On Linux, or in a container, the demo has three.`;
