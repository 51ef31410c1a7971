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
    ['is dormant', 'add table inet runspec { flags dormant; }'],
    [
      'is dormant, with a chain at another place',
      'flush chain inet runspec forward; delete chain inet runspec forward; table inet runspec { chain forward { type filter hook input priority 7; }; }',
      'add table inet runspec { flags dormant; }',
    ],
  ])('that %s is mended', async (_, ...changes) => {
    const host = getHost();
    const before = await host.output(TABLE);
    for (const change of changes) await host.output(['nft', change]);
    expect(await drift(host, spec.name)).toEqual(['nft:table drifted']);
    await succeed(host, 'apply', spec.file);
    expect(await drift(host, spec.name)).toEqual([]);
    const sorted = (text: string): readonly string[] => text.split('\n').toSorted();
    expect(sorted(await host.output(TABLE))).toEqual(sorted(before));
    expect(await answer()).toMatch(/^web /);
    expect(await identify(host, spec.name)).toBe(identity);
  });

  it('is taken down though it is dormant', async () => {
    const host = getHost();
    await host.output(['nft', 'add table inet runspec { flags dormant; }']);
    await succeed(host, 'down', spec.name);
    expect(await host.output(['nft', 'list', 'tables'])).toBe('');
    await succeed(host, 'apply', spec.file);
    identity = await identify(host, spec.name);
  });

  it.each([
    ['add table inet asleep'],
    [
      'add table inet asleep',
      'add chain inet asleep c { type nat hook prerouting priority -150; }',
      'add rule inet asleep c tcp dport 8080 dnat ip to 192.0.2.1',
      'add chain inet asleep d { type filter hook forward priority 0; policy drop; }',
    ],
  ])('is looked at beside a dormant table of others, which catches and drops nothing', async (...changes) => {
    const host = getHost();
    for (const change of [...changes, 'add table inet asleep { flags dormant; }'])
      await host.output(['nft', change]);
    for (const command of ['status', 'plan'] as const) {
      const what = command === 'status' ? spec.name : spec.file;
      const { status, stdout, stderr } = await host.runspec(command, what);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).not.toContain('asleep');
    }
    await succeed(host, 'apply', spec.file);
    await host.output(['nft', 'delete table inet asleep']);
  });
});
