// The configuration file that the demo runs Portico with: one to read, and to begin from.

export interface DemoConfigOptions {
  readonly httpPort: number;
  readonly sshPort: number;
  readonly adminPort: number;
  /** Where the nodes answer kube-proxy's `/healthz`. */
  readonly kubeProxyPort: number;
}

/** Host name of the demo's site; `*.localhost` is loopback to most clients (RFC 6761, section 6.3). */
export const SITE_HOST = 'github.localhost';
/** Suffix of the branch environments. */
export const LAB_HOST = 'review-lab.localhost';

/** The YAML text; relative paths in it are beside the file. */
export const demoConfig = (
  options: DemoConfigOptions,
): string => `# Written by \`portico demo\`. Change it and save: Portico takes it over with \`kill -HUP\` or POST /reload.

clusters:
  - name: demo
    kubeconfig: { path: ./kubeconfig }
    kubeProxy: { port: ${options.kubeProxyPort}, interval: 1s }

listeners:
  - { name: web, bind: "127.0.0.1:${options.httpPort}", protocol: http }
  - { name: git-ssh, bind: "127.0.0.1:${options.sshPort}", protocol: tcp, pool: git-ssh }

pools:
  - name: unicorn
    sources: [{ cluster: demo, service: github-production/unicorn, port: http }]
    health: { http: { path: /_ping }, interval: 1s, fall: 2 }
  # externalTrafficPolicy Local: only the nodes that host a pod take part, by the number of their pods.
  - name: unicorn-api
    sources: [{ cluster: demo, service: github-production/unicorn-api, port: http }]
    health: { http: { path: /_ping }, interval: 1s, fall: 2 }
  - name: unicorn-canary
    sources: [{ cluster: demo, service: github-production/unicorn-canary, port: http }]
    health: { http: { path: /_ping }, interval: 1s, fall: 2 }
  # The same client reaches the same node, whichever Portico it comes through.
  - name: git-ssh
    sources: [{ cluster: demo, service: git-production/ssh, port: ssh }]
    policy: { name: rendezvous, key: source-ip }
    health: { ssh: {}, interval: 1s, fall: 2 }

routes:
  - name: github
    hosts: [${SITE_HOST}, "*"]
    rules:
      - name: canary
        matches: [{ headers: [{ name: X-Canary, exact: always }] }]
        pools: [{ name: unicorn-canary }]
      - name: api
        matches: [{ path: { prefix: /api } }]
        pools: [{ name: unicorn-api }]
      - name: site
        pools: [{ name: unicorn, weight: 95 }, { name: unicorn-canary, weight: 5 }]
  # A namespace for every branch.
  - name: review-lab
    hosts: ["{branch}.${LAB_HOST}"]
    rules:
      - service: { cluster: demo, name: "review-lab-{branch}/unicorn", port: http }

admin: { bind: "127.0.0.1:${options.adminPort}" }

log:
  level: warn
  access: { path: ./access.log }
`;
