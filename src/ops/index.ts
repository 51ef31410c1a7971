// The registry: a kind of step without an op, or an op of another kind, does not compile.
import type { OpKind, Step } from '../plan/plan.ts';
import { address } from './address.ts';
import { bridge } from './bridge.ts';
import { bundle } from './bundle.ts';
import { cgroup } from './cgroup.ts';
import { containerSysctls } from './container-sysctls.ts';
import { controller } from './controller.ts';
import { dockerUser } from './docker-user.ts';
import { directory } from './directory.ts';
import { file } from './file.ts';
import { layer } from './layer.ts';
import { mountpoints } from './mountpoints.ts';
import { netnsFolder } from './netns-folder.ts';
import { netns } from './netns.ts';
import { nftElement } from './nft-element.ts';
import { nftIngress } from './nft-ingress.ts';
import { nftTable } from './nft-table.ts';
import type { Op } from './op.ts';
import { overlay } from './overlay.ts';
import { privateMount } from './private-mount.ts';
import { process } from './process.ts';
import { sysctl } from './sysctl.ts';
import { veth } from './veth.ts';

const OPS: { readonly [K in OpKind]: Op<K> } = {
  address,
  bridge,
  bundle,
  cgroup,
  'container-sysctls': containerSysctls,
  controller,
  directory,
  'docker-user': dockerUser,
  file,
  layer,
  mountpoints,
  netns,
  'netns-folder': netnsFolder,
  'nft-element': nftElement,
  'nft-ingress': nftIngress,
  'nft-table': nftTable,
  overlay,
  'private-mount': privateMount,
  process,
  sysctl,
  veth,
};

/** The op of a step. The registry ties kinds to ops, so the two fit, though the union has lost which kind it is. */
export function opOf(step: Step): Op<OpKind> {
  return OPS[step.op] as Op<OpKind>;
}
