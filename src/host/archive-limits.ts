// Limits past which an archive counts as a bomb. Users change them with --archive-limits.

export interface ArchiveLimits {
  /** Total size of the unpacked files, real or claimed. */
  readonly bytes: number;
  readonly entries: number;
  /** Unpacked size to compressed size, looked at past `ratioFrom` unpacked bytes. */
  readonly ratio: number;
  readonly ratioFrom: number;
}

/**
 * Default limits. From zeros gzip makes 1,032 bytes of 1; real trees give 3 to 20. The record of a million entries
 * takes less than 200 MB of memory; two million would take more.
 */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  bytes: 64 * 2 ** 30,
  entries: 1_000_000,
  ratio: 250,
  ratioFrom: 128 * 2 ** 20,
};
