// kill -9 of what keeps a running container: conmon, the container's own process, or both. Whoever is left, `apply` brings it
// back and `down` takes it away.
import type { TestHost } from '../support/test-host.ts';
import type { Campaign } from './campaign.ts';
import { recover, required } from './kill.ts';
import { commandOf, descendants, pidNamespace, signal } from './processes.ts';
import type { Random } from './random.ts';
import { findResidue, mustSucceed, playRounds, writeBoth } from './scene.ts';

export const MONITOR: Campaign = {
  name: 'kill-running',
  title: '`kill -9` of conmon, of the container’s process or of both while it runs, then `down` or `apply`',
  rounds: 20,
  run: async (setting) => {
    const { random } = setting;
    const { ledger } = setting;
    const prepare = async (host: TestHost): Promise<void> => {
      const { one } = writeBoth(host, 'web');
      await required(mustSucceed(host, 'apply', one.file));
      await required(mustSucceed(host, 'down', '--volumes', one.name));
    };
    await playRounds(setting, ledger, prepare, async (scene) => {
      const { host } = scene;
      const { one, two } = writeBoth(host, 'web');
      const known = new Set(descendants(host.pid));
      await required(mustSucceed(host, 'apply', one.file));
      const killed = killSome(host, known, random);
      const way = await recover(host, random, one, two);
      const failures = [...way.failures, ...(await mustSucceed(host, 'down', '--volumes', one.name))];
      const label = `killed ${killed.join('+')}, then ${way.label}`;
      return { label, outcome: { failures, residue: await findResidue(scene) } };
    });
  },
};

function killSome(host: TestHost, known: ReadonlySet<number>, random: Random): readonly string[] {
  const own = pidNamespace(host.pid);
  const come = descendants(host.pid).filter((pid) => !known.has(pid));
  const whom = random.pick(['monitor', 'container', 'both'] as const);
  const victims = come.filter(
    (pid) => whom === 'both' || (pidNamespace(pid) === own) === (whom === 'monitor'),
  );
  return random.shuffle(victims).flatMap((pid) => {
    const name = commandOf(pid);
    return signal(pid, 'SIGKILL') ? [name] : [];
  });
}
