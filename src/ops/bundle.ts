// The OCI bundle's config.json: the plan's template completed with what only the mounted root and the
// running machine can tell. The file says in annotations what it was made from, so that a change of
// either is found without making it again.
import { sha256 } from '../crypto.ts';
import type { Host } from '../host/host.ts';
import type { BundleStep } from '../plan/plan.ts';
import { completeConfig } from '../runtime/complete-config.ts';
import { findNamespace, JOINED, NAMESPACE_FILES, readNamed } from '../runtime/joined-namespaces.ts';
import { parseConfig } from '../runtime/read-config.ts';
import type { OciConfig } from '../oci/runtime-spec.ts';
import type { Difference, Op, OpContext } from './op.ts';
import { comment, hereDocument, quote } from './shell.ts';

const TEMPLATE = 'runspec.template';
const WRITTEN = 'runspec.written';

export const bundle: Op<'bundle'> = {
  describe: (step) => `OCI bundle ${step.path}/config.json`,

  async probe({ host, dataDir }, step) {
    const text = await host.readText(configPath(step));
    if (text === undefined) return { state: 'absent' };
    const config = parseConfig(text);
    if (config === undefined || config.annotations[WRITTEN] !== digest(seal(config, ''))) {
      return drifted([{ property: 'config.json', wanted: 'as runspec wrote it', found: 'edited' }]);
    }
    if (config.annotations[TEMPLATE] !== (await digestOfTemplate(host, step))) {
      return drifted([{ property: 'configuration', wanted: 'of this spec', found: 'of a former one' }]);
    }
    const strays = [
      ...(await compareJoined({ host, dataDir }, step, config)),
      ...(await compareNamed(host, step, config)),
    ];
    if (strays.length === 0) return { state: 'present' };
    const differences = strays.map(({ difference }) => difference);
    return { ...drifted(differences), leaves: strays.map(({ type }) => type) };
  },

  async check(context, step, { layers }) {
    await completeConfig(context, step, layers);
  },

  async apply(context, step) {
    const { host } = context;
    await host.makeDirectory(step.path, { mode: 0o700 });
    const config = await completeConfig(context, step);
    const annotations = {
      ...config.annotations,
      [TEMPLATE]: await digestOfTemplate(host, step),
      [WRITTEN]: '',
    };
    const unsealed = { ...config, annotations };
    const text = JSON.stringify(seal(unsealed, digest(unsealed)));
    await host.writeAtomic(configPath(step), `${text}\n`, { mode: 0o600, sync: false });
  },

  async revert({ host }, step) {
    const removed = await host.removeFile(configPath(step));
    const left = await host.list(step.path);
    if (left?.length === 0) await host.removeDirectory(step.path);
    return { outcome: removed ? 'removed' : 'gone' };
  },

  toShell,
};

function toShell(step: BundleStep): readonly string[] {
  const { linux, ...config } = step.config as OciConfig;
  const joined = step.join.map(({ type, container }) => ({
    type,
    path: `/proc/@${container}@/ns/${NAMESPACE_FILES[type] ?? type}`,
  }));
  const whole = { ...config, linux: { ...linux, namespaces: [...linux.namespaces, ...joined] } };
  const owners = [...new Set(step.join.map(({ container }) => container))];
  const text = JSON.stringify(whole, undefined, 2);
  return [
    `mkdir -p -m 700 ${quote(step.path)}`,
    ...userComments(step),
    ...(step.seccomp === 'unconfined'
      ? []
      : [comment(`left out here: linux.seccomp, the filter ${quote(step.seccomp)}; runspec adds it`)]),
    ...hereDocument(['tee', configPath(step)], text).map((line, index) =>
      index === 0 ? `${line} >/dev/null` : line,
    ),
    // The paths need process ids that are known only when the script runs; without such a process it stops.
    ...owners.flatMap((name) => [
      `pid=$(cat ${quote(`${step.path}/../../${name}/bundle/container.pid`)})`,
      'kill -0 "$pid"',
      `sed -i 's|^\\( *"path": "/proc/\\)@${name}@|\\1'"$pid|" ${quote(configPath(step))}`,
    ]),
  ];
}

function userComments({ user, additionalGids, rootfs }: BundleStep): readonly string[] {
  const [name = ''] = user.split(':');
  const isRoot = name === '' || name === '0' || name === 'root';
  const files = `${quote(rootfs)}/etc/passwd and group say of ${quote(isRoot ? 'root' : user)}`;
  const more = additionalGids.length === 0 ? '' : `, with the groups ${additionalGids.join(', ')}`;
  return [comment(`left out here: process.user, what ${files}${more}; runspec adds it`)];
}

/** A namespace that the process should be in, and is not. */
interface Stray {
  readonly type: string;
  readonly difference: Difference;
}

async function compareJoined(
  { host, dataDir }: Pick<OpContext, 'host' | 'dataDir'>,
  { join }: BundleStep,
  { annotations }: OciConfig,
): Promise<readonly Stray[]> {
  const strays: Stray[] = [];
  for (const { type, container } of join) {
    const wanted = (await findNamespace(host, dataDir, type, container))?.id;
    const found = annotations[`${JOINED}${type}`];
    if (wanted === found) continue;
    const property = `${type} namespace of ${container}`;
    strays.push({
      type,
      difference: { property, wanted: wanted ?? 'a running process', found: found ?? 'none' },
    });
  }
  return strays;
}

async function compareNamed(
  host: Host,
  step: BundleStep,
  { annotations }: OciConfig,
): Promise<readonly Stray[]> {
  return (await readNamed(host, step.config as OciConfig)).flatMap(({ type, path, id }) => {
    const former = annotations[`${JOINED}${type}`];
    // Configurations of former versions do not have this annotation.
    if (former === undefined || former === id) return [];
    const property = `${type} namespace at ${path}`;
    const difference =
      id === undefined
        ? { property, wanted: former, found: 'none there' }
        : { property, wanted: id, found: former };
    return [{ type, difference }];
  });
}

function drifted(differences: readonly Difference[]): {
  state: 'drifted';
  differences: readonly Difference[];
  inPlace: false;
} {
  return { state: 'drifted', differences, inPlace: false };
}

function configPath(step: BundleStep): string {
  return `${step.path}/config.json`;
}

function seal(config: OciConfig, written: string): OciConfig {
  return { ...config, annotations: { ...config.annotations, [WRITTEN]: written } };
}

/** A seccomp profile of the user's own is part of what the file is made from. */
async function digestOfTemplate(host: Host, step: BundleStep): Promise<string> {
  const { user, additionalGids, seccomp, join, config } = step;
  const profile = seccomp.startsWith('/') ? ((await host.readText(seccomp)) ?? '') : '';
  return digest({ user, additionalGids, seccomp, profile, join, config });
}

function digest(value: unknown): string {
  return sha256(JSON.stringify(value));
}
