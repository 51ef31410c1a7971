// The tree that runspec's overlay shows of an image is the one that umoci and Podman unpack. On a real kernel, but
// below the command line: these trees hold no program that could be run.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLinuxArchives } from '../../src/host/linux-archives.ts';
import { createLinuxHost } from '../../src/host/linux.ts';
import { layerKey } from '../../src/image/digest.ts';
import { makeImageLayer } from '../../src/image/image-layer.ts';
import { hasLayer, layerPath } from '../../src/image/store.ts';
import { mountpoints } from '../../src/ops/mountpoints.ts';
import type { OpContext } from '../../src/ops/op.ts';
import { overlay } from '../../src/ops/overlay.ts';
import { blobPath, writeLayout, type WrittenImage } from '../support/oci-layout.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';
import { describeTree } from '../support/tree.ts';
import type { Difference, Peer } from '../support/layer-words.ts';
import { DELETIONS } from './tree-deletions.ts';
import { CONTENTS } from './tree-images.ts';

describe.skipIf(!requireSystem() || !programs('umoci', 'podman', 'getfattr', 'zstd'))(
  'the tree of an image',
  () => {
    let host: TestHost;
    let context: OpContext;

    beforeAll(async () => {
      host = await createTestHost();
      context = contextOf(host);
    });
    afterAll(() => host.destroy());

    /** Layers into the store, then the two steps of a container that make them one root. */
    async function show(name: string, image: WrittenImage, layout: string): Promise<readonly string[]> {
      const lower: string[] = [];
      for (const layer of image.layers) {
        const key = layerKey(layer.diffId);
        const blob = blobPath(layout, layer.descriptor.digest);
        if (!(await hasLayer(context.host, host.dataDir, key))) {
          await makeImageLayer(context, layout, layer, async () => fs.createReadStream(blob));
        }
        lower.push(layerPath(host.dataDir, key));
      }
      // As for every container: an overlay takes a folder once, and the topmost of two equal layers decides.
      const distinct = lower.filter((one, index) => lower.lastIndexOf(one) === index);
      const [top, target, upper, work] = ['top', 'root', 'upper', 'work'].map((one) =>
        path.join(host.folder, 'roots', name, one),
      ) as [string, string, string, string];
      for (const one of [target, upper, work]) fs.mkdirSync(one, { recursive: true });
      const base = { id: 'x', needs: [], after: [] };
      await mountpoints.apply(
        context,
        { ...base, op: 'mountpoints', path: top, lower: distinct, targets: [] },
        {},
      );
      const step = { ...base, op: 'overlay', target, lower: [...distinct, top], upper, work } as const;
      await overlay.apply(context, step, {});
      return describeTree(`/proc/${host.pid}/root${target}`);
    }

    const peers: Readonly<Record<Peer, (layout: string, name: string) => Promise<readonly string[]>>> = {
      async umoci(layout, name) {
        const bundle = path.join(host.folder, 'umoci', name);
        fs.mkdirSync(path.dirname(bundle), { recursive: true });
        await host.output(['umoci', 'unpack', '--image', `${layout}:${name}`, bundle]);
        return describeTree(path.join(bundle, 'rootfs'));
      },
      async podman(layout, name) {
        const at = (one: string): string => path.join(host.folder, 'podman', one);
        // Everything it keeps in a folder of ours, and the one driver that shows plain folders.
        const config = `
[engine]
static_dir = "${at('libpod')}"
tmp_dir = "${at('tmp')}"
volume_path = "${at('volumes')}"
[network]
network_config_dir = "${at('networks')}"
`;
        const env = { CONTAINERS_CONF: host.write('podman.conf', config), TMPDIR: host.folder };
        const podman = ['podman', '--root', at('root'), '--runroot', at('run'), '--storage-driver', 'vfs'];
        // A relative path: it makes a name of it, which may have no capitals.
        const image = `oci:${path.basename(layout)}:${name}`;
        const id = await host.output([...podman, 'pull', '--quiet', image], { env });
        const folder = await host.output([...podman, 'image', 'mount', id.trim()], { env });
        return describeTree(folder.trim());
      },
    };

    for (const [index, image] of [...CONTENTS, ...DELETIONS].entries()) {
      it(`is the same to runspec, umoci and Podman: ${image.name}`, async () => {
        const layout = path.join(host.folder, 'layout');
        const tag = `t${index}`;
        const shown = await show(tag, writeLayout(layout, tag, image), layout);
        for (const peer of ['umoci', 'podman'] as const) {
          const tree = await peers[peer](layout, tag).catch((error: unknown) => [
            `no tree: ${String(error)}`,
          ]);
          expect({ peer, differences: compare(shown, tree, image.differs?.[peer]) }).toEqual({
            peer,
            differences: [],
          });
        }
      });
    }
  },
);

/** Lines that only one of the two has and nobody expects; and differences that are expected but not there. */
function compare(
  runspec: readonly string[],
  peer: readonly string[],
  difference: Difference | undefined,
): readonly string[] {
  if (difference?.refusal !== undefined) {
    const refused = peer.some((line) => line.startsWith('no tree') && difference.refusal?.test(line));
    return refused ? [] : [`the peer should refuse it with ${difference.refusal.source}`];
  }
  const { runspec: ours = [], peer: theirs = [] } = difference?.lines ?? {};
  const only = [...unexpected('runspec', runspec, peer, ours), ...unexpected('peer', peer, runspec, theirs)];
  return only;
}

function unexpected(
  who: string,
  lines: readonly string[],
  others: readonly string[],
  expected: readonly RegExp[],
): readonly string[] {
  const only = lines.filter((line) => !others.includes(line));
  return [
    ...only.filter((line) => !expected.some((one) => one.test(line))).map((line) => `only ${who}: ${line}`),
    ...expected
      .filter((one) => !only.some((line) => one.test(line)))
      .map((one) => `${who} should differ by ${one.source}`),
  ];
}

/** The real machine, with commands run in the mount namespace of the test host. */
function contextOf(host: TestHost): OpContext {
  const machine = createLinuxHost();
  return {
    host: {
      ...machine,
      run: (argv, { cwd } = {}) => host.exec(cwd === undefined ? argv : ['env', `--chdir=${cwd}`, ...argv]),
    },
    archives: createLinuxArchives(),
    view: undefined as never,
    stateDir: host.stateDir,
    dataDir: host.dataDir,
    container: 'tree',
    signal: new AbortController().signal,
    onSignal: () => () => undefined,
    reached: async () => undefined,
    progress: () => undefined,
  };
}
