// Scenario B: specs/nginx.yaml, a real nginx on a bridge with a published port and a bound folder.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { copySpec, type PlacedSpec } from '../support/specs.ts';
import { getPage, type Run } from '../support/talk.ts';

const hasNginx = requireSystem() && fs.existsSync('/usr/sbin/nginx');
if (!hasNginx) console.warn('skipped: specs/nginx.yaml: no /usr/sbin/nginx (scripts/setup installs it)');

describe.skipIf(!hasNginx)('specs/nginx.yaml', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      spec = copySpec(host, 'nginx.yaml');
      await succeed(host, 'apply', spec.file);
    },
  });
  const onHost: Run = (argv) => getHost().exec(argv);
  const onRemote: Run = (argv) => getHost().remote.exec(argv);
  const page = () => path.join(spec.folder, 'site/index.html');

  it('serves the page to this host by 127.0.0.1, its own address and the container’s', async () => {
    const wanted = { status: 'HTTP/1.1 200 OK', body: fs.readFileSync(page(), 'utf8') };
    await expect.poll(() => getPage(onHost, '127.0.0.1', 8080), { timeout: 20_000 }).toEqual(wanted);
    expect(await getPage(onHost, getHost().address, 8080)).toEqual(wanted);
    expect(await getPage(onHost, '172.18.0.2', 80)).toEqual(wanted);
  });

  it('serves the page to another host', async () => {
    const answer = await getPage(onRemote, getHost().address, 8080);
    expect(answer).toEqual({ status: 'HTTP/1.1 200 OK', body: fs.readFileSync(page(), 'utf8') });
  });

  it('serves an edit of the bound folder, in place or by a new file of the same name', async () => {
    fs.writeFileSync(page(), 'edited in place');
    expect((await getPage(onRemote, getHost().address, 8080))?.body).toBe('edited in place');
    fs.writeFileSync(`${page()}.new`, 'put in its place');
    fs.renameSync(`${page()}.new`, page());
    expect((await getPage(onRemote, getHost().address, 8080))?.body).toBe('put in its place');
  });

  it('logs each request', async () => {
    await getPage(onRemote, getHost().address, 8080, '/not-there');
    const logs = async () => (await getHost().runspec('logs', spec.name)).stdout;
    await expect.poll(logs, { timeout: 10_000 }).toContain('GET /not-there');
  });

  it('runs on the bridge and in the cgroup that the spec names', async () => {
    const ports = await getHost().output(['ip', '-json', 'link', 'show', 'master', 'br0']);
    expect(JSON.parse(ports)).toMatchObject([{ ifalias: `runspec:${spec.name}` }]);
    expect(await getHost().output(['ip', 'address', 'show', 'br0'])).toContain('172.18.0.1/24');
    const { pid } = await find(getHost(), spec.name);
    expect(await getHost().output(['cat', `/proc/${pid}/cgroup`])).toContain(`/runspec/${spec.name}`);
  });

  it('cannot write to the bound folder, and has the host’s files nowhere else', async () => {
    // nginx's own container has no shell: its root is entered from here.
    const { pid } = await find(getHost(), spec.name);
    const inRoot = ['nsenter', '--target', String(pid), '--mount', '--wd=/usr/share/nginx/html'];
    const html = `/proc/${pid}/root/usr/share/nginx/html`;
    expect((await onHost(['touch', `${html}/written`])).stderr).toContain('Read-only file system');
    const listed = fs.readdirSync(`/proc/${getHost().pid}/root${html}`);
    expect(listed).toEqual(['index.html']);
    expect((await onHost([...inRoot, 'ls', '/work'])).status).not.toBe(0);
  });

  it('drains its requests at SIGQUIT and is gone within its time', async () => {
    await succeed(getHost(), 'down', spec.name);
    expect(await getPage(onHost, '127.0.0.1', 8080)).toBeUndefined();
    expect(await list(getHost())).toEqual([]);
  });
});
