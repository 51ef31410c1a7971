// A second apply that finds nothing to do takes no lock; one that finds anything left half done does, and mends it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli.ts';
import { createRehearsal, type Rehearsal } from '../support/rehearsal.ts';
import type { FakeMachine } from '../support/fake/machine.ts';

const DATA = '/var/lib/runspec';
const RECORD = `${DATA}/containers/web`;

let said = '';

beforeEach(() => {
  said = '';
  vi.stubGlobal('RUNSPEC_VERSION', 'test');
  vi.stubGlobal('RUNSPEC_BUILD', 'test');
  const write = (chunk: unknown, ...rest: readonly unknown[]): boolean => {
    said += String(chunk);
    const written = rest.at(-1);
    if (typeof written === 'function') (written as () => void)();
    return true;
  };
  vi.spyOn(process.stderr, 'write').mockImplementation(write);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  process.exitCode = 0;
});

/** A machine on which the container is up. */
async function start(): Promise<Rehearsal> {
  const rehearsal = createRehearsal();
  rehearsal.machine.files.makeDirectory(`${DATA}/images/tmp`, { mode: 0o700 });
  await rehearsal.run(main, 'apply /web.yaml');
  said = '';
  return rehearsal;
}

/** @returns how often it has taken the lock. */
async function applyAgain({ run }: Rehearsal, whenLocked?: () => void): Promise<number> {
  let locks = 0;
  await run(main, 'apply /web.yaml', (host) => ({
    ...host,
    lock: (...args) => {
      locks += 1;
      whenLocked?.();
      return host.lock(...args);
    },
  }));
  return locks;
}

function read({ files }: FakeMachine, file: string): string {
  const text = files.read(file);
  if (text === undefined) throw new Error(`${file} is not there`);
  return text;
}

/** But for the time at which a record was written. */
function dump(machine: FakeMachine): readonly string[] {
  return machine
    .dump()
    .map((line) => (line.startsWith(`${RECORD}/plan.json `) ? line.replace(/\\"at\\":.*/, '') : line));
}

/** What may be found, and what leaves it behind. */
const UNFINISHED: Readonly<Record<string, (machine: FakeMachine) => void>> = {
  'a file that a kill has kept from getting its name': ({ files }) =>
    files.put(`${DATA}/.shared.json.runspec-new`, '{'),
  'a layer that was being unpacked': ({ files }) =>
    files.makeDirectory(`${DATA}/images/tmp/999999-1-0`, { mode: 0o700 }),
  'a volume that was being filled': ({ files }) =>
    files.makeDirectory(`${DATA}/volumes/.new.999999-1-0`, { mode: 0o700 }),
  'marks of volumes that were being made': ({ files }) => {
    files.makeDirectory(`${DATA}/volumes/.web.new`, { mode: 0o700 });
    files.makeDirectory(`${DATA}/volumes/.web.new/data`, { mode: 0o700 });
  },
  'no note of its volumes': ({ files }) => files.drop(`${DATA}/volumes/.web`),
  'no record of what it shares': ({ files }) => files.drop(`${DATA}/shared.json`),
  'a damaged record of what it shares': (machine) =>
    machine.files.put(
      `${DATA}/shared.json`,
      read(machine, `${DATA}/shared.json`).replace('"before"', '"befor"'),
    ),
  'a plan that was being applied': (machine) =>
    machine.files.put(`${RECORD}/pending.json`, read(machine, `${RECORD}/plan.json`)),
  'a lock that its holder was killed with': ({ files }) => files.put(`${DATA}/.lock`, ''),
  'another value in a file of the kernel': ({ files }) =>
    files.put('/sys/fs/cgroup/pids/runspec/web/pids.max', 'max\n', { mode: 0o644 }),
};

describe('a second apply', () => {
  it('takes no lock and changes nothing', async () => {
    const rehearsal = await start();
    const before = rehearsal.machine.dump();
    expect(await applyAgain(rehearsal)).toBe(0);
    expect(rehearsal.machine.dump()).toEqual(before);
    expect(said).toBe('web is up to date, address 10.209.0.2, ports 0.0.0.0:8080->80/tcp\n');
  });

  it.each(Object.entries(UNFINISHED))('takes the lock for %s, and mends that', async (_, plant) => {
    const rehearsal = await start();
    const { machine } = rehearsal;
    const before = dump(machine);
    plant(machine);
    expect(dump(machine)).not.toEqual(before);
    expect(await applyAgain(rehearsal)).toBe(1);
    expect(dump(machine)).toEqual(before);
    expect(said.match(/^web is up/gm)).toHaveLength(1);
  });

  it('takes it for another text, once', async () => {
    const rehearsal = await start();
    const { machine } = rehearsal;
    machine.files.put('/web.yaml', `# A comment.\n${read(machine, '/web.yaml')}`);
    expect(await applyAgain(rehearsal)).toBe(1);
    expect(await applyAgain(rehearsal)).toBe(0);
    expect(said).toMatch(/^(web is up to date.*\n){2}$/);
  });

  it('takes it for the same text in another file, once, and then knows that file', async () => {
    const rehearsal = await start();
    const { machine, run } = rehearsal;
    machine.files.put('/moved.yaml', read(machine, '/web.yaml'));
    machine.files.drop('/web.yaml');
    const before = dump(machine);
    await run(main, 'apply /moved.yaml');
    expect(read(machine, `${RECORD}/plan.json`)).toContain('/moved.yaml');
    expect(dump(machine)).not.toEqual(before);
    said = '';
    const written = machine.dump();
    await run(main, 'apply web');
    expect(machine.dump()).toEqual(written);
    expect(said).toMatch(/^web is up to date/);
  });

  it('takes it when somebody else was at work meanwhile, and sees what that was', async () => {
    const rehearsal = await start();
    const { machine } = rehearsal;
    const limit = '/sys/fs/cgroup/pids/runspec/web/pids.max';
    let isOver = false;
    await rehearsal.run(main, 'apply /web.yaml', (host) => ({
      ...host,
      async readText(file) {
        const text = await host.readText(file);
        // Right after it was looked at.
        if (!isOver && file === limit) {
          await host.writeInPlace(limit, '7');
          isOver = true;
        }
        return text;
      },
      // A lock that comes and goes gives its folder another time.
      async status(file) {
        const status = await host.status(file);
        return status && file === DATA && isOver ? { ...status, mtimeNs: '1' } : status;
      },
    }));
    expect(isOver).toBe(true);
    expect(machine.files.read(limit)).toBe('100\n');
  });
});
