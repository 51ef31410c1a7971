// Scenario D: specs/skopeo-alpine.yaml runs from a folder as skopeo writes it, with half a CPU and 10 MiB.
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { shareOfBusyLoop } from '../support/busy-loop.ts';
import { find, inside, pending, succeed } from '../support/containers.ts';
import { writeLayout } from '../support/oci-layout.ts';
import { alpine, programs, requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { copySpec, type PlacedSpec } from '../support/specs.ts';

const archive = requireSystem() && programs('skopeo') ? alpine() : undefined;

describe.skipIf(archive === undefined)('specs/skopeo-alpine.yaml', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    prepare: (host) => {
      const tar = gunzipSync(fs.readFileSync(archive ?? ''));
      const config = { Cmd: ['/bin/sh'], Env: ['FROM=image'] };
      writeLayout(path.join(host.folder, 'layout'), '3.20', { layers: [{ tar }], config });
      return Promise.resolve();
    },
    start: async (host) => {
      spec = copySpec(host, 'skopeo-alpine.yaml');
      const layout = path.join(host.folder, 'layout');
      await host.output(['skopeo', 'copy', `oci:${layout}:3.20`, `dir:${spec.folder}/alpine`]);
      await succeed(host, 'apply', spec.file);
    },
  });
  const sh = (script: string) => inside(getHost(), spec.name)(['sh', '-c', script]);

  it('runs what the image says, in the namespaces and the cgroup that exec enters', async () => {
    const script =
      'cat /etc/alpine-release; echo $FROM; cat /proc/1/comm; readlink /proc/self/ns/net; readlink /proc/1/ns/net';
    const { stdout } = await sh(script);
    const [release, from, first, own, init] = stdout.split('\n');
    expect({ release, from, first }).toEqual({ release: '3.20.3', from: 'image', first: 'sh' });
    expect(own).toBe(init);
  });

  it('gets half a CPU', async () => {
    const share = await shareOfBusyLoop(getHost(), spec.name, 0.2);
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.6);
  });

  it('cannot have more than 10 MiB', async () => {
    expect((await sh('tail /dev/zero')).status).toBe(137);
    expect(await find(getHost(), spec.name)).toMatchObject({ state: 'running' });
  });

  it('changes nothing the second time, and unpacks nothing for a second container', async () => {
    const host = getHost();
    expect(await pending(host, spec.file)).toEqual([]);
    const layers = fs.readdirSync(path.join(host.dataDir, 'images/layers'));
    const other = host.write(
      path.join(path.relative(host.folder, spec.folder), 'other.json'),
      JSON.stringify({
        runspec: 1,
        name: host.name('other'),
        rootfs: { image: 'dir:./alpine' },
        process: { terminal: true, stopSignal: 'SIGKILL' },
      }),
    );
    const events = await succeed(host, 'apply', '--json', other);
    expect(events).not.toContain('"op":"layer"');
    expect(fs.readdirSync(path.join(host.dataDir, 'images/layers'))).toEqual(layers);
    await succeed(host, 'down', other);
  });
});
