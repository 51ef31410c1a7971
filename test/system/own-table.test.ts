// What somebody changes in the table of runspec itself: seen, and mended while the containers go on.
import { describe, expect, it } from 'vitest';
import { drift, identify, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec } from '../support/specs.ts';
import { ask } from '../support/talk.ts';

const TABLE = ['nft', 'list', 'table', 'inet', 'runspec'];

describe.skipIf(!requireSystem())('the table of a container that is up', () => {
  let spec: { readonly name: string; readonly file: string };
  let identity: string;
  const getHost = shareHost({
    start: async (host) => {
      spec = writeSpec(host, 'web', {
        process: { args: serve('web', 'tcp:80'), stopTimeout: '5s' },
        network: { bridge: 'own0', ports: ['8080:80'] },
      });
      await succeed(host, 'apply', spec.file);
      identity = await identify(host, spec.name);
    },
  });
  const answer = () => ask((argv) => getHost().exec(argv), { address: '127.0.0.1', port: 8080 });

  it.each([
    ['drops what no rule lets pass', 'chain inet runspec forward { policy drop; }'],
    [
      'has a chain of somebody else, to which a rule jumps',
      'table inet runspec { chain more { drop; }; chain evil { type filter hook forward priority -5; policy drop; jump more; }; chain forward { jump more; }; }',
    ],
    [
      'has a chain at another place',
      'flush chain inet runspec forward; delete chain inet runspec forward; table inet runspec { chain forward { type filter hook input priority 7; }; }',
    ],
  ])('that %s is mended', async (_, change) => {
    const host = getHost();
    const before = await host.output(TABLE);
    await host.output(['nft', change]);
    expect(await drift(host, spec.name)).toEqual(['nft:table drifted']);
    await succeed(host, 'apply', spec.file);
    expect(await drift(host, spec.name)).toEqual([]);
    const sorted = (text: string): readonly string[] => text.split('\n').toSorted();
    expect(sorted(await host.output(TABLE))).toEqual(sorted(before));
    expect(await answer()).toMatch(/^web /);
    expect(await identify(host, spec.name)).toBe(identity);
  });
});
