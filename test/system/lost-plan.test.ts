// plan where the record of a container that is up is lost: it tells of all that apply then does.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';

/** Of `apply`, with the id of the step as `step`; or a change of `plan`. */
interface Told {
  readonly event?: string;
  readonly action: string;
  readonly id?: string;
  readonly step: string;
}

const show = (all: readonly Told[]): readonly string[] =>
  all.map(({ action, id, step }) => `${action} ${id ?? step}`).toSorted();

describe.skipIf(!requireSystem())('the plan of a container whose record is lost', () => {
  const getHost = shareHost();

  it.each([
    ['lost', (file: string) => fs.rmSync(file)],
    ['damaged', (file: string) => fs.writeFileSync(file, '{')],
  ])('is what apply does where it is %s', async (_, lose) => {
    const host = getHost();
    const { name, file } = writeSpec(host, 'web', {
      network: { bridge: 'lost0', ports: ['8080:80'] },
      mounts: [{ type: 'volume', source: 'data', destination: '/data' }],
      process: { args: WAIT, stopTimeout: '5s' },
    });
    await succeed(host, 'apply', file);
    lose(path.join(host.dataDir, 'containers', name, 'plan.json'));
    expect(await pending(host, file)).not.toEqual([]);
    const plan = JSON.parse(await succeed(host, 'plan', '--json', file)) as {
      readonly changed: boolean;
      readonly containers: readonly { readonly changes: readonly Told[] }[];
    };
    const events = (await succeed(host, 'apply', '--json', file)).trim().split('\n');
    const steps = events.map((line) => JSON.parse(line) as Told).filter(({ event }) => event === 'step');
    const changes = plan.containers.flatMap((one) => one.changes);
    expect(show(steps)).toEqual(show(changes.filter(({ action }) => action !== 'none')));
    expect(plan.changed).toBe(true);
    expect(await pending(host, file)).toEqual([]);
    await succeed(host, 'down', '--volumes', name);
  });
});
