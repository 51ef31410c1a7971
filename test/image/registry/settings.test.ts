// Settings and headers as data: each case is a text and what it means.
import { describe, expect, it } from 'vitest';
import { isTransient, parseRetryAfter } from '../../../src/host/http.ts';
import { proxyFor } from '../../../src/host/linux-proxy.ts';
import { parseRegistrySettings } from '../../../src/image/sources/endpoints.ts';

describe('the settings of registries', () => {
  const settings = parseRegistrySettings({
    RUNSPEC_INSECURE_REGISTRIES: 'reg.lan:5000, 192.0.2.1',
    RUNSPEC_REGISTRY_MIRRORS: 'docker.io=mirror.lan:5000,docker.io=proxy.lan/hub/,quay.io=mirror.lan',
  });

  it.each<[string, boolean]>([
    ['reg.lan:5000', true],
    ['reg.lan', false],
    ['192.0.2.1', true],
    ['localhost:5000', false],
    ['127.8.9.10:5000', false],
    ['[::1]:5000', false],
    ['127.0.0.1.example:5000', false],
    ['docker.io', false],
  ])('make %s insecure: %s', (host, allowed) => expect(settings.isInsecure(host)).toBe(allowed));

  it.each<[string, string, readonly string[]]>([
    [
      'docker.io',
      'library/a',
      ['mirror.lan:5000/library/a', 'proxy.lan/hub/library/a', 'registry-1.docker.io/library/a'],
    ],
    ['quay.io', 'a/b', ['mirror.lan/a/b', 'quay.io/a/b']],
    ['r.example:5000', 'a', ['r.example:5000/a']],
  ])('send %s/%s to %j', (registry, repository, places) => {
    const endpoints = settings.endpointsOf(registry, repository);
    expect(endpoints.map((endpoint) => `${endpoint.host}/${endpoint.repository}`)).toEqual(places);
    // A mirror is not signed in to with the credentials of what it mirrors.
    expect(endpoints.map((endpoint) => endpoint.registry)).toEqual([
      ...places.slice(0, -1).map((place) => place.split('/')[0]),
      registry,
    ]);
  });

  it.each([
    { RUNSPEC_INSECURE_REGISTRIES: 'http://reg.lan' },
    { RUNSPEC_INSECURE_REGISTRIES: 'reg.lan/a' },
    { RUNSPEC_REGISTRY_MIRRORS: 'docker.io' },
    { RUNSPEC_REGISTRY_MIRRORS: 'docker.io=https://mirror' },
    { RUNSPEC_REGISTRY_MIRRORS: 'docker.io=a@b' },
    { RUNSPEC_REGISTRY_MIRRORS: 'docker.io=a=b' },
  ])('are refused when they cannot be understood: %j', (environment) => {
    const [name = ''] = Object.keys(environment);
    expect(() => parseRegistrySettings(environment)).toThrow(new RegExp(`^${name} has .* not understood$`));
  });

  it.each(['docker.io=https://mu:hunter2@127.0.0.1:5', 'docker.io=mu:hunter2@mirror', 'a=b/c?key=hunter2'])(
    'are not repeated where they may hold a login: %s',
    (RUNSPEC_REGISTRY_MIRRORS) => {
      expect(() => parseRegistrySettings({ RUNSPEC_REGISTRY_MIRRORS })).toThrow(
        'RUNSPEC_REGISTRY_MIRRORS has an entry with @ or ?, which is not understood',
      );
    },
  );
});

it.each<[string | undefined, number | undefined]>([
  [undefined, undefined],
  ['3', 3000],
  ['Thu, 01 Jan 1970 00:01:05 GMT', 5000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', undefined],
])('Retry-After %s is %s ms', (value, wait) => expect(parseRetryAfter(value, 60_000)).toBe(wait));

it.each<[string, boolean]>([
  ['ECONNRESET', true],
  ['ETIMEDOUT', true],
  ['ENOTFOUND', false],
  ['CERT_HAS_EXPIRED', false],
])('after %s another try is worth it: %s', (code, worth) =>
  expect(isTransient(Object.assign(new Error(code), { code }))).toBe(worth),
);

it.each<[string, Readonly<Record<string, string>>, string | undefined]>([
  ['https://a.example/', {}, undefined],
  ['https://a.example/', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
  ['https://a.example/', { https_proxy: 'p:1', HTTPS_PROXY: 'http://q' }, 'http://p:1/'],
  ['http://a.example/', { HTTP_PROXY: 'http://p' }, undefined],
  ['http://a.example/', { http_proxy: 'http://p' }, 'http://p/'],
  ['https://a.b.example/', { https_proxy: 'http://p', no_proxy: 'x, .b.example' }, undefined],
  ['https://ab.example/', { https_proxy: 'http://p', no_proxy: 'b.example' }, 'http://p/'],
  ['https://a.example/', { https_proxy: 'http://p', no_proxy: '*' }, undefined],
  ['https://127.0.0.1:5/', { https_proxy: 'http://p' }, undefined],
])('%s with %j goes through %s', (url, environment, proxy) =>
  expect(proxyFor(new URL(url), environment)?.href).toBe(proxy),
);
