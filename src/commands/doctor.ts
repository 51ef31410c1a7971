// doctor: what this host has, what is missing, and what stands in the way. Changes nothing.
import { readCgroups } from '../host/cgroup-facts.ts';
import { createKernelView } from '../host/kernel-view.ts';
import type { Host } from '../host/host.ts';
import { FIT_HINT, findUnfitMount } from '../host/upper-mount.ts';
import { whyCrunFails } from '../plan/runtime.ts';
import { findPlaceFault } from '../run/check-places.ts';
import { mayRaiseLimits } from '../run/gather-facts.ts';
import { EXIT, type CommandContext } from './context.ts';
import { firewallFindings } from './doctor-firewall.ts';
import { paint } from './paint.ts';

export interface Finding {
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'missing';
  readonly detail: string;
  readonly hint?: string;
}

/** Program, what it is for, and the package that has it on Debian. */
const PROGRAMS = [
  ['conmon', 'keeps the log and exit status of each process', 'conmon'],
  ['ip', 'namespaces, bridges and veths', 'iproute2'],
  ['nft', 'networks of their own, published ports and NAT', 'nftables'],
  ['mount', 'overlays', 'util-linux'],
  ['flock', 'the lock between two runspecs', 'util-linux'],
  ['tar', 'unpacking archives', 'tar'],
  ['nsenter', 'what is in a network namespace', 'util-linux'],
  ['unshare', 'unpacking where nothing else can be written', 'util-linux'],
  ['sync', 'layers that survive a power cut', 'coreutils'],
  ['gzip', 'unpacking .tar.gz', 'gzip'],
  ['xz', 'unpacking .tar.xz', 'xz-utils'],
  ['zstd', 'unpacking .tar.zst', 'zstd'],
] as const;

export async function doctor(context: CommandContext): Promise<number> {
  const findings = [
    rootFinding(context),
    ...(await Promise.all(
      PROGRAMS.map(async ([program, purpose, name]) => programFinding(context.host, program, purpose, name)),
    )),
    ...(await runtimeFindings(context.host)),
    ...(await kernelFindings(context.host)),
    await conntrackFinding(context.host),
    await spaceFinding(context),
    ...(await placeFindings(context)),
    ...(await firewallFindings(context)),
  ];
  if (context.json) context.stdout(`${JSON.stringify(findings, undefined, 2)}\n`);
  else for (const finding of findings) context.stdout(render(context, finding));
  return findings.some((finding) => finding.result === 'missing') ? EXIT.failed : EXIT.done;
}

function render(context: CommandContext, { check, result, detail, hint }: Finding): string {
  const color = { ok: 'green', warning: 'yellow', missing: 'red' } as const;
  return `${paint({ color: context.colorOfData }, color[result], result.padEnd(8))} ${check.padEnd(18)} ${detail}\n${hint === undefined ? '' : `${' '.repeat(28)}${hint}\n`}`;
}

function rootFinding(context: CommandContext): Finding {
  if (context.isRoot) return { check: 'root', result: 'ok', detail: 'yes' };
  return {
    check: 'root',
    result: 'warning',
    detail: 'no',
    hint: 'only validate, plan (as for an empty host), schema and completion do without root',
  };
}

async function programFinding(
  host: Host,
  program: string,
  purpose: string,
  packageName: string,
): Promise<Finding> {
  const path = await host.which(program);
  if (path !== undefined) return { check: program, result: 'ok', detail: path };
  return { check: program, result: 'missing', detail: purpose, hint: `install the package ${packageName}` };
}

/** The program conntrack is only needed for published UDP ports, so its absence is a warning. */
async function conntrackFinding(host: Host): Promise<Finding> {
  const path = await host.which('conntrack');
  if (path !== undefined) return { check: 'conntrack', result: 'ok', detail: path };
  return {
    check: 'conntrack',
    result: 'warning',
    detail: 'UDP clients that keep sending may miss a container that was made again',
    hint: 'install the package conntrack',
  };
}

async function runtimeFindings(host: Host): Promise<readonly Finding[]> {
  const { layout, hierarchies } = await readCgroups(host, createKernelView(host));
  const [crun, runc] = await Promise.all([host.which('crun'), host.which('runc')]);
  const controllers = hierarchies.flatMap((one) =>
    one.controllers.map((name) => (name.startsWith('name=') ? [] : `${name} (v${one.version})`)).flat(),
  );
  const cgroups: Finding = {
    check: 'cgroups',
    result: controllers.length === 0 ? 'missing' : 'ok',
    detail: `${layout}: ${controllers.join(', ') || 'no controller'}`,
  };
  const crunFailure = whyCrunFails({ cgroups: { layout }, mayRaiseLimits: await mayRaiseLimits(host) });
  if (crun !== undefined && crunFailure === undefined)
    return [cgroups, { check: 'OCI runtime', result: 'ok', detail: `crun at ${crun}` }];
  if (runc !== undefined) {
    const note = crun === undefined ? '' : ` (${crunFailure})`;
    return [cgroups, { check: 'OCI runtime', result: 'ok', detail: `runc at ${runc}${note}` }];
  }
  const detail = crun === undefined ? 'neither crun nor runc is there' : (crunFailure ?? '');
  return [cgroups, { check: 'OCI runtime', result: 'missing', detail, hint: 'install the package runc' }];
}

async function kernelFindings(host: Host): Promise<readonly Finding[]> {
  const release = (await host.readText('/proc/sys/kernel/osrelease'))?.trim() ?? 'unknown';
  const fileSystems = (await host.readText('/proc/filesystems')) ?? '';
  const overlay: Finding = /\boverlay\b/.test(fileSystems)
    ? { check: 'overlayfs', result: 'ok', detail: 'yes' }
    : {
        check: 'overlayfs',
        result: 'warning',
        detail: 'not loaded',
        hint: 'it is loaded when first mounted, or: modprobe overlay',
      };
  const [major, minor] = release.split('.').map(Number);
  const recent = (major ?? 0) > 5 || ((major ?? 0) === 5 && (minor ?? 0) >= 12);
  const kernel: Finding = recent
    ? { check: 'kernel', result: 'ok', detail: release }
    : {
        check: 'kernel',
        result: 'warning',
        detail: release,
        hint: 'readOnly mounts need mount_setattr(2) of Linux 5.12',
      };
  return [kernel, overlay];
}

const ENOUGH = 1024 ** 3;

async function spaceFinding({ host, dataDir }: CommandContext): Promise<Finding> {
  const free = await host.freeBytes(await nearest(host, dataDir));
  const detail = `${(free / ENOUGH).toFixed(1)} GiB free for ${dataDir}`;
  return { check: 'disk', result: free < ENOUGH ? 'warning' : 'ok', detail };
}

/**
 * Findings about the data and state folder. Without root only their file system is checked: others may not write there.
 */
async function placeFindings({
  host,
  dataDir,
  stateDir,
  isRoot,
}: CommandContext): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [kind, place, option] of [
    ['data', dataDir, '--data-dir'],
    ['state', stateDir, '--state-dir'],
  ] as const) {
    if (!isRoot) continue;
    const check = `${kind} folder`;
    const fault = await findPlaceFault(host, kind, place);
    if (fault !== undefined) {
      findings.push({ check, result: 'missing', detail: fault.message, hint: fault.hint });
      continue;
    }
    if (await host.isWritable(await nearest(host, place))) continue;
    const hint = `choose another with ${option}`;
    findings.push({ check, result: 'missing', detail: `${place} cannot be written to`, hint });
  }
  const unfit = await findUnfitMount(host, await nearest(host, dataDir));
  if (unfit !== undefined) {
    const detail = `overlayfs keeps no writable layer on ${unfit.type}, which ${dataDir} is on`;
    findings.push({ check: 'data folder', result: 'warning', detail, hint: FIT_HINT });
  }
  return findings;
}

/** The folder itself, or the nearest one above it that exists. */
async function nearest(host: Host, path: string): Promise<string> {
  let folder = path;
  while (folder !== '' && (await host.status(folder)) === undefined)
    folder = folder.slice(0, folder.lastIndexOf('/'));
  return folder === '' ? '/' : folder;
}
