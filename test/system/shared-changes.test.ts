// What two containers of one call share is changed once, and told of once.
import { expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';

interface Event {
  readonly event: string;
  readonly step?: string;
  readonly outcome?: string;
  readonly changed?: number;
}

const getHost = shareHost();
const write = (network: SpecKeys): readonly PlacedSpec[] =>
  ['one', 'other'].map((base) =>
    writeSpec(getHost(), base, {
      process: { args: ['sleep', 'infinity'], stopTimeout: '0s' },
      network,
    }),
  );

async function follow(...args: readonly string[]): Promise<readonly Event[]> {
  const lines = (await succeed(getHost(), ...args)).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Event);
}

function changesOf(events: readonly Event[], id: RegExp): readonly string[] {
  const isChange = ({ outcome }: Event): boolean => outcome === 'done' || outcome === 'removed';
  return events.filter(isChange).flatMap(({ step = '' }) => (id.test(step) ? [step] : []));
}

const SHARED = /^(?:bridge:|nft:table$|sysctl:net.ipv4.ip_forward$)/;
const IDS = ['bridge:shared0', 'nft:table', 'sysctl:net.ipv4.ip_forward'];
const NETWORK = { bridge: 'shared0', subnet: '10.78.0.0/24' };

it.skipIf(!requireSystem())('is one event, whoever does it', async () => {
  const specs = write(NETWORK);
  const made = await follow('apply', '--json', ...specs.map(({ file }) => file));
  expect(changesOf(made, SHARED).toSorted()).toEqual(IDS);
  const counts = made.flatMap(({ changed }) => (changed === undefined ? [] : [changed]));
  expect(counts).toHaveLength(2);
  expect(counts.reduce((sum, one) => sum + one)).toBe(changesOf(made, /./).length);
  const left = await follow('apply', '--json', ...write({ mode: 'none' }).map(({ file }) => file));
  expect(changesOf(left, SHARED).toSorted()).toEqual(IDS);
  await follow('apply', '--json', ...write(NETWORK).map(({ file }) => file));
  const gone = await follow('down', '--json', ...specs.map(({ name }) => name));
  expect(changesOf(gone, SHARED).toSorted()).toEqual(IDS);
});
