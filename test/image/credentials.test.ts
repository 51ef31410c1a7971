import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/image/sources/challenge.ts';
import { authFiles, keysOf } from '../../src/image/sources/credentials.ts';

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
