// Which bridges are Docker's is told by its own rules, of whatever version.
import { expect, it } from 'vitest';
import { readDockerUser } from '../../src/host/docker-user.ts';
import type { Host } from '../../src/host/host.ts';

const read = (...rules: readonly string[]) => {
  const stdout = ['-P FORWARD DROP', '-N DOCKER-USER', ...rules.map((rule) => `-A ${rule}`), ''].join('\n');
  const host: Pick<Host, 'which' | 'run'> = {
    which: async () => '/usr/sbin/iptables',
    run: async (argv) => ({ argv, status: 0, stdout, stderr: '' }),
  };
  return readDockerUser(host as Host);
};

it.each<readonly [string, readonly string[]]>([
  [
    '20.10',
    [
      'FORWARD -j DOCKER-USER',
      'FORWARD -o mynet -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      'FORWARD -o mynet -j DOCKER',
      'FORWARD -i mynet ! -o mynet -j ACCEPT',
      'FORWARD -o docker0 -j DOCKER',
      'DOCKER-ISOLATION-STAGE-1 -i mynet ! -o mynet -j DOCKER-ISOLATION-STAGE-2',
    ],
  ],
  [
    '28',
    [
      'FORWARD -j DOCKER-USER',
      'FORWARD -j DOCKER-FORWARD',
      'DOCKER ! -i docker0 -o docker0 -j DROP',
      'DOCKER-BRIDGE -o mynet -j DOCKER',
      'DOCKER-FORWARD -i mynet -j ACCEPT',
    ],
  ],
])('Docker %s has the bridges that its rules lead packets to', async (_, rules) => {
  const others = ['FORWARD -i mynet ! -o eth0 -j ACCEPT', 'FORWARD -o virbr0 -j LIBVIRT_FWI'];
  const ours = ['DOCKER-USER -o guest0 -j ACCEPT', 'runspec-br9 -o br9 -j ACCEPT'];
  expect((await read(...rules, ...others, ...ours))?.bridges).toEqual(['docker0', 'mynet']);
});
