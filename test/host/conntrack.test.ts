import { describe, expect, it } from 'vitest';
import { forgetFlows } from '../../src/host/conntrack.ts';
import type { CommandResult, Host } from '../../src/host/host.ts';
import type { KernelView } from '../../src/host/kernel-view.ts';

const FLOW =
  'udp 17 28 src=192.0.2.9 dst=192.0.2.1 sport=4000 dport=5353 src=10.209.0.2 dst=192.0.2.9 sport=53 dport=4000';
const ENDED = "conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist";
const NONE = 'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.';

/** A kernel with one flow, whose answers to deletions come in the given order, the last of them again and again. */
function kernel(...answers: readonly Partial<CommandResult>[]): { host: Host; deletions: string[] } {
  const deletions: string[] = [];
  const host: Partial<Host> = {
    which: async (program) => `/usr/sbin/${program}`,
    run: async (argv) => {
      const result = { argv, status: 0, stdout: '', stderr: '' };
      if (argv[1] === '-L') return { ...result, stdout: `${FLOW}\n` };
      deletions.push(argv.join(' '));
      return { ...result, ...answers[Math.min(deletions.length, answers.length) - 1] };
    },
  };
  return { host: host as Host, deletions };
}

const view = {
  links: async () => [{ addresses: [{ family: 'inet', address: '192.0.2.1', prefix: 24 }] }],
} as unknown as KernelView;
const port = { family: 'ipv4', port: 5353 } as const;

describe('flows to a published UDP port', () => {
  it('are forgotten by destination', async () => {
    const { host, deletions } = kernel({ status: 0 });
    await forgetFlows(host, view, port);
    expect(deletions).toEqual(['conntrack -D -f ipv4 -p udp --orig-port-dst 5353 --orig-dst 192.0.2.1']);
  });

  it('may end by themselves meanwhile', async () => {
    const { host, deletions } = kernel({ status: 1, stderr: NONE });
    await forgetFlows(host, view, port);
    expect(deletions).toHaveLength(1);
  });

  it('are asked for again when one ends in the middle, as others may be left', async () => {
    const { host, deletions } = kernel({ status: 1, stderr: ENDED }, { status: 0 });
    await forgetFlows(host, view, port);
    expect(deletions).toHaveLength(2);
  });

  it('that cannot be deleted are an error', async () => {
    const { host } = kernel({ status: 1, stderr: 'Operation failed: Operation not permitted' });
    await expect(forgetFlows(host, view, port)).rejects.toThrow('cannot forget the flows');
    const busy = kernel({ status: 1, stderr: ENDED });
    await expect(forgetFlows(busy.host, view, port)).rejects.toThrow('cannot forget the flows');
  });
});
