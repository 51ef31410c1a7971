// Two web servers on loopback, each an honest registry until a test says otherwise, and a runspec that pulls from
// the first.
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { HttpSettings } from '../../../src/host/http.ts';
import { createLinuxArchives } from '../../../src/host/linux-archives.ts';
import type { Image } from '../../../src/image/image.ts';
import { platformOf } from '../../../src/image/platform.ts';
import { readImage } from '../../../src/image/read-image.ts';
import { openImageSource } from '../../../src/image/sources/open-source.ts';
import { parseImageReference } from '../../../src/load/image-reference.ts';
import { honest } from './honest-registry.ts';
import { host, makeScratch } from '../scratch.ts';
import { startWebServer, type WebServer } from './web-server.ts';

export interface Pull {
  /** `docker://SERVER/team/app:1` by default. */
  readonly reference?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly settings?: Partial<HttpSettings>;
  readonly signal?: AbortSignal;
}

export interface TestRegistry {
  readonly scratch: string;
  server(): WebServer;
  other(): WebServer;
  /** As a process of its own would read the image and its layer. */
  pull(options?: Pull): Promise<{ readonly image: Image; readonly blob: Buffer }>;
}

export function makeRegistry(): TestRegistry {
  const scratch = makeScratch();
  const servers: WebServer[] = [];
  const started = (index: number): WebServer => {
    const found = servers[index];
    if (found === undefined) throw new Error('the servers run in tests only');
    return found;
  };
  beforeAll(async () => {
    servers.push(await startWebServer(honest), await startWebServer(honest));
  });
  afterEach(() => {
    for (const one of servers) {
      one.answer = honest;
      one.asked.length = 0;
    }
  });
  afterAll(() => {
    for (const one of servers) one.close();
  });
  return {
    scratch,
    server: () => started(0),
    other: () => started(1),
    pull: async ({ reference, environment, settings, signal = new AbortController().signal } = {}) => {
      const parsed = parseImageReference(reference ?? `docker://${started(0).host}/team/app:1`, scratch);
      if ('problem' in parsed) throw new Error(parsed.problem);
      const own = { HOME: scratch, XDG_RUNTIME_DIR: scratch, ...environment };
      const http = { idleMs: 20_000, retryMs: 1, ...settings };
      const context = {
        host: { ...host, environment: own },
        archives: createLinuxArchives(undefined, http, own),
        signal,
      };
      const source = await openImageSource(context, parsed.value);
      const image = await readImage(source, platformOf('x64'));
      const chunks: Buffer[] = [];
      for (const { descriptor } of image.layers)
        chunks.push(...((await (await source.openBlob(descriptor, signal)).toArray()) as Buffer[]));
      return { image, blob: Buffer.concat(chunks) };
    },
  };
}
