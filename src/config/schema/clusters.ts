// Schema of `clusters`: where Portico learns nodes and services.

import { z } from 'zod';
import { parseLabelSelector } from '../label-selector.ts';
import { Refusal } from '../refusal.ts';
import { duration, exactlyOne, filePath, integer, name, refuse, share, text } from './scalars.ts';

const kubeconfig = z.strictObject({
  path: filePath().describe('File with the credentials; relative to the configuration file.'),
  context: z
    .string()
    .max(512)
    .optional()
    .describe("Context of the file; without it, the file's current context."),
});

const families = z
  .array(z.enum(['ipv4', 'ipv6']))
  .min(1)
  .max(2)
  .superRefine((list, ctx) => {
    if (list.length > 1 && list[0] === list[1]) {
      refuse(
        ctx,
        new Refusal('duplicate', `the family ${list[0]} stands twice`, 'Name each family once.'),
        [1],
      );
    }
  });

const nodes = z.strictObject({
  selector: text(parseLabelSelector)
    .optional()
    .describe('Kubernetes label selector, equality and set forms; without it, every node.'),
  address: z
    .enum(['InternalIP', 'ExternalIP', 'Hostname'])
    .default('InternalIP')
    .describe("Which of a node's addresses is used."),
  families: families.default(['ipv4']).describe('Address families wanted, in order of preference.'),
  ignoreExcludeLabel: z
    .boolean()
    .default(false)
    .describe(
      'Let nodes with the label `node.kubernetes.io/exclude-from-external-load-balancers` take part.',
    ),
});

const kubeProxy = z.strictObject({
  healthz: z.boolean().default(true).describe("Probe kube-proxy's `/healthz` once for each node."),
  port: integer(1, 65_535).default(10_256).describe('Port of that probe.'),
  interval: duration({ min: 100 }).prefault('2s').describe('Time between two probes of a node.'),
  timeout: duration({ min: 10 }).prefault('1s').describe('A probe without an answer by then has failed.'),
});

export const clusterSchema = z
  .strictObject({
    name: name().describe('Name that sources refer to.'),
    kubeconfig: kubeconfig
      .optional()
      .describe('Credentials from a kubeconfig file. Exactly one of `kubeconfig` and `inCluster`.'),
    inCluster: z
      .boolean()
      .default(false)
      .describe('Use the service account of the pod that Portico runs in.'),
    nodes: nodes.prefault({}).describe('Which nodes take part, and by which address.'),
    kubeProxy: kubeProxy
      .prefault({})
      .describe('The node-level health check that all pools of the cluster share.'),
    maxRemovedShare: share()
      .default(0.5)
      .describe("Largest share of a pool's targets that one step may remove without the probes' agreement."),
  })
  .superRefine((cluster, ctx) => {
    const given = { kubeconfig: cluster.kubeconfig, inCluster: cluster.inCluster || undefined };
    exactlyOne(given, ['kubeconfig', 'inCluster'], `the cluster ${cluster.name}`, ctx);
  });
