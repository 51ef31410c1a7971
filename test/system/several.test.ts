// Several containers of one apply stand or fall together.
import fs from 'node:fs';
import { expect, it, describe } from 'vitest';
import { drift, identify, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

const NETWORK = { bridge: 'sev0', subnet: '10.71.0.0/24' };
const BROKEN: SpecKeys = { process: { args: ['/no/such/program'] } };
/** It fails only when it is started: the interpreter in its first line is not there. */
const UNSTARTABLE: SpecKeys = {
  layers: [{ files: { '/unstartable': { text: '#!/no/such/program\n', mode: '0755' } } }],
  process: { args: ['/unstartable'], stopTimeout: '0s' },
};
const STUBBORN = { args: ['bash', '-c', "trap '' TERM; while :; do sleep 1; done"], stopTimeout: '2s' };

describe.skipIf(!requireSystem())('an apply of several containers', () => {
  const getHost = shareHost({
    start: async (host) => {
      // Layers stay in the store; what a failure leaves is looked for without them.
      const spec = writeSpec(host, 'first', { network: NETWORK });
      await succeed(host, 'apply', spec.file);
      await succeed(host, 'down', spec.name);
    },
  });

  it('of which one fails leaves none, and says which one it was', async () => {
    const host = getHost();
    const web = writeSpec(host, 'web', { network: { ...NETWORK, ports: ['8080:80'] } });
    const db = writeSpec(host, 'db', { network: NETWORK, ...BROKEN });
    const before = await host.snapshot();
    const { status, stderr } = await host.runspec('apply', web.file, db.file);
    expect(status).toBe(1);
    expect(stderr).toContain(`${web.name}: ${db.name} failed, undoing what was done`);
    expect(stderr).not.toContain('could not be undone');
    expect(await host.settledDiff(before)).toEqual([]);
    expect(await list(host)).toEqual([]);
  });

  it('keeps the others, and what there is of that one, when it is asked to', async () => {
    const host = getHost();
    const web = writeSpec(host, 'web', { network: NETWORK });
    const db = writeSpec(host, 'db', { network: NETWORK, ...BROKEN });
    const { status } = await host.runspec('apply', '--keep-on-failure', web.file, db.file);
    expect(status).toBe(1);
    expect(await drift(host, web.name)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('of which one fails brings back what was up, also who shares processes with it', async () => {
    const host = getHost();
    const web = writeSpec(host, 'web', { network: { ...NETWORK, ports: ['8080:80'] } });
    const joiner = `container:${web.name}`;
    const side = writeSpec(host, 'side', { namespaces: { network: joiner, pid: joiner } });
    await succeed(host, 'apply', web.file, side.file);
    const ports = { network: { ...NETWORK, ports: ['8081:80'] }, process: { args: [...WAIT, '1'] } };
    const changed = writeSpec(host, 'web', ports);
    const db = writeSpec(host, 'db', { network: NETWORK, ...BROKEN });
    const { status, stderr } = await host.runspec('apply', changed.file, side.file, db.file);
    expect(status).toBe(1);
    expect(stderr).not.toContain('could not be undone');
    for (const { name } of [web, side]) expect(await drift(host, name)).toEqual([]);
    const rules = await host.output(['nft', 'list', 'map', 'inet', 'runspec', 'ports']);
    expect(rules).toContain('8080');
    expect(rules).not.toContain('8081');
    await succeed(host, 'down', '--all');
  });

  it.each<readonly [string, SpecKeys]>([
    ['another bridge', { network: { bridge: 'sev1', subnet: '10.72.0.0/24' } }],
    ['no network', {}],
  ])('of which one fails on the way to %s brings back the bridge that all had left', async (_, next) => {
    const host = getHost();
    const bases = ['web', 'db', 'queue', 'side'];
    const process = { args: WAIT, stopTimeout: '0s' };
    const given = bases.map((base) => writeSpec(host, base, { process, network: NETWORK }));
    const files = given.map(({ file }) => file);
    await succeed(host, 'apply', ...files);
    for (const base of bases) writeSpec(host, base, { process, ...next });
    writeSpec(host, 'side', { ...next, ...UNSTARTABLE });
    const { status, stderr } = await host.runspec('apply', ...files);
    expect(status).toBe(1);
    expect(stderr).not.toMatch(/could not be undone|not cleaned up/);
    for (const { name } of given) expect(await drift(host, name)).toEqual([]);
    expect(await host.output(['ip', '-brief', 'link'])).not.toContain('sev1');
    await succeed(host, 'down', '--all');
  });

  it('of which one fails leaves nothing for one that had not begun', async () => {
    const host = getHost();
    const web = writeSpec(host, 'web', { process: STUBBORN });
    await succeed(host, 'apply', web.file);
    // Until the former process has ended, and that takes its time, the joiner does not begin.
    writeSpec(host, 'web', { process: { ...STUBBORN, env: { A: 'b' } } });
    const namespaces = { pid: `container:${web.name}` };
    const side = writeSpec(host, 'side', { namespaces, network: NETWORK });
    const db = writeSpec(host, 'db', { network: NETWORK, ...UNSTARTABLE });
    expect((await host.runspec('apply', web.file, side.file, db.file)).status).toBe(1);
    expect(await host.output(['ip', '-brief', 'link'])).not.toContain('sev0');
    expect(await host.output(['nft', 'list', 'tables'])).not.toContain('runspec');
    expect(await drift(host, web.name)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('of which one fails leaves no bridge that one of them is long in leaving', async () => {
    const host = getHost();
    const process = { args: WAIT, stopTimeout: '0s' };
    const db = writeSpec(host, 'db', { process, network: { bridge: 'sev1', subnet: '10.72.0.0/24' } });
    await succeed(host, 'apply', db.file);
    writeSpec(host, 'db', { process, network: NETWORK });
    const web = writeSpec(host, 'web', { process });
    const namespaces = { pid: `container:${web.name}` };
    const side = writeSpec(host, 'side', { process: STUBBORN, namespaces, network: NETWORK });
    const joining = { namespaces: { network: `container:${side.name}` }, ...UNSTARTABLE };
    const files = [db, web, side, writeSpec(host, 'queue', joining)].map(({ file }) => file);
    expect((await host.runspec('apply', ...files)).status).toBe(1);
    expect(await host.output(['ip', '-brief', 'link'])).not.toContain('sev0');
    expect(await drift(host, db.name)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('of which one fails leaves no bridge the IPv6 address that another was to have', async () => {
    const host = getHost();
    const process = { args: WAIT, stopTimeout: '0s' };
    const given = ['web', 'db'].map((base) => writeSpec(host, base, { process, network: NETWORK }));
    const files = given.map(({ file }) => file);
    await succeed(host, 'apply', ...files);
    writeSpec(host, 'web', { process, network: { ...NETWORK, subnet6: 'fd71::/64' } });
    writeSpec(host, 'db', { network: NETWORK, ...UNSTARTABLE });
    expect((await host.runspec('apply', ...files)).status).toBe(1);
    expect(await host.output(['ip', '-6', 'address', 'show', 'dev', 'sev0'])).not.toContain('fd71:');
    for (const { name } of given) expect(await drift(host, name)).toEqual([]);
    await succeed(host, 'down', '--all');
  });

  it('ends no process when one of them can be told ahead to fail', async () => {
    const host = getHost();
    const web = writeSpec(host, 'web', { network: NETWORK });
    const db = writeSpec(host, 'db', { network: NETWORK });
    await succeed(host, 'apply', web.file, db.file);
    const inits = [await identify(host, web.name), await identify(host, db.name)];
    writeSpec(host, 'web', { network: NETWORK, process: { args: [...WAIT, '1'] } });
    writeSpec(host, 'db', { network: NETWORK, ...BROKEN });
    expect((await host.runspec('apply', web.file, db.file)).status).toBe(1);
    expect([await identify(host, web.name), await identify(host, db.name)]).toEqual(inits);
    await succeed(host, 'down', '--all');
  });

  it('leaves those alone that are as they are to be', async () => {
    const host = getHost();
    const web = writeSpec(host, 'web', { network: NETWORK });
    await succeed(host, 'apply', web.file);
    const init = await identify(host, web.name);
    const db = writeSpec(host, 'db', { network: NETWORK, ...BROKEN });
    expect((await host.runspec('apply', web.file, db.file)).status).toBe(1);
    expect(await identify(host, web.name)).toEqual(init);
    expect(await drift(host, web.name)).toEqual([]);
    await succeed(host, 'down', web.name);
    expect(fs.existsSync(`${host.dataDir}/containers`)).toBe(false);
  });
});
