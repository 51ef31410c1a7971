// Completes the plan's template to the configuration that a runtime takes, with user, available capabilities, joined
// namespaces and seccomp. Checks what a runtime would complain of late or not at all.
import { OperationError, type SpecPath } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { BundleStep } from '../plan/plan.ts';
import { capabilitiesOfMask, settleCapabilities } from '../oci/capabilities.ts';
import { JOINED, joinNamespaces, readNamed } from './joined-namespaces.ts';
import type { OciConfig, OciSeccomp } from '../oci/runtime-spec.ts';
import { checkPlaces, checkProcess } from './check-start.ts';
import { checkRlimits } from './rlimits.ts';
import { seccompFor } from '../oci/seccomp.ts';
import type { Joining } from './unjoinable.ts';
import { resolveUser } from './users.ts';

/** @param layers of a root that is not mounted yet, lowest first. */
export async function completeConfig(
  joining: Joining,
  step: BundleStep,
  layers?: readonly string[],
): Promise<OciConfig> {
  const { host, dataDir } = joining;
  const template = step.config as OciConfig;
  const view = await checkPlaces(host, template, dataDir, layers);
  const user = await blame(['process', 'user'], () =>
    resolveUser(host, view, step.user, step.additionalGids),
  );
  const available = await readOwnCapabilities(host);
  const { sets, missing } = settleCapabilities(template.process.capabilities, user.uid, available);
  if (missing.length > 0) {
    throw new OperationError(`runspec cannot give ${missing.join(', ')}: it does not have it itself`, {
      hint: 'drop it from process.capabilities.add, or run runspec with it',
    });
  }
  checkRlimits(template.process.rlimits ?? [], (await host.readText('/proc/self/limits')) ?? '', available);
  const { env } = template.process;
  const process = {
    ...template.process,
    user: {
      uid: user.uid,
      gid: user.gid,
      ...(user.additionalGids.length === 0 ? {} : { additionalGids: user.additionalGids }),
    },
    env: env.some((entry) => entry.startsWith('HOME=')) ? env : [...env, `HOME=${user.home}`],
    capabilities: sets,
  };
  await checkProcess(host, view, { root: template.root, process });
  const joined = await joinNamespaces(joining, step.join);
  const named = await identifyNamed(host, template);
  const seccomp = await blame(['security', 'seccomp'], () => readSeccomp(host, step.seccomp, sets.bounding));
  return {
    ...template,
    // Destinations have their symlinks resolved: crun gives up at one that leads to where nothing is yet.
    mounts: template.mounts.map((mount, index) => ({
      ...mount,
      destination: view.binds[index]?.destination ?? mount.destination,
    })),
    annotations: {
      ...template.annotations,
      ...Object.fromEntries([...joined, ...named].map(({ type, id }) => [`${JOINED}${type}`, id])),
    },
    process,
    linux: {
      ...template.linux,
      namespaces: [...template.linux.namespaces, ...joined.map(({ type, path }) => ({ type, path }))],
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  };
}

/**
 * Ids of the namespaces that the spec names by paths.
 * @throws OperationError for a path without a namespace; a runtime would complain only once the former process is gone.
 */
async function identifyNamed(
  host: Host,
  template: OciConfig,
): Promise<readonly { readonly type: string; readonly id: string }[]> {
  return (await readNamed(host, template)).map(({ type, path, id }) => {
    if (id !== undefined) return { type, id };
    throw new OperationError(`there is no ${type} namespace at ${path}`, {
      hint: 'list them with: lsns, ip netns list',
      path: ['namespaces', type],
    });
  });
}

/** Adds to a failure the place in the spec of the value that caused it. */
async function blame<T>(path: SpecPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw error.with({ path });
  }
}

export async function readOwnCapabilities(host: Host): Promise<readonly string[]> {
  const status = (await host.readText('/proc/self/status')) ?? '';
  return capabilitiesOfMask(/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
}

async function readSeccomp(
  host: Host,
  choice: string,
  capabilities: readonly string[],
): Promise<OciSeccomp | undefined> {
  if (choice === 'unconfined') return undefined;
  if (choice === 'default') return seccompFor(capabilities, globalThis.process.arch);
  const text = await host.readText(choice);
  const hint =
    "it is JSON in the format of linux.seccomp of the OCI runtime specification; Docker's and Podman's own profiles are in another one";
  if (text === undefined) throw new OperationError(`no seccomp profile ${choice}`, { hint });
  try {
    const profile = JSON.parse(text) as Partial<OciSeccomp> & { readonly archMap?: unknown };
    if (typeof profile.defaultAction === 'string' && profile.archMap === undefined)
      return { syscalls: [], ...profile, defaultAction: profile.defaultAction };
  } catch (cause) {
    throw new OperationError(`the seccomp profile ${choice} is not JSON`, { cause, hint });
  }
  throw new OperationError(`the seccomp profile ${choice} is not in OCI format`, { hint });
}
