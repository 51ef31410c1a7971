import { describe, expect, it } from 'vitest';
import { deleteLink } from '../../src/ops/delete-link.ts';
import { createFakeOps } from './fake-context.ts';

function complaining(stderr: string): Parameters<typeof deleteLink>[0] {
  const { host } = createFakeOps().context();
  return { ...host, run: (argv) => Promise.resolve({ argv, status: 2, stdout: '', stderr }) };
}

describe('deleting a link', () => {
  it('removes it, and finds it gone the second time', async () => {
    const ops = createFakeOps();
    ops.ip('', 'link add rs4b5e57f6 type veth peer name other');
    expect(await deleteLink(ops.context().host, 'rs4b5e57f6')).toBe('removed');
    expect(await deleteLink(ops.context().host, 'rs4b5e57f6')).toBe('gone');
  });

  // As iproute2 6.1 says it: before and after it has asked for the link's number.
  it.each(['Cannot find device "rs4b5e57f6"\n', 'RTNETLINK answers: No such device\n'])(
    'that goes by itself meanwhile is no error: %s',
    async (stderr) => expect(await deleteLink(complaining(stderr), 'rs4b5e57f6')).toBe('gone'),
  );

  it('fails where the kernel keeps it', async () =>
    expect(
      deleteLink(complaining('RTNETLINK answers: Operation not permitted\n'), 'rs4b5e57f6'),
    ).rejects.toThrow('cannot delete rs4b5e57f6'));
});
