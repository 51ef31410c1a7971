// Debian's docker-registry on the loopback of a test host, filled by skopeo from an OCI layout.
import path from 'node:path';
import type { Started, TestHost } from './test-host.ts';

export interface DockerRegistry {
  /** 127.0.0.1:PORT. */
  readonly address: string;
  /** Copies an image of a layout to REPOSITORY:TAG. */
  push(layout: string, tag: string, name: string): Promise<void>;
  /** Nothing answers any more. */
  stop(): Promise<void>;
}

export interface Account {
  readonly user: string;
  readonly password: string;
}

/** In a folder of the host that it makes; with an account it answers nobody else. */
export async function startRegistry(
  host: TestHost,
  folder: string,
  account?: Account,
): Promise<DockerRegistry> {
  const address = '127.0.0.1:5000';
  const auth: string[] = [];
  if (account !== undefined) {
    const { user, password } = account;
    const hashed = await host.output(['htpasswd', '-Bbn', user, password]);
    auth.push(
      'auth:',
      '  htpasswd:',
      '    realm: test',
      `    path: ${host.write(`${folder}/htpasswd`, hashed)}`,
    );
  }
  const config = host.write(
    `${folder}/config.yml`,
    [
      'version: 0.1',
      'log: { level: error }',
      `storage: { filesystem: { rootdirectory: ${path.join(host.folder, folder, 'blobs')} } }`,
      `http: { addr: "${address}", secret: test }`,
      ...auth,
      '',
    ].join('\n'),
  );
  const started: Started = await host.start(['docker-registry', 'serve', config]);
  let running = true;
  await waitUntil(async () => (await host.exec(['ss', '-ltnH', 'sport = :5000'])).stdout.includes(address));
  const credentials = account === undefined ? [] : ['--dest-creds', `${account.user}:${account.password}`];
  return {
    address,
    push: async (layout, tag, name) => {
      const policy = ['--insecure-policy', 'copy', '--quiet', '--dest-tls-verify=false', ...credentials];
      await host.output(['skopeo', ...policy, `oci:${layout}:${tag}`, `docker://${address}/${name}`]);
    },
    stop: async () => {
      if (running) started.kill('SIGKILL');
      running = false;
      await started.ended;
    },
  };
}

async function waitUntil(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds());) {
    if (Date.now() > deadline) throw new Error('the registry does not listen');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
