import { expect, it } from 'vitest';
import { OperationError } from '../../src/errors.ts';
import type { Archives } from '../../src/host/archives.ts';
import type { Host } from '../../src/host/host.ts';
import { unprivileged } from '../../src/host/unprivileged.ts';

const digestOf = (error: Error): Promise<string> => {
  const archives = { digest: () => Promise.reject(error) } as Pick<Archives, 'digest'> as Archives;
  return unprivileged({} as Host, archives).archives.digest('/folder', new AbortController().signal);
};

it('goes past a file of a folder that only root may read', async () => {
  const stderr = 'tar: ./secret: Cannot open: Permission denied';
  const command = { argv: ['tar'], status: 2, stderr };
  expect(await digestOf(new OperationError('cannot read /folder', { command }))).toBe('');
});

it('tells of whatever else is wrong with a folder', async () => {
  await expect(digestOf(new OperationError('cannot read /folder: it changed'))).rejects.toThrow('it changed');
});
