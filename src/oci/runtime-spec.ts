// The part of the OCI runtime specification 1.0.2 that runspec writes. Types only; type aliases rather
// than interfaces where the value becomes part of a Plan, which is plain JSON.

export type OciConfig = {
  readonly ociVersion: '1.0.2';
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly mounts: readonly OciMount[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: OciLinux;
};

export type OciProcess = {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: OciUser;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: OciCapabilities;
  readonly noNewPrivileges: boolean;
  readonly rlimits?: readonly OciRlimit[];
  readonly oomScoreAdj?: number;
};

export type OciUser = {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
};

export type OciCapabilities = {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly ambient: readonly string[];
};

export type OciRlimit = { readonly type: string; readonly soft: number; readonly hard: number };

export type OciMount = {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
};

export type OciNamespace = { readonly type: string; readonly path?: string };

export type OciLinux = {
  readonly cgroupsPath: string;
  readonly namespaces: readonly OciNamespace[];
  readonly devices?: readonly OciDevice[];
  readonly resources: { readonly devices: readonly OciDeviceRule[] };
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly rootfsPropagation?: string;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly seccomp?: OciSeccomp;
};

export type OciDevice = {
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
};

export type OciDeviceRule = {
  readonly allow: boolean;
  readonly type?: 'b' | 'c';
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
};

export type OciSeccomp = {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly syscalls: readonly OciSyscall[];
};

export type OciSyscall = {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo?: number;
    readonly op: string;
  }[];
};
