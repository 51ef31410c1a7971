// Lets packets of one network pass Docker's FORWARD chain, whose policy is to drop: an accept in a table of ours cannot
// overrule it. One rule in DOCKER-USER leads to a chain of ours; what an admin's rules before it drop stays dropped.
import { OperationError } from '../errors.ts';
import { commandError, runChecked } from '../host/commands.ts';
import { endOf, jumpsTo, readDockerUser, type DockerUser } from '../host/docker-user.ts';
import type { Host } from '../host/host.ts';
import { networkChain } from '../names.ts';
import { dockerUserRules } from '../plan/docker-user-rules.ts';
import type { DockerUserStep } from '../plan/docker-user-step.ts';
import type { Difference, Op } from './op.ts';
import { hereDocument } from './shell.ts';

const RESTORE = ['iptables-restore', '-w', '--noflush'] as const;

export const dockerUser: Op<'docker-user'> = {
  describe: (step) => `iptables DOCKER-USER: packets of ${endOfWay(step)}`,

  async probe({ view }, step) {
    const found = await view.dockerUser();
    if (found?.unreadable !== undefined) {
      const differences = [{ property: 'DOCKER-USER', wanted: 'our rule', found: found.unreadable }];
      return { state: 'drifted', differences, inPlace: true };
    }
    if (found === undefined || (jumpsTo(found, step.link).length === 0 && !found.networks.has(step.link)))
      return { state: 'absent' };
    const differences = compare(step, found);
    return differences.length === 0 ? { state: 'present' } : { state: 'drifted', differences, inPlace: true };
  },

  async apply({ host }, step) {
    await complete(host, step);
  },

  async update({ host }, step) {
    await complete(host, step);
  },

  async revert({ host }, step) {
    const found = await readDockerUser(host);
    // A rule that cannot be read may still be there.
    if (found?.unreadable !== undefined)
      throw new OperationError(`it is not known what DOCKER-USER has: ${found.unreadable}`, {
        hint: 'see: iptables -w -S',
      });
    const jumps = found === undefined ? [] : jumpsTo(found, step.link);
    const foreign = jumps.find(({ comment }) => comment !== step.comment);
    if (foreign !== undefined)
      return { outcome: 'kept', reason: `it belongs to ${foreign.comment || 'someone else'}` };
    const chain = networkChain(step.link);
    const isThere = found?.networks.has(step.link) === true;
    if (!isThere) return { outcome: 'gone' };
    const script = [...jumps.map(({ rule }) => asDeletion(rule)), `-F ${chain}`, `-X ${chain}`];
    await runChecked(host, RESTORE, { stdin: inFilter(script) });
    return { outcome: 'removed' };
  },

  toShell: (step) => hereDocument(RESTORE, inFilter([...chainOf(step, []), `-I ${jumpOf(step)}`])),
};

function compare(step: DockerUserStep, found: DockerUser): readonly Difference[] {
  const differences: Difference[] = [];
  const jumps = jumpsTo(found, step.link);
  const isReached = jumps.some(({ index, comment }) => index < endOf(found) && comment === step.comment);
  if (!isReached)
    differences.push({ property: 'DOCKER-USER', wanted: `-A ${jumpOf(step)}`, found: 'missing' });
  const rules = found.networks.get(step.link);
  const wanted = chainOf(step, found.bridges).slice(1);
  // RETURN rules for bridges that Docker no longer has may stay.
  const kept = rules?.filter((rule) => wanted.includes(rule) || !/ -o \S+ -j RETURN$/.test(rule));
  if (kept?.join() !== wanted.join())
    differences.push({
      property: networkChain(step.link),
      wanted: `${wanted.length} rules of ours`,
      found: rules === undefined ? 'missing' : `${rules.length} rules, not the same`,
    });
  return differences;
}

/** Completes what there is of rule and chain: declaring a chain again empties it, in the transaction that fills it. */
async function complete(host: Host, step: DockerUserStep): Promise<void> {
  const found = (await readDockerUser(host)) ?? { rules: [], networks: new Map(), bridges: [] };
  const stale = jumpsTo(found, step.link).filter(({ comment }) => comment === step.comment);
  // The rule goes before the RETURN at the end of DOCKER-USER, and behind what an admin has put there.
  const position = endOf(found) + 1 - stale.filter(({ index }) => index < endOf(found)).length;
  const script = [
    ...stale.map(({ rule }) => asDeletion(rule)),
    ...chainOf(step, found.bridges),
    `-I ${jumpOf(step).replace(' ', ` ${position} `)}`,
  ];
  const result = await host.run(RESTORE, { stdin: inFilter(script) });
  if (result.status !== 0)
    throw commandError(`iptables refused to let packets of ${endOfWay(step)} pass DOCKER-USER`, result);
}

/** @param bridges names of Docker's bridges. */
function chainOf(step: DockerUserStep, bridges: readonly string[]): readonly string[] {
  const chain = networkChain(step.link);
  return [
    `:${chain} - [0:0]`,
    ...dockerUserRules(step, bridges).map(({ matches, verdict }) => {
      const words = matches.map(({ field, value }) => `${OPTIONS[field]} ${value.replace(/\*$/, '+')}`);
      return `-A ${chain} ${words.join(' ')} -j ${verdict.toUpperCase()}`;
    }),
  ];
}

const OPTIONS = { saddr: '-s', daddr: '-d', iifname: '-i', oifname: '-o' } as const;

function endOfWay({ link, joined }: DockerUserStep): string {
  return joined === undefined ? link : `${joined.address} on ${joined.bridge}`;
}

function jumpOf({ link, comment }: DockerUserStep): string {
  return `DOCKER-USER -m comment --comment "${comment}" -j ${networkChain(link)}`;
}

function asDeletion(rule: string): string {
  return rule.replace(/^-A/, '-D');
}

function inFilter(lines: readonly string[]): string {
  return ['*filter', ...lines, 'COMMIT', ''].join('\n');
}
