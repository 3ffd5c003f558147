// The numbers of the world: node ports of its services, and what listens at the edge.

export const NODE_PORTS = {
  unicorn: 30_080,
  api: 30_081,
  /** The same pods by services of the type that Traefik's nodePortLB takes. */
  apiPlain: 30_082,
  ssh: 30_022,
  sshPlain: 30_023,
  late: 30_090,
  other: 30_091,
  shares: 30_092,
  healthCheck: 30_200,
  apiHealthCheck: 30_201,
};
/** Free in a namespace of its own. */
export const EDGE_PORTS = { web: 8080, ssh: 2222, admin: 9901 };
/** Where the front to the API server listens, for Portico alone. */
export const FRONT_PORT = 16_443;
export const HTTP_PORT = { name: 'http', number: 80 } as const;
export const SSH_PORT = { name: 'ssh', number: 22 } as const;
