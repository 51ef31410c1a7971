import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import { joinNamespaces } from '../../src/runtime/joined-namespaces.ts';
import { nameEnded, type Joining } from '../../src/runtime/unjoinable.ts';
import { buildConfig } from '../../src/oci/config.ts';
import { makeInput } from '../oci/make-spec.ts';
import { host, makeTree } from './scratch-root.ts';

/** The pid of a process that is over. */
const { pid } = spawnSync('true');

/** A container whose process has written two lines in its former life and twelve in this one. */
function makeEnded(): Joining & { readonly bundle: string } {
  const lines = Array.from({ length: 12 }, (_, index) => `2026-01-01T00:00:02.5Z stderr F line ${index}`);
  const config = buildConfig(makeInput());
  const namespaces = [...config.linux.namespaces, { type: 'ipc', path: `/proc/${pid}/ns/ipc` }];
  const folder = makeTree({
    'containers/db/process.json': JSON.stringify({
      version: 1,
      container: 'db',
      bootId: 'a former one',
      init: { pid, startTime: '1' },
      startedAt: Date.parse('2026-01-01T00:00:02Z'),
      launch: {},
    }),
    'containers/db/exit': '7',
    'containers/db/log': `2026-01-01T00:00:01.5Z stdout F former\n${lines.join('\n')}\n`,
    'containers/web/bundle/config.json': JSON.stringify({
      ...config,
      linux: { ...config.linux, namespaces },
    }),
  });
  return { host, dataDir: folder, bundle: `${folder}/containers/web/bundle` };
}

function join(joining: Joining): Promise<unknown> {
  return joinNamespaces(joining, [{ type: 'pid', container: 'db' }]).catch((error: unknown) => error);
}

describe('a container that has ended, whose namespace is to be joined', () => {
  it('is told with its status and its last lines when this call has started it', async () => {
    expect(await join({ ...makeEnded(), together: ['db', 'web'] })).toMatchObject({
      message:
        'the pid namespace of db cannot be joined: db, applied by this same call, has ended with status 7',
      output: ['2', '3', '4', '5', '6', '7', '8', '9', '10', '11'].map((number) => `line ${number}`),
      path: ['namespaces', 'pid'],
    });
  });

  it('is told with its status and where its log is when it was there before', async () => {
    expect(await join({ ...makeEnded(), together: ['web'] })).toMatchObject({
      message: 'the pid namespace of db cannot be joined: db has ended with status 7',
      output: undefined,
      hint: expect.stringContaining('runspec logs db') as string,
    });
  });

  it('is told when it ends while the runtime is at work', async () => {
    const { bundle, ...joining } = makeEnded();
    const complaint = new OperationError('lstat: no such file or directory');
    expect(await nameEnded(joining, bundle, complaint)).toMatchObject({
      message: 'the ipc namespace of db cannot be joined: db has ended with status 7',
      cause: complaint,
    });
  });
});

it('a start that fails for another reason is told as it is', async () => {
  const folder = makeTree({ 'bundle/config.json': JSON.stringify(buildConfig(makeInput())), containers: '' });
  const complaint = new OperationError('no such user');
  expect(await nameEnded({ host, dataDir: folder }, `${folder}/bundle`, complaint)).toBe(complaint);
});
