// Docker's chain DOCKER-USER in iptables, which every forwarded packet passes ahead of Docker's own rules, and in it
// one jump for each network of ours, to a chain named after the link. Reads only.
import { networkChain } from '../names.ts';
import type { Host } from './host.ts';

export interface DockerUser {
  /** Rules of DOCKER-USER as iptables writes them, in order: `-A DOCKER-USER -j RETURN`. */
  readonly rules: readonly string[];
  /** Rules of each chain of ours, by the name of the link. */
  readonly networks: ReadonlyMap<string, readonly string[]>;
  /** Links that Docker's own rules lead packets to: its bridges, whatever they are called. */
  readonly bridges: readonly string[];
  /** Reason why iptables could not be read; then the other fields are empty. */
  readonly unreadable?: string;
}

const CHAIN = 'DOCKER-USER';
const PREFIX = networkChain('');

/** Reads DOCKER-USER; undefined when neither that chain nor one of ours exists. */
export async function readDockerUser(host: Host): Promise<DockerUser | undefined> {
  if ((await host.which('iptables')) === undefined) return undefined;
  const result = await host.run(['iptables', '-w', '-S']);
  // A table that this iptables cannot read was written by something else, and is not ours to extend.
  if (result.status !== 0) {
    const reason = result.stderr.trim().split('\n').at(-1) ?? '';
    return { rules: [], networks: new Map(), bridges: [], unreadable: `iptables -S failed: ${reason}` };
  }
  const lines = result.stdout.split('\n');
  const names = lines.flatMap((line) => (line.startsWith('-N ') ? [line.slice(3)] : []));
  const rulesOf = (chain: string): readonly string[] =>
    lines.filter((line) => line.startsWith(`-A ${chain} `));
  const own = names.filter((name) => name.startsWith(PREFIX));
  if (!names.includes(CHAIN) && own.length === 0) return undefined;
  return {
    rules: rulesOf(CHAIN),
    networks: new Map(own.map((name) => [name.slice(PREFIX.length), rulesOf(name)])),
    bridges: parseBridges(lines),
  };
}

/** Bridges in rules like `-A FORWARD -o mynet -j DOCKER` (until Docker 27), later in chains like DOCKER-BRIDGE. */
function parseBridges(lines: readonly string[]): readonly string[] {
  const found = lines.flatMap((line) => {
    const isDockers = /^-A (?:FORWARD .* -j DOCKER$|DOCKER(?!-USER )\S* )/.test(line);
    const link = isDockers ? /(?<! !) -o (\S+)/.exec(line)?.[1] : undefined;
    return link === undefined ? [] : [link];
  });
  return [...new Set(found)].toSorted();
}

/** Rules of DOCKER-USER that jump to a network's chain, with the comment that names their owner. */
export function jumpsTo(
  { rules }: DockerUser,
  link: string,
): readonly { readonly rule: string; readonly index: number; readonly comment: string }[] {
  return rules.flatMap((rule, index) => {
    if (!rule.endsWith(` -j ${networkChain(link)}`)) return [];
    return [{ rule, index, comment: / --comment "?([^" ]+)"? /.exec(rule)?.[1] ?? '' }];
  });
}

/** Index at which DOCKER-USER ends: Docker's own last rule returns, and nothing behind it is looked at. */
export function endOf({ rules }: DockerUser): number {
  const end = rules.indexOf(`-A ${CHAIN} -j RETURN`);
  return end === -1 ? rules.length : end;
}
