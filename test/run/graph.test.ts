import { describe, expect, it } from 'vitest';
import type { Step } from '../../src/plan/plan.ts';
import { walk, type Reached } from '../../src/run/graph.ts';

const step = (id: string, needs: readonly string[] = [], after: readonly string[] = []): Step => ({
  id,
  op: 'netns-folder',
  needs,
  after,
});

/** Of another kind: steps of one kind take turns together. */
const other = (id: string): Step => ({
  id,
  op: 'controller',
  controller: '',
  mountpoint: '',
  needs: [],
  after: [],
});

const STEPS = [step('a'), step('b', ['a']), step('c', [], ['a']), step('d', ['b', 'c']), step('e')];

/** Begin and end of each step, as they happen; each takes a turn of the event loop. */
async function trace(
  steps: readonly Step[],
  direction: 'forward' | 'backward',
  stop?: (events: readonly string[]) => boolean,
): Promise<readonly string[]> {
  const events: string[] = [];
  await walk(
    steps,
    direction,
    async ({ id }) => {
      events.push(`${id}+`);
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`${id}-`);
    },
    stop === undefined ? undefined : () => stop(events),
  );
  return events;
}

const isBefore = (events: readonly string[], one: string, other: string): boolean =>
  events.indexOf(one) < events.indexOf(other) && events.includes(one);

describe('a walk', () => {
  it('begins a step when those it needs and those it comes after are through', async () => {
    const events = await trace(STEPS, 'forward');
    expect(events).toHaveLength(10);
    for (const [first, then] of ['a b', 'a c', 'b d', 'c d'].map((pair) => pair.split(' ')))
      expect(isBefore(events, `${first}-`, `${then}+`)).toBe(true);
  });

  it('does side by side what does not depend on each other', async () => {
    const events = await trace(STEPS, 'forward');
    expect(isBefore(events, 'e+', 'a-')).toBe(true);
    expect(isBefore(events, 'c+', 'b-')).toBe(true);
  });

  it('goes the other way round backward', async () => {
    const events = await trace(STEPS, 'backward');
    for (const [first, then] of ['b a', 'c a', 'd b', 'd c'].map((pair) => pair.split(' ')))
      expect(isBefore(events, `${first}-`, `${then}+`)).toBe(true);
  });

  describe('over a step that awaits others', () => {
    const steps = [
      step('a'),
      step('b', ['a']),
      { ...step('c', ['a']), awaits: { create: [], start: ['b'] } },
    ];

    async function traceReached(): Promise<readonly string[]> {
      const events: string[] = [];
      const work = async ({ id }: Step, reached: Reached): Promise<void> => {
        events.push(`${id}+`);
        await new Promise((resolve) => setImmediate(resolve));
        if (id === 'c') events.push(`reached ${await reached('start')}`);
        events.push(`${id}-`);
      };
      await walk(steps, 'forward', work);
      return events;
    }

    it('begins it beside them, and lets it go on after them', async () => {
      const events = await traceReached();
      expect(isBefore(events, 'a-', 'c+')).toBe(true);
      expect(isBefore(events, 'c+', 'b-')).toBe(true);
      expect(isBefore(events, 'b-', 'reached true')).toBe(true);
    });

    it('tells it to stop when the walk is to', async () => {
      let isFailed = false;
      const failing: string[] = [];
      await walk(
        steps,
        'forward',
        async ({ id }, reached) => {
          await new Promise((resolve) => setImmediate(resolve));
          if (id === 'b') isFailed = true;
          if (id === 'c') failing.push(`reached ${await reached('start')}`);
        },
        () => isFailed,
      );
      expect(failing).toEqual(['reached false']);
    });

    it('takes it back before them', async () => {
      const events = await trace(steps, 'backward');
      expect(isBefore(events, 'c-', 'b+')).toBe(true);
    });

    it('begins what only its start awaits, and what only that needs, once it asks or is through', async () => {
      const network = [step('bridge'), step('veth', ['bridge']), other('root')];
      const process = { ...step('process', ['root']), awaits: { create: ['root'], start: ['veth'] } };
      const events: string[] = [];
      const asking = async ({ id }: Step, reached: Reached): Promise<void> => {
        events.push(`${id}+`);
        if (id !== 'process') return;
        await reached('create');
        events.push('created');
        await reached('start');
        events.push('started');
      };
      await walk([...network, process], 'forward', asking);
      expect(events).toEqual(['process+', 'root+', 'created', 'bridge+', 'veth+', 'started']);
      events.length = 0;
      await walk([...network, process], 'forward', async ({ id }) => void events.push(id));
      expect(events).toHaveLength(4);
      expect(events.indexOf('bridge')).toBeLessThan(events.indexOf('veth'));
    });

    it('begins at once what others need too', async () => {
      const all = [step('a'), step('b', ['a']), { ...step('c'), awaits: { create: [], start: ['a'] } }];
      const begun: string[] = [];
      await walk(all, 'forward', async ({ id }, reached) => {
        begun.push(id);
        if (id !== 'c') return;
        await new Promise((resolve) => setTimeout(resolve, 5));
        begun.push('asks');
        await reached('start');
      });
      expect(begun.slice(0, 3).toSorted()).toEqual(['a', 'b', 'c']);
    });
  });

  it('begins in one turn what may share a change, after what it builds on', async () => {
    const element = (id: string): Step => ({ ...step(id, ['table']), with: ['table'] });
    const steps = [step('sysctl'), step('table', [], ['sysctl']), element('one'), element('two')];
    const turns: string[][] = [];
    let turn: string[] | undefined;
    await walk(steps, 'forward', async ({ id }) => {
      if (turn === undefined) {
        turns.push((turn = []));
        setImmediate(() => (turn = undefined));
      }
      turn.push(id);
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    expect(turns).toEqual([['sysctl'], ['table', 'one', 'two']]);
    const back = await trace(steps, 'backward');
    expect(isBefore(back, 'one-', 'table+')).toBe(true);
  });

  it('begins with what has the longest way to go, and those of one kind together', async () => {
    const begun: string[] = [];
    const steps = [step('a'), other('b'), step('c'), step('d', ['b']), step('e', ['d'])];
    await walk(steps, 'forward', async ({ id }) => void begun.push(id));
    expect(begun).toEqual(['b', 'a', 'c', 'd', 'e']);
  });

  it('counts the way in milliseconds: one long step before several short ones', async () => {
    const begun: string[] = [];
    const recipe = { key: '', path: '', kind: 'files', files: {}, lower: [] } as const;
    const layer: Step = { id: 'layer', op: 'layer', layer: recipe, needs: [], after: [] };
    const steps = [step('a'), step('b', ['a']), step('c', ['b']), layer];
    await walk(steps, 'forward', async ({ id }) => void begun.push(id));
    expect(begun).toEqual(['layer', 'a', 'b', 'c']);
  });

  it('begins nothing more once it is to stop, and waits for what is under way', async () => {
    const events = await trace(STEPS, 'forward', (seen) => seen.includes('a-'));
    expect(events).toContain('a-');
    expect(events).toContain('e-');
    expect(events).not.toContain('b+');
    expect(events).not.toContain('d+');
  });

  it('does both of two steps with one id, and what needs them waits for both', async () => {
    const steps = [step('a'), { ...step('a') }, step('b', ['a'])];
    const events = await trace(steps, 'backward');
    expect(events.filter((event) => event === 'a+')).toHaveLength(2);
    expect(events.slice(0, 2)).toEqual(['b+', 'b-']);
  });

  it('passes over edges to steps that are not there', async () => {
    expect(await trace([step('x', ['missing'])], 'forward')).toEqual(['x+', 'x-']);
  });
});
