// leakcheck around other tools' commands: the status is theirs when nothing is left; what Podman and Docker leave, by
// design or because they were killed, is named.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { placeDockerd, type Dockerd } from '../support/dockerd.ts';
import { placePodman, type Podman } from '../support/podman.ts';
import { alpine, programs, requireSystem } from '../support/requirements.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

interface Difference {
  readonly class: string;
  readonly change: 'new' | 'gone';
  readonly key: string;
}

interface Found {
  readonly status: number;
  readonly clean: boolean;
  readonly differences: readonly Difference[];
}

const image = alpine();
const IMAGE = 'localhost/small';

const quote = (argv: readonly string[]): string => argv.map((word) => `'${word}'`).join(' ');

describe.skipIf(!requireSystem() || image === undefined)('leakcheck', () => {
  let made: TestHost | undefined;
  const host = (): TestHost => {
    if (made === undefined) throw new Error('the host could not be made');
    return made;
  };
  beforeAll(async () => {
    made = await createTestHost();
  });
  afterAll(async () => {
    await made?.destroy();
  });
  const check = async (settle: string, ...argv: readonly string[]) => {
    const { status, stdout, stderr } = await host().runspec(
      'leakcheck',
      '--json',
      '--settle',
      settle,
      '--',
      ...argv,
    );
    if (stdout === '') throw new Error(stderr);
    const { status: passedOn, differences } = JSON.parse(stdout) as Found;
    // Cgroups are the machine's, and other tests have theirs.
    const isOurs = ({ class: kind, key }: Difference): boolean =>
      kind !== 'cgroup' || key.includes(host().prefix);
    const lines = differences
      .filter(isOurs)
      .map(({ class: kind, change, key }) => `${change} ${kind} ${key}`);
    return { status, passedOn, isClean: differences.length === 0, lines };
  };
  /** Nothing of it is left; with cgroups of other tests that came meanwhile the status says so. */
  const expectClean = async (status: number, argv: readonly string[]): Promise<void> => {
    const found = await check('10s', ...argv);
    expect(found.lines).toEqual([]);
    expect(found.passedOn).toBe(status);
    expect(found.status).toBe(found.isClean ? status : 1);
  };
  const expectLeak = async (argv: readonly string[], leaks: readonly RegExp[]): Promise<void> => {
    const { status, lines } = await check('0ms', ...argv);
    expect(status).toBe(1);
    for (const leak of leaks) expect(lines).toContainEqual(expect.stringMatching(leak));
    expect(lines).not.toContainEqual(expect.stringMatching(/^new namespace (?:pipe|socket):/));
  };

  describe.skipIf(!programs('podman'))('around Podman', () => {
    let podman: Podman | undefined;
    const call = (...args: readonly string[]): readonly string[] => {
      if (podman === undefined) throw new Error('Podman could not be placed');
      return podman.podman(...args);
    };
    const run = (...args: readonly string[]): readonly string[] =>
      call('run', ...(podman?.place ?? []), '--publish', '8080:80', '--stop-timeout', '0', ...args);
    /** A container that comes and goes; in the foreground Podman takes 20 s for it on cgroupfs. */
    const comeAndGo = (status: number): readonly string[] => {
      const come = quote(run('--detach', '--name', 'box', IMAGE, 'sleep', '1000'));
      return ['sh', '-c', `${come} && ${quote(call('rm', '--force', 'box'))}; exit ${status}`];
    };

    beforeAll(async () => {
      podman = placePodman(host(), 'podman');
      await host().output(call('import', image ?? '', IMAGE));
    }, 60_000);

    it('names the chains that the first use leaves for ever, and nothing of the next', async () => {
      await expectLeak(comeAndGo(0), [
        /^new nft table ip nat \/ chain NETAVARK-HOSTPORT-DNAT$/,
        /^new mount \/run\/netns /,
      ]);
      await expectClean(7, comeAndGo(7));
    });

    it('names what a podman leaves that is killed in the middle', async () => {
      const script =
        '"$@" & until ip -o link | grep -q master; do sleep 0.01; done; kill -9 $!; wait $!; exit 3';
      await expectLeak(
        ['sh', '-c', script, 'sh', ...run('--name', 'killed', IMAGE, 'sleep', '1000')],
        [
          /^new link veth\w+ veth .* master podman0$/,
          /^new netns netns-/,
          /^new namespace net:\[\d+\]$/,
          /^new mount \/run\/netns\/netns-\S+ nsfs /,
        ],
      );
    });
  });

  describe.skipIf(!programs('dockerd', 'docker'))('around Docker', () => {
    let docker: Dockerd | undefined;
    const run = (...args: readonly string[]): readonly string[] => {
      if (docker === undefined) throw new Error('dockerd could not be placed');
      return docker.client('run', '--publish', '8090:80', ...args);
    };

    beforeAll(async () => {
      docker = await placeDockerd(host(), 'docker');
      await docker.start();
      await docker.docker('import', image ?? '', IMAGE);
      await host().output(run('--rm', IMAGE, 'true'));
    }, 120_000);
    afterAll(async () => {
      await docker?.docker('rm', '--force', 'box');
      await docker?.stop();
    }, 60_000);

    it('is clean around a container that comes and goes, with its status', async () => {
      await expectClean(7, run('--rm', IMAGE, 'sh', '-c', 'exit 7'));
    });

    it('names what a container in the background has on the host', async () => {
      await expectLeak(run('--detach', '--name', 'box', IMAGE, 'sleep', '1000'), [
        /^new link veth\w+ veth .* master docker0$/,
        /^new nft table ip nat \/ chain DOCKER \/ .*8090/,
        /^new process sleep sleep 1000$/,
        /^new cgroup \S+-docker\/[0-9a-f]{64}$/,
        /^new mount .*\/merged overlay /,
      ]);
    });
  });
});
