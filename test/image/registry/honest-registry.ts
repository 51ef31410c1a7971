// What an honest registry holds, one image of one layer, and how it answers.
import { createHash } from 'node:crypto';
import type http from 'node:http';

export type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

export const sha = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
export const layer = Buffer.alloc(1_000_000, 'layer');
export const config = JSON.stringify({
  os: 'linux',
  architecture: 'amd64',
  rootfs: { type: 'layers', diff_ids: [sha('unpacked')] },
});
const OCI = 'application/vnd.oci.image';
export const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: `${OCI}.config.v1+json`, digest: sha(config), size: config.length },
  layers: [{ mediaType: `${OCI}.layer.v1.tar`, digest: sha(layer), size: layer.length }],
});
const CONTENTS: Readonly<Record<string, readonly [string, Buffer]>> = {
  'manifests/1': [`${OCI}.manifest.v1+json`, Buffer.from(manifest)],
  [`manifests/${sha(manifest)}`]: [`${OCI}.manifest.v1+json`, Buffer.from(manifest)],
  [`blobs/${sha(config)}`]: ['application/octet-stream', Buffer.from(config)],
  [`blobs/${sha(layer)}`]: ['application/octet-stream', layer],
};
export const BLOB = `blobs/${sha(layer)}`;

/** As an honest registry answers, ranges included. */
export const honest: Answer = (request, response) => {
  const found = CONTENTS[request.url?.replace('/v2/team/app/', '') ?? ''];
  if (found === undefined) {
    response.writeHead(404).end('{"errors":[]}');
    return;
  }
  const [type, bytes] = found;
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = { 'content-type': type, 'content-length': bytes.length - start, etag: '"one"' };
  const range = start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(start === 0 ? 200 : 206, { ...headers, ...range }).end(bytes.subarray(start));
};
