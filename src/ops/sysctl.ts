// A sysctl of the host. Its former value comes back with its last user.
import type { Host } from '../host/host.ts';
import type { Before, Op } from './op.ts';
import { quote } from './shell.ts';

const IP_FORWARD = 'net.ipv4.ip_forward';

export const sysctl: Op<'sysctl'> = {
  describe: (step) => `sysctl ${step.key} = ${step.value}`,

  async probe({ host }, step) {
    const found = (await host.readText(sysctlPath(step.key)))?.trim();
    if (found === step.value) return { state: 'present', owned: true };
    return {
      state: 'drifted',
      inPlace: true,
      differences: [{ property: step.key, wanted: step.value, found: found ?? 'missing' }],
    };
  },

  async before({ host }, step) {
    const value = (await host.readText(sysctlPath(step.key)))?.trim() ?? '';
    return { value, ...(step.key === IP_FORWARD ? await readForwardingCompanions(host) : {}) };
  },

  async apply({ host }, step) {
    await host.writeInPlace(sysctlPath(step.key), step.value);
  },

  async update({ host }, step) {
    await host.writeInPlace(sysctlPath(step.key), step.value);
  },

  async revert({ host }, step, before) {
    const former = before['value'];
    if (former === undefined || former === step.value) return { outcome: 'gone' };
    const found = (await host.readText(sysctlPath(step.key)))?.trim();
    if (found === undefined || found === former) return { outcome: 'gone' };
    if (found !== step.value) return { outcome: 'kept', reason: `someone set it to ${found} since` };
    await host.writeInPlace(sysctlPath(step.key), String(former));
    await restoreCompanions(host, before);
    return { outcome: 'removed' };
  },

  toShell: (step) => [`echo ${quote(step.value)} > ${quote(sysctlPath(step.key))}`],
};

function sysctlPath(key: string): string {
  return `/proc/sys/${key.replaceAll('.', '/')}`;
}

// Writing ip_forward also sets conf/*/forwarding and all/accept_redirects (devinet.c, inet_forward_change):
// a hardened host would come back softer if only ip_forward were put back.
async function readForwardingCompanions(host: Host): Promise<Before> {
  const folder = '/proc/sys/net/ipv4/conf';
  const paths = [
    `${folder}/all/accept_redirects`,
    ...((await host.list(folder)) ?? []).map((name) => `${folder}/${name}/forwarding`),
  ];
  const values = await Promise.all(
    paths.map(async (path) => [path, (await host.readText(path))?.trim()] as const),
  );
  return Object.fromEntries(values.flatMap(([path, value]) => (value === undefined ? [] : [[path, value]])));
}

async function restoreCompanions(host: Host, before: Before): Promise<void> {
  for (const [path, value] of Object.entries(before)) {
    if (!path.startsWith('/')) continue;
    const found = (await host.readText(path))?.trim();
    // An interface that is gone has nothing to restore.
    if (found !== undefined && found !== value) await host.writeInPlace(path, String(value));
  }
}
