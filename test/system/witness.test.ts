// A second witness: ../shared/tools/hostsnap, which knows neither runspec nor its oracle, sees no trace either.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { SPECS, WAIT, writeSpec } from '../support/specs.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

const HOSTSNAP = path.resolve(import.meta.dirname, '../../../shared/tools/hostsnap');
const isThere = fs.existsSync(HOSTSNAP);
if (!isThere) console.warn(`skipped: the second witness: no ${HOSTSNAP}`);

/** Its lines, without cgroups of other hosts: those are the machine's. */
async function look(host: TestHost): Promise<readonly string[]> {
  const text = await host.output([HOSTSNAP, '-d', '/run', '-d', host.dataDir, '-d', host.stateDir]);
  return text
    .split('\n')
    .filter((line) => !line.startsWith('cgroup') || line.includes(`/runspec/${host.prefix}-`));
}

describe.skipIf(!requireSystem() || !isThere)('a second witness', () => {
  it('sees containers that are up, and nothing of them once they are down', async () => {
    const host = await createTestHost();
    try {
      const network = { bridge: 'seen0', ports: ['8080:80', '127.0.0.1:5353:53/udp'] };
      const resources = { cpus: 0.5, memory: '64M', pids: 50 };
      const mounts = [{ type: 'volume', source: 'seen', destination: '/seen' }];
      const bridged = writeSpec(host, 'bridged', { network, resources, mounts });
      const routed = writeSpec(host, 'routed', { network: { mode: 'veth' }, writable: 'persistent' });
      const plain = writeSpec(host, 'plain', { process: { args: WAIT, terminal: true } });
      // The first time fills the store, which stays.
      const turn = async (): Promise<void> => {
        await succeed(host, 'apply', path.join(host.folder, SPECS));
        up = await look(host);
        await succeed(host, 'down', '--volumes', bridged.name, routed.name, plain.name);
      };
      let up: readonly string[] = [];
      await turn();
      const before = await look(host);
      await turn();
      await expect.poll(() => look(host), { timeout: 10_000 }).toEqual(before);
      for (const { name } of [bridged, routed, plain]) expect(up.join('\n')).toContain(name);
    } finally {
      await host.destroy();
    }
  });
});
