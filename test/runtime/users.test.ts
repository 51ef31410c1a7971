import { describe, expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import { resolveUser } from '../../src/runtime/users.ts';
import { host, makeTree } from './scratch-root.ts';

const PASSWD = [
  'root:x:0:0:root:/root:/bin/sh',
  'nginx:x:101:102:nginx:/var/lib/nginx:/sbin/nologin',
  '# comment',
  'homeless:x:7:7:::',
  'broken:x:seven:7::/:',
].join('\n');
const GROUP = ['root:x:0:root', 'nginx:x:102:', 'www:x:33:nginx,other', 'tty:x:5:nginx'].join('\n');

const folder = makeTree({
  'root/etc/passwd': PASSWD,
  'root/etc/group': GROUP,
  'linked/etc/passwd': '-> /etc/real',
  'linked/etc/real': 'app:x:55:56::/app:/bin/sh',
  'linked/etc/group': '-> ../../../../../../../../etc/group',
  'escaping/etc': '-> OUTSIDE/outside',
  'outside/passwd': 'spy:x:66:66::/:',
  'empty/keep': '',
});
const view = (name: string): Parameters<typeof resolveUser>[1] => ({ root: `${folder}/${name}`, binds: [] });

describe('a user', () => {
  it.each([
    ['', { uid: 0, gid: 0, additionalGids: [0], home: '/root' }],
    ['nginx', { uid: 101, gid: 102, additionalGids: [5, 33], home: '/var/lib/nginx' }],
    ['101', { uid: 101, gid: 102, additionalGids: [5, 33], home: '/var/lib/nginx' }],
    ['nginx:www', { uid: 101, gid: 33, additionalGids: [], home: '/var/lib/nginx' }],
    ['4242:4343', { uid: 4242, gid: 4343, additionalGids: [], home: '/' }],
    ['4242', { uid: 4242, gid: 0, additionalGids: [], home: '/' }],
    ['homeless', { uid: 7, gid: 7, additionalGids: [], home: '/' }],
  ])('%j is looked up in the root', async (user, expected) => {
    expect(await resolveUser(host, view('root'), user, [])).toEqual(expected);
  });

  it('has the additional groups of the spec too, each once', async () => {
    expect((await resolveUser(host, view('root'), 'nginx', [33, 8])).additionalGids).toEqual([5, 8, 33]);
  });

  it('is root in a root file system without users', async () => {
    expect(await resolveUser(host, view('empty'), '', [])).toEqual({
      uid: 0,
      gid: 0,
      additionalGids: [],
      home: '/',
    });
  });

  it.each([
    ['nobody2', 'no user nobody2', 'root, nginx, homeless'],
    ['0:wheel', 'no group wheel', 'root, nginx, www, tty'],
    ['99999999999', 'no user 99999999999', 'root'],
    ['4294967295', 'no user 4294967295', 'root'],
  ])('%s that is unknown is refused with those that are known', async (user, message, names) => {
    const error: unknown = await resolveUser(host, view('root'), user, []).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OperationError);
    expect((error as OperationError).message).toContain(message);
    expect((error as OperationError).hint).toContain(names);
  });

  it('is found through a symlink that stays inside', async () => {
    expect(await resolveUser(host, view('linked'), 'app', [])).toMatchObject({
      uid: 55,
      gid: 56,
      home: '/app',
    });
  });

  it('is never found through a symlink to the host', async () => {
    await expect(resolveUser(host, view('escaping'), 'spy', [])).rejects.toThrow('no user spy');
  });
});
