// A sysctl of the host. Its former value comes back with its last user, unless others that came since need it as it is.
import { findForwarders } from '../host/forwarders.ts';
import type { Host } from '../host/host.ts';
import { createKernelView, type KernelView, type LinkState } from '../host/kernel-view.ts';
import { isOwned } from '../names.ts';
import type { Before, Op } from './op.ts';
import { quote } from './shell.ts';

const IP_FORWARD = 'net.ipv4.ip_forward';
const IP6_FORWARD = 'net.ipv6.conf.all.forwarding';
const CONF6 = '/proc/sys/net/ipv6/conf';

export const sysctl: Op<'sysctl'> = {
  describe: (step) => `sysctl ${step.key} = ${step.value}`,

  async probe({ host }, step) {
    const found = (await host.readText(sysctlPath(step.key)))?.trim();
    if (found === step.value) return { state: 'present' };
    return {
      state: 'drifted',
      inPlace: true,
      differences: [{ property: step.key, wanted: step.value, found: found ?? 'missing' }],
    };
  },

  async before({ host, view }, step) {
    const value = (await host.readText(sysctlPath(step.key)))?.trim() ?? '';
    const forwarders = value === step.value ? [] : await findOthers(host, view, step.key);
    return {
      value,
      // Forwarders that were there before got on without the sysctl, so revert does not keep it for them.
      ...(forwarders.length === 0 ? {} : { forwarders: forwarders.join(', ') }),
      ...(await readValues(host, await companionsOf(host, step.key))),
    };
  },

  async apply({ host, view }, step, before) {
    if (step.key === IP6_FORWARD) await keepRouterAdvertisements(host, await view.links());
    const path = sysctlPath(step.key);
    const former = before['value'];
    // After two runspecs put the sysctl back at once, it may be set without its companions, which the kernel sets on a
    // change only: then the former value is written first.
    const values = Object.entries(await readValues(host, await companionsOf(host, step.key)));
    const isAlone = values.some(([one, value]) => one.endsWith('/forwarding') && value !== step.value);
    const isThere = isAlone && (await host.readText(path))?.trim() === step.value;
    if (isThere && former !== undefined) await host.writeInPlace(path, String(former));
    await host.writeInPlace(path, step.value);
  },

  async update(context, step, _former, before) {
    await sysctl.apply(context, step, before);
  },

  async whyKept({ host, view }, step, before) {
    const former = before['value'];
    const found = (await host.readText(sysctlPath(step.key)))?.trim();
    if (former === undefined || found === undefined || found === former) return undefined;
    if (found !== step.value) return `someone set it to ${found} since`;
    const others = await findNewcomers(host, view, step.key, before);
    if (others.length === 0) return undefined;
    return `${others.join(', ')} came since and may need it; else: sysctl -w ${step.key}=${former}`;
  },

  async revert(context, step, before) {
    const { host } = context;
    const former = before['value'];
    if (former === undefined || former === step.value) return { outcome: 'gone' };
    const found = (await host.readText(sysctlPath(step.key)))?.trim();
    if (found === undefined) return { outcome: 'gone' };
    const reason = await sysctl.whyKept?.({ ...context, view: createKernelView(host) }, step, before);
    if (reason !== undefined)
      return { outcome: 'kept', reason, ...(found === step.value ? { foreign: true } : {}) };
    if (found !== former) await host.writeInPlace(sysctlPath(step.key), String(former));
    // A kill may have come between the sysctl and its companions, when they were set or put back.
    const isRestored = await restoreCompanions(host, before);
    return { outcome: found === former && !isRestored ? 'gone' : 'removed' };
  },

  toShell: (step) => [
    ...(step.key === IP6_FORWARD ? KEEP_ADVERTISEMENTS : []),
    `echo ${quote(step.value)} > ${quote(sysctlPath(step.key))}`,
  ],
};

/** Programs that may need the sysctl; only forwarding has such. */
async function findOthers(
  host: Host,
  view: Pick<KernelView, 'links' | 'engines'>,
  key: string,
): Promise<readonly string[]> {
  if (key === IP_FORWARD) return findForwarders(host, view, 'inet');
  return key === IP6_FORWARD ? findForwarders(host, view, 'inet6') : [];
}

/** Those who found it set, and would never know that it is not any more. */
async function findNewcomers(
  host: Host,
  view: Pick<KernelView, 'links' | 'engines'>,
  key: string,
  before: Before,
): Promise<readonly string[]> {
  const known = String(before['forwarders'] ?? '').split(', ');
  const found = await findOthers(host, view, key);
  return found.filter((one) => !known.includes(one));
}

function sysctlPath(key: string): string {
  return `/proc/sys/${key.replaceAll('.', '/')}`;
}

// Writing ip_forward also sets conf/*/forwarding and all/accept_redirects (devinet.c, inet_forward_change): a hardened
// host would come back softer if only ip_forward were put back. IPv6 does the same (addrconf.c).
async function companionsOf(host: Host, key: string): Promise<readonly string[]> {
  if (key === IP_FORWARD) {
    const folder = '/proc/sys/net/ipv4/conf';
    const names = (await host.list(folder)) ?? [];
    return [`${folder}/all/accept_redirects`, ...names.map((name) => `${folder}/${name}/forwarding`)];
  }
  if (key !== IP6_FORWARD) return [];
  const names = (await host.list(CONF6)) ?? [];
  return names.flatMap((name) => [`${CONF6}/${name}/forwarding`, `${CONF6}/${name}/accept_ra`]);
}

async function readValues(host: Host, paths: readonly string[]): Promise<Before> {
  const values = await Promise.all(
    paths.map(async (path) => [path, (await host.readText(path))?.trim()] as const),
  );
  return Object.fromEntries(values.flatMap(([path, value]) => (value === undefined ? [] : [[path, value]])));
}

/**
 * A host that forwards ignores router advertisements and drops the default routes it has from them, unless accept_ra is
 * 2 (addrconf.c, rt6_purge_dflt_routers). So links that accept them now get a 2.
 */
async function keepRouterAdvertisements(host: Host, links: readonly LinkState[]): Promise<void> {
  for (const { name, alias } of links) {
    // Links to containers are left out: no container is the host's router.
    if (name === 'lo' || isOwned(alias)) continue;
    const [accept, forwarding] = await Promise.all(
      ['accept_ra', 'forwarding'].map(async (file) =>
        (await host.readText(`${CONF6}/${name}/${file}`))?.trim(),
      ),
    );
    if (accept === '1' && forwarding === '0') await host.writeInPlace(`${CONF6}/${name}/accept_ra`, '2');
  }
}

/** Shell form of keepRouterAdvertisements: a script meets no bridge of ours. */
const KEEP_ADVERTISEMENTS: readonly string[] = [
  `for conf in ${CONF6}/*; do`,
  '  case "${conf##*/}" in all | default | lo) continue ;; esac',
  '  if [ "$(cat "$conf/accept_ra") $(cat "$conf/forwarding")" = "1 0" ]; then echo 2 > "$conf/accept_ra"; fi',
  'done',
];

/** @returns whether anything was not as before. */
async function restoreCompanions(host: Host, before: Before): Promise<boolean> {
  let isRestored = false;
  for (const [path, value] of Object.entries(before)) {
    if (!path.startsWith('/')) continue;
    const found = (await host.readText(path))?.trim();
    // An interface that is gone has nothing to restore, and an accept_ra other than 2 was not set by runspec.
    if (found === undefined || found === value || (path.endsWith('/accept_ra') && found !== '2')) continue;
    await host.writeInPlace(path, String(value));
    isRestored = true;
  }
  return isRestored;
}
