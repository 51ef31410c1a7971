// What a test needs of the machine. A test that cannot run says why, once, and is skipped; scripts/test
// fails in CI when nothing of the system tier ran.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { TEST_ENVIRONMENT } from './execute.ts';

const PROGRAMS = ['unshare', 'nsenter', 'mount', 'ip', 'ss', 'nft', 'conmon', 'bash', 'tar', 'flock'];

/** Each in the namespaces of a test host; the first that fails is the reason. */
const TRIALS: readonly (readonly [string, string])[] = [
  ['veth links', 'ip link add probe0 type veth peer name probe1'],
  ['bridges', 'ip link add probe2 type bridge'],
  ['nftables', 'nft add table inet probe'],
  ['tmpfs mounts', 'mount -t tmpfs tmpfs /run'],
  ['overlay mounts', 'cd /run && mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m'],
  [
    'cgroups',
    'for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do if mkdir "$d/rt$$" 2>/dev/null; then rmdir "$d/rt$$"; exit; fi; done; exit 1',
  ],
];

const told = new Set<string>();

/** Prints a reason once a file. */
function tell(what: string, reason: string): void {
  if (told.has(reason)) return;
  told.add(reason);
  console.warn(`skipped: ${what}: ${reason}`);
}

let checked: { readonly reason: string | undefined } | undefined;

/** True when tests on a real kernel can run here; else prints the reason. For `describe.skipIf(!requireSystem())`. */
export function requireSystem(): boolean {
  checked ??= { reason: findObstacle() };
  if (checked.reason !== undefined) tell('the system tier', checked.reason);
  return checked.reason === undefined;
}

function findObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'root is needed';
  const missing = PROGRAMS.filter((program) => !isOnPath(program));
  if (missing.length > 0) return `not installed: ${missing.join(', ')} (scripts/setup installs them)`;
  if (!isOnPath('runc') && !isOnPath('crun'))
    return 'neither runc nor crun is installed (scripts/setup installs one)';
  const script = TRIALS.map(([name, trial]) => `(${trial}) || { echo "no ${name}"; exit 1; }`).join('\n');
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', '-n', '-p', '-f', 'sh', '-c', script], {
    encoding: 'utf8',
    env: { ...TEST_ENVIRONMENT },
  });
  return status === 0
    ? undefined
    : `${stdout}${stderr}`.trim().split('\n').join('; ') || 'namespaces cannot be made';
}

function isOnPath(program: string): boolean {
  return (TEST_ENVIRONMENT['PATH'] ?? '')
    .split(':')
    .some((folder) => fs.existsSync(path.join(folder, program)));
}

/** Whether programs that only some tests use are there; prints which are not. */
export function programs(...names: readonly string[]): boolean {
  const missing = names.filter((name) => !isOnPath(name));
  if (missing.length > 0)
    tell(`tests with ${missing.join(', ')}`, 'not installed; scripts/setup --test installs what there is');
  return missing.length === 0;
}

const ALPINE = 'alpine-minirootfs-3.20.3-x86_64.tar.gz';

/** Path of the Alpine archive, from RUNSPEC_ALPINE or ../shared/images; undefined, with the reason printed, without one. */
export function alpine(): string | undefined {
  const beside = path.resolve(import.meta.dirname, '../../../shared/images', ALPINE);
  const file = process.env['RUNSPEC_ALPINE'] ?? beside;
  if (fs.existsSync(file)) return path.resolve(file);
  tell('tests with Alpine', `no ${ALPINE} in ../shared/images; name one with RUNSPEC_ALPINE`);
  return undefined;
}
