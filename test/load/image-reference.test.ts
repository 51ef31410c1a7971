import { describe, expect, it } from 'vitest';
import { formatImageReference, parseImageReference } from '../../src/load/image-reference.ts';

const SHA256 = `sha256:${'0a'.repeat(32)}`;
const SHA512 = `sha512:${'0a'.repeat(64)}`;

/** What is written, and the same in full. */
const VALID: readonly (readonly [string, string])[] = [
  ['oci:./layout', 'oci:/srv/specs/layout'],
  ['oci:/layout:latest', 'oci:/layout:latest'],
  ['oci:../l:docker.io/library/alpine:3', 'oci:/srv/l:docker.io/library/alpine:3'],
  ['docker-archive:x.tar', 'docker-archive:/srv/specs/x.tar'],
  ['docker-archive:x.tar:alpine:3.20', 'docker-archive:/srv/specs/x.tar:alpine:3.20'],
  ['dir:d', 'dir:/srv/specs/d'],
  ['docker://alpine', 'docker://docker.io/library/alpine:latest'],
  ['docker://alpine:3.20', 'docker://docker.io/library/alpine:3.20'],
  ['docker://team/app', 'docker://docker.io/team/app:latest'],
  ['docker://index.docker.io/alpine', 'docker://docker.io/library/alpine:latest'],
  ['docker://docker.io/alpine', 'docker://docker.io/library/alpine:latest'],
  ['docker://quay.io/a/b/c:V1.2-x_y', 'docker://quay.io/a/b/c:V1.2-x_y'],
  ['docker://localhost/app', 'docker://localhost/app:latest'],
  ['docker://localhost:5000/app', 'docker://localhost:5000/app:latest'],
  ['docker://localhost:5000', 'docker://docker.io/library/localhost:5000'],
  ['docker://[::1]:5000/app:1', 'docker://[::1]:5000/app:1'],
  ['docker://127.0.0.1:5000/a__b/c--d:1', 'docker://127.0.0.1:5000/a__b/c--d:1'],
  [`docker://alpine@${SHA256}`, `docker://docker.io/library/alpine@${SHA256}`],
  [`docker://alpine@${SHA512}`, `docker://docker.io/library/alpine@${SHA512}`],
  [`docker://r.example:443/a:t@${SHA256}`, `docker://r.example:443/a:t@${SHA256}`],
];

const INVALID: readonly (readonly [string, RegExp])[] = [
  ['', /not an image/],
  ['alpine', /did you mean docker:\/\/alpine\?/],
  ['oci:', /not an image/],
  ['oci::tag', /not an image/],
  ['oci:~/layout', /not expanded/],
  ['dir:d:tag', /not an image/],
  ['oci-archive:x.tar', /not an image/],
  ['docker:alpine', /not an image|did you mean/],
  ['docker://', /not an image/],
  ['docker:///alpine', /not a repository/],
  ['docker://Alpine', /not a repository/],
  ['docker://quay.io/', /no repository/],
  ['docker://quay.io/../x', /not a repository/],
  ['docker://quay.io/a//b', /not a repository/],
  ['docker://user:password@quay.io/a', /not a digest/],
  ['docker://quay.io:0/a', /not a registry/],
  ['docker://quay.io:99999/a', /not a registry/],
  ['docker://-quay.io/a', /not a registry/],
  ['docker://quay.io/a b', /not a repository/],
  ['docker://alpine:', /malformed tag/],
  ['docker://alpine:.x', /malformed tag/],
  [`docker://alpine:${'x'.repeat(129)}`, /malformed tag/],
  ['docker://alpine@', /empty digest/],
  ['docker://alpine@sha256:../../etc', /not a digest/],
  [`docker://alpine@${SHA256.toUpperCase()}`, /not a digest/],
  [`docker://alpine@md5:${'0a'.repeat(16)}`, /not a digest/],
];

describe('a reference to an image', () => {
  it.each(VALID)('%s', (input, full) => {
    const parsed = parseImageReference(input, '/srv/specs');
    if ('problem' in parsed) throw new Error(parsed.problem);
    expect(formatImageReference(parsed.value)).toBe(full);
    expect(parseImageReference(full, '/elsewhere')).toEqual(parsed);
  });

  it.each(INVALID)('%s is refused', (input, message) => {
    const parsed = parseImageReference(input, '/srv/specs');
    expect('problem' in parsed ? `${parsed.problem}: ${parsed.hint}` : parsed.value).toMatch(message);
  });
});
