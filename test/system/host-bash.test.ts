// Scenario E: specs/host-bash.yaml, a root file system made of this machine's own files, with a web server.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { copySpec, type PlacedSpec } from '../support/specs.ts';
import { getPage } from '../support/talk.ts';

describe.skipIf(!requireSystem())('specs/host-bash.yaml', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      spec = copySpec(host, 'host-bash.yaml');
      await succeed(host, 'apply', spec.file);
    },
  });
  const inside = (...argv: readonly string[]) => getHost().runspec('exec', spec.name, '--', ...argv);

  it('runs bash from the closure of its libraries', async () => {
    const { stdout } = await inside('/bin/bash', '-c', 'echo "$BASH_VERSION"; echo *; type -P ls');
    expect(stdout).toMatch(/^\d+\.\d+/);
    expect(stdout).not.toContain('work');
    expect((await inside('/bin/ls', '/')).stdout.split('\n')).toContain('srv');
  });

  it('has nothing of the host but the files that were named and what they load', async () => {
    const { stdout } = await inside(
      '/bin/bash',
      '-c',
      'ls /bin /usr/bin /usr/sbin /sbin 2>/dev/null; cat /etc/shadow',
    );
    expect(stdout.split('\n')).toContain('perl');
    expect(stdout.split('\n')).not.toContain('mount');
    expect((await inside('/bin/cat', '/etc/shadow')).status).not.toBe(0);
  });

  it('answers over the veth pair', async () => {
    const page = await getPage((argv) => getHost().exec(argv), '10.2.2.3', 8000);
    expect(page).toEqual({ status: 'HTTP/1.0 200 OK', body: 'hello from the files of this host\n' });
    const { stdout } = await getHost().exec(['ip', '-json', 'address', 'show']);
    expect(stdout).toContain('"local":"10.2.2.1"');
  });

  it('cannot be reached from other hosts that route to its address: nothing is published', async () => {
    const host = getHost();
    await host.remote.output(['ip', 'route', 'replace', '10.2.2.0/24', 'via', host.address]);
    expect(
      await getPage((argv) => host.remote.exec(['timeout', '1', ...argv]), '10.2.2.3', 8000),
    ).toBeUndefined();
    await host.remote.output(['ip', 'route', 'delete', '10.2.2.0/24']);
  });

  it('shows what was changed in it, and keeps that as a version that runs', async () => {
    const host = getHost();
    expect(await succeed(host, 'diff', spec.name)).toBe('');
    await inside('/bin/bash', '-c', 'echo the second version >/srv/index.html; echo note >/srv/note');
    expect(await succeed(host, 'diff', spec.name)).toBe('C /srv\nC /srv/index.html\nA /srv/note\n');
    const layout = path.join(spec.folder, 'versions');
    await succeed(host, 'commit', spec.name, '--output', `oci:${layout}:v2`);
    const version = host.name('v2');
    const file = path.join(spec.folder, 'v2.json');
    const network = { mode: 'veth', subnet: '10.2.3.0/24', gateway: '10.2.3.1', address: '10.2.3.3' };
    fs.writeFileSync(
      file,
      JSON.stringify({ runspec: 1, name: version, rootfs: { image: 'oci:./versions:v2' }, network }),
    );
    await succeed(host, 'apply', file);
    expect(await getPage((argv) => host.exec(argv), '10.2.3.3', 8000)).toMatchObject({
      body: 'the second version\n',
    });
    expect(await succeed(host, 'diff', version)).toBe('');
    await succeed(host, 'down', version);
  });
});
