// How large an archive may get before it counts as a bomb. Users change it with --archive-limits.

export interface ArchiveLimits {
  /** Sum of what files occupy or claim to once unpacked. */
  readonly bytes: number;
  readonly entries: number;
  /** Unpacked to compressed, looked at past `ratioFrom` unpacked bytes. */
  readonly ratio: number;
  readonly ratioFrom: number;
}

/**
 * Generous for root filesystems, deadly for bombs: gzip makes 1,032 of 1 from zeros, real trees give 3 to 20.
 * What has to be known of a million entries takes less than 200 MB of memory; two million would take more.
 */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  bytes: 64 * 2 ** 30,
  entries: 1_000_000,
  ratio: 250,
  ratioFrom: 128 * 2 ** 20,
};
