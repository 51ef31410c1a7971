// On one host with Docker Engine, whose FORWARD chain drops what none of its rules accepts: both reach their containers,
// and what is Docker's is as before when ours is down.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drift, identify, inside, pending, succeed } from '../support/containers.ts';
import { listRules, placeDockerd, type Dockerd } from '../support/dockerd.ts';
import { alpine, programs, requireSystem } from '../support/requirements.ts';
import { serve, writeSpec, type PlacedSpec, type SpecKeys } from '../support/specs.ts';
import { ask, startServer, type Run } from '../support/talk.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

/** dockerd on a busy machine, and a server that was just started. */
const SOON = { timeout: 60_000, interval: 100 };

const NET = { bridge: 'beside0', subnet: '10.63.0.0/24' };

const image = alpine();

describe.skipIf(!requireSystem() || image === undefined || !programs('dockerd', 'docker', 'iptables'))(
  'beside Docker',
  () => {
    let made: TestHost | undefined;
    let daemon: Dockerd | undefined;
    let before = '';
    const host = (): TestHost => {
      if (made === undefined) throw new Error('the host could not be made');
      return made;
    };
    const docker = (...args: readonly string[]): Promise<string> => {
      if (daemon === undefined) throw new Error('dockerd could not be placed');
      return daemon.docker(...args);
    };
    const rules = (): Promise<string> => listRules(host());
    const onRemote: Run = (argv) => host().remote.exec(argv);
    const write = (base: string, network: SpecKeys): PlacedSpec =>
      writeSpec(host(), base, { process: { args: serve(base, 'tcp:80') }, network });

    beforeAll(async () => {
      made = await createTestHost();
      daemon = await placeDockerd(made, 'docker');
      await daemon.start();
      await made.output(['iptables', '-w', '-P', 'FORWARD', 'DROP']);
      await docker('import', image ?? '', 'small');
      // Only the first of its ports is published.
      const answer = ['sh', '-c', 'nc -lk -p 81 -e echo docker & exec nc -lk -p 80 -e echo docker'];
      await docker('run', '--detach', '--name', 'theirs', '--publish', '8090:80', 'small', ...answer);
      before = await rules();
    }, 120_000);

    afterAll(async () => {
      if (daemon !== undefined) {
        await docker('rm', '--force', 'theirs');
        await daemon.stop();
      }
      await made?.destroy();
    }, 60_000);

    it('a container is reached and reaches beyond, as Docker’s own still are; after down the rules are as before', async () => {
      const { address, remote } = host();
      expect(await succeed(host(), 'doctor')).toMatch(/^ok +firewall +Docker/m);
      const web = write('web', { ...NET, address: '10.63.0.2', ports: ['8080:80'] });
      const other = write('other', { ...NET, address: '10.63.0.3' });
      const alone = write('alone', { mode: 'veth', subnet: '10.64.0.0/24', ports: ['8081:80'] });
      // Docker's policy stops nothing that the rule in its chain lets pass: there is nothing to warn of.
      expect((await host().runspec('plan', web.file, alone.file)).stderr).toBe('');
      await succeed(host(), 'apply', web.file, other.file, alone.file);
      const added = (await host().output(['iptables', '-w', '-S', 'DOCKER-USER'])).split('\n');
      expect(added.filter((line) => line.includes('runspec'))).toHaveLength(2);
      await expect.poll(() => ask(onRemote, { address, port: 8080 }), SOON).toMatch(/^web /);
      await expect.poll(() => ask(onRemote, { address, port: 8081 }), SOON).toMatch(/^alone /);
      expect(await ask((argv) => host().exec(argv), { address: '127.0.0.1', port: 8080 })).toMatch(/^web /);
      const stop = await startServer(host().remote, 'beyond', 'tcp:7000');
      for (const { name } of [web, alone])
        expect(await ask(inside(host(), name), { address: remote.beyond, port: 7000 })).toMatch(/^beyond /);
      await stop();
      await expect.poll(() => ask(onRemote, { address, port: 8090 }), SOON).toBe('docker');
      expect(await ask(inside(host(), web.name), { address, port: 8090 })).toBe('docker');
      // What nobody published nobody gets to, in neither direction.
      const theirs = (await docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', 'theirs')).trim();
      const unpublished = { address: theirs, port: 81, seconds: 1 };
      expect(await ask((argv) => host().exec(argv), unpublished)).toBe('docker');
      expect(await ask(inside(host(), web.name), unpublished)).toBeUndefined();
      await remote.output(['ip', 'route', 'add', '10.63.0.0/24', 'via', address]);
      expect(await ask(onRemote, { address: '10.63.0.2', port: 80, seconds: 1 })).toBeUndefined();
      expect(await pending(host(), web.file)).toEqual([]);
      // The rule goes with the last user of the network.
      await succeed(host(), 'down', web.name, alone.name);
      expect(await host().output(['iptables', '-w', '-S'])).toContain('-j runspec-beside0');
      await succeed(host(), 'down', other.name);
      expect(await rules()).toBe(before);
      expect(await ask(onRemote, { address, port: 8090 })).toBe('docker');
    });

    it('who gets to a network of Docker’s is left to Docker, whatever its bridge is called', async () => {
      const named = async (name: string): Promise<unknown> =>
        docker('network', 'create', '--opt', `com.docker.network.bridge.name=${name}`, name);
      await named('named0');
      const serve80 = ['nc', '-lk', '-p', '80', '-e', 'echo', 'named'];
      await docker('run', '--detach', '--name', 'apart', '--network', 'named0', 'small', ...serve80);
      const format = '{{.NetworkSettings.Networks.named0.IPAddress}}';
      const address = (await docker('inspect', '--format', format, 'apart')).trim();
      const present = await rules();
      const inTheirs: Run = (argv) =>
        host().exec(
          daemon?.client('exec', 'theirs', ...argv.slice(0, 2), 'sh', '-c', `nc ${address} 80`) ?? [],
        );
      const web = write('web', { ...NET, ports: ['8080:80'] });
      const joined = write('joined', { bridge: 'docker0', address: '172.17.0.77', ports: ['8081:80'] });
      await succeed(host(), 'apply', web.file, joined.file);
      await expect
        .poll(() => ask(onRemote, { address: host().address, port: 8081 }), SOON)
        .toMatch(/^joined /);
      expect(await ask((argv) => host().exec(argv), { address, port: 80 })).toBe('named');
      for (const run of [inside(host(), web.name), inside(host(), joined.name), inTheirs])
        expect(await ask(run, { address, port: 80, seconds: 1 })).toBeUndefined();
      // One that comes later is seen by the next look.
      expect(await pending(host(), web.file)).toEqual([]);
      await named('named1');
      expect(await drift(host(), web.name)).toEqual(['docker:beside0 drifted']);
      await succeed(host(), 'apply', web.file);
      await docker('network', 'rm', 'named1');
      expect(await pending(host(), web.file)).toEqual([]);
      await succeed(host(), 'down', web.name, joined.name);
      expect(await rules()).toBe(present);
      await docker('rm', '--force', 'apart');
      await docker('network', 'rm', 'named0');
    });

    it('a rule that is missing is seen, and put back without a restart', async () => {
      const { address } = host();
      const web = write('web', { ...NET, ports: ['8080:80'] });
      await succeed(host(), 'apply', web.file);
      await expect.poll(() => ask(onRemote, { address, port: 8080 }), SOON).toMatch(/^web /);
      const process = await identify(host(), web.name);
      for (const damage of ['-F DOCKER-USER', '-F runspec-beside0']) {
        await host().output(['iptables', '-w', ...damage.split(' ')]);
        expect(await ask(onRemote, { address, port: 8080, seconds: 1 })).toBeUndefined();
        const status = await host().runspec('status', web.name);
        expect(status.status).toBe(3);
        expect(status.stdout).toMatch(/docker:beside0 .*drifted|drifted .*docker:beside0/);
        await succeed(host(), 'apply', web.file);
        expect(await ask(onRemote, { address, port: 8080 })).toMatch(/^web /);
      }
      expect(await identify(host(), web.name)).toBe(process);
      await succeed(host(), 'down', web.name);
      // The one that Docker put there, which went with the flush.
      await host().output(['iptables', '-w', '-A', 'DOCKER-USER', '-j', 'RETURN']);
      expect(await rules()).toBe(before);
    });

    it('a rule without a record is found by its owner’s name', async () => {
      for (const network of [NET, { mode: 'veth', subnet: '10.64.0.0/24' }]) {
        const lost = write('lost', network);
        await succeed(host(), 'apply', lost.file);
        fs.rmSync(path.join(host().dataDir, 'containers', lost.name, 'plan.json'));
        fs.rmSync(path.join(host().dataDir, 'shared.json'), { force: true });
        await succeed(host(), 'down', lost.name);
        await succeed(host(), 'gc');
        expect(await rules()).toBe(before);
      }
    });
  },
);
