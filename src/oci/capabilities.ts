// The capabilities of a process: Docker's default set, changed as the spec says. Pure.
import type { OciCapabilities } from './runtime-spec.ts';

/** Docker's default set (mask a80425fb). */
const DEFAULTS: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** Names of all capabilities in the order of their numbers: linux/capability.h. */
export const ALL_CAPABILITIES: readonly string[] = [
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE',
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT',
  'SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL',
  'SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE',
].flatMap((line) => line.split(' ').map((name) => `CAP_${name}`));

/**
 * The sets of a process whose user and host are not known yet. Until `settleCapabilities` makes them
 * final, `ambient` holds all that was added and `inheritable` what was added by its own name.
 */
export function chooseCapabilities(change: {
  readonly add: readonly string[];
  readonly drop: readonly string[];
}): OciCapabilities {
  const named = change.add.filter((name) => name !== 'ALL').map(withPrefix);
  const dropped = change.drop.map(withPrefix);
  const remaining = (names: readonly string[]): readonly string[] =>
    names.filter((name) => !dropped.includes(name));
  // The rules are Docker's: `add: [ALL]` is all but what is dropped by name; `drop: [ALL]` leaves what is added.
  const everything = change.add.includes('ALL');
  const added = everything ? remaining(ALL_CAPABILITIES) : named;
  const base = everything || change.drop.includes('ALL') ? [] : remaining(DEFAULTS);
  const all = sortUnique([...base, ...added]);
  return {
    bounding: all,
    effective: all,
    permitted: all,
    inheritable: sortUnique(named),
    ambient: sortUnique(added),
  };
}

/**
 * The final sets, as execve(2) would leave them: root has all of its bounding set and nothing ambient.
 * Another user has none but those the spec added, which would be without effect if they were not ambient.
 * @param available what runspec itself holds; a runtime cannot give more.
 */
export function settleCapabilities(
  chosen: OciCapabilities,
  uid: number,
  available: readonly string[],
): { readonly sets: OciCapabilities; readonly missing: readonly string[] } {
  const held = (names: readonly string[]): readonly string[] =>
    names.filter((name) => available.includes(name));
  const missing = chosen.inheritable.filter(
    (name) => chosen.bounding.includes(name) && !available.includes(name),
  );
  const bounding = held(chosen.bounding);
  if (uid === 0)
    return {
      sets: { bounding, effective: bounding, permitted: bounding, inheritable: [], ambient: [] },
      missing,
    };
  const added = held(chosen.ambient);
  return {
    sets: { bounding, effective: added, permitted: added, inheritable: added, ambient: added },
    missing,
  };
}

/** Names of the capabilities in a mask. @param mask hexadecimal, as in CapPrm of /proc/PID/status. */
export function capabilitiesOfMask(mask: string): readonly string[] {
  const bits = BigInt(`0x${mask}`);
  return ALL_CAPABILITIES.filter((_, number) => ((bits >> BigInt(number)) & 1n) === 1n);
}

function withPrefix(name: string): string {
  return name.startsWith('CAP_') ? name : `CAP_${name}`;
}

function sortUnique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}
