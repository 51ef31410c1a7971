// What iptables has for us beside Docker: its chain DOCKER-USER, which every forwarded packet passes ahead of Docker's
// own rules, and in it one jump for each network of ours, to a chain named after the link. Reads only.
import type { Host } from './host.ts';

export interface DockerUser {
  /** Rules of DOCKER-USER as iptables writes them, in order: `-A DOCKER-USER -j RETURN`. */
  readonly rules: readonly string[];
  /** Rules of each chain of ours, by the name of the link. */
  readonly networks: ReadonlyMap<string, readonly string[]>;
  /** Links that Docker's own rules lead packets to: its bridges, whatever they are called. */
  readonly bridges: readonly string[];
  /** Why it is not known what is there; then the others are empty. */
  readonly unreadable?: string;
}

const CHAIN = 'DOCKER-USER';
const PREFIX = 'runspec-';

/** At most 23 characters of the 28 that a chain's name may have. */
export function networkChain(link: string): string {
  return `${PREFIX}${link}`;
}

/** A link that only Docker makes: where there is none there is no need to start iptables. */
export function isDockerLink({
  name,
  kind,
}: {
  readonly name: string;
  readonly kind: string | undefined;
}): boolean {
  return kind === 'bridge' && /^(?:docker0|docker_gwbridge|br-[0-9a-f]{12})$/.test(name);
}

/** Undefined when Docker has no such chain, and none of ours is left of one. */
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

/** `-A FORWARD -o mynet -j DOCKER` until Docker 27; later ones have such rules in chains like DOCKER-BRIDGE. */
function parseBridges(lines: readonly string[]): readonly string[] {
  const found = lines.flatMap((line) => {
    const isDockers = /^-A (?:FORWARD .* -j DOCKER$|DOCKER(?!-USER )\S* )/.test(line);
    const link = isDockers ? /(?<! !) -o (\S+)/.exec(line)?.[1] : undefined;
    return link === undefined ? [] : [link];
  });
  return [...new Set(found)].toSorted();
}

/** The rules that lead to a network's chain, with whose they are by their comment. */
export function jumpsTo(
  { rules }: DockerUser,
  link: string,
): readonly { readonly rule: string; readonly index: number; readonly comment: string }[] {
  return rules.flatMap((rule, index) => {
    if (!rule.endsWith(` -j ${networkChain(link)}`)) return [];
    return [{ rule, index, comment: / --comment "?([^" ]+)"? /.exec(rule)?.[1] ?? '' }];
  });
}

/** Where DOCKER-USER ends: behind Docker's own last rule nothing is looked at. */
export function endOf({ rules }: DockerUser): number {
  const end = rules.indexOf(`-A ${CHAIN} -j RETURN`);
  return end === -1 ? rules.length : end;
}
