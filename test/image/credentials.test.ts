import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/image/sources/challenge.ts';
import type { Host, RunOptions } from '../../src/host/host.ts';
import { authFiles, findCredentials, keysOf } from '../../src/image/sources/credentials.ts';

describe('a challenge', () => {
  it.each<[string, unknown]>([
    ['', []],
    ['Basic', [{ scheme: 'basic', parameters: {} }]],
    [
      'Basic realm="a \\"b\\", c", Bearer realm=x,scope="y z"',
      [
        { scheme: 'basic', parameters: { realm: 'a "b", c' } },
        { scheme: 'bearer', parameters: { realm: 'x', scope: 'y z' } },
      ],
    ],
    [
      'BEARER Realm = "https://auth.example/token" , Service="r"',
      [{ scheme: 'bearer', parameters: { realm: 'https://auth.example/token', service: 'r' } }],
    ],
    [
      'Negotiate, Basic realm="x"',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'x' } },
      ],
    ],
    ['Bearer realm="unfinished', [{ scheme: 'bearer', parameters: {} }]],
    ['"; junk', []],
  ])('%s', (header, challenges) => {
    expect(parseChallenges(header)).toEqual(challenges);
  });
});

describe('credentials', () => {
  it('of the registry that Docker has in a way of its own come from the helper that its file names so', async () => {
    const asked: unknown[] = [];
    const host = {
      environment: { REGISTRY_AUTH_FILE: '/auth.json' },
      readText: () => Promise.resolve('{"credHelpers":{"https://index.docker.io/v1/":"test"}}'),
      run: (argv: readonly string[], options: RunOptions) => {
        asked.push([...argv, options.stdin]);
        return Promise.resolve({ argv, status: 0, stdout: '{"Username":"me","Secret":"s"}', stderr: '' });
      },
    } as unknown as Host;
    const { signal } = new AbortController();
    expect(await findCredentials({ host, signal }, 'docker.io', 'library/alpine')).toEqual({
      username: 'me',
      password: 's',
    });
    expect(asked).toEqual([['docker-credential-test', 'get', 'https://index.docker.io/v1/']]);
  });

  it('are looked for where Podman and Docker keep them', () => {
    expect(authFiles({ HOME: '/root' })).toEqual([
      '/run/containers/0/auth.json',
      '/root/.config/containers/auth.json',
      '/root/.docker/config.json',
    ]);
    expect(
      authFiles({ HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1', DOCKER_CONFIG: '/d', XDG_CONFIG_HOME: '/x' }),
    ).toEqual(['/run/user/1/containers/auth.json', '/x/containers/auth.json', '/d/config.json']);
    expect(authFiles({ REGISTRY_AUTH_FILE: '/a' })).toEqual(['/a']);
    expect(keysOf('quay.io', 'a/b')).toEqual(['quay.io/a/b', 'quay.io/a', 'quay.io']);
  });
});
