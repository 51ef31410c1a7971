// Files that programs open at run time though no header names them: plug-ins, and folders they write to. Only those on
// the host are taken. A program that needs more has it listed in the spec.

export interface RunTimeNeeds {
  /** Folders taken with all below. */
  readonly trees: readonly string[];
  /** Folders taken empty, for their mode and owner. */
  readonly folders: readonly string[];
}

/** Needs by the program's file name. */
export const PROGRAM_NEEDS: Readonly<Record<string, RunTimeNeeds>> = {
  // load_module finds modules below the prefix; logs, temporary bodies and caches go to folders it does not make.
  nginx: {
    trees: ['/usr/share/nginx/modules', '/usr/lib/nginx/modules', '/usr/lib64/nginx/modules'],
    folders: ['/var/log/nginx', '/var/lib/nginx', '/var/cache/nginx'],
  },
};

/** Libraries beside glibc that look up users, groups and hosts. Later versions have some of them built in. */
export const GLIBC_NAME_SERVICES: readonly string[] = ['libnss_files.so.2', 'libnss_dns.so.2'];
