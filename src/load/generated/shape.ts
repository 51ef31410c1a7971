// Generated from schema/runspec.schema.json by scripts/generate.mjs; do not edit.

/** What the schema says of one place of a document, as far as messages need it. */
export interface Shape {
  /** Name of the $defs entry of a scalar, such as `size`. */
  readonly format?: string;
  /** Objects with fixed keys. */
  readonly keys?: Readonly<Record<string, Shape>>;
  /** Objects with free keys: the $defs entry of the keys, and their values. */
  readonly names?: string;
  readonly values?: Shape;
  readonly items?: Shape;
}

export const documentShape: Shape = {
  "keys": {
    "runspec": {},
    "name": {
      "format": "name"
    },
    "hostname": {
      "format": "hostname"
    },
    "rootfs": {
      "format": "rootfs",
      "keys": {
        "tarball": {
          "format": "path"
        },
        "sha256": {
          "format": "sha256"
        },
        "directory": {
          "format": "path"
        },
        "image": {
          "format": "image"
        },
        "host": {
          "keys": {
            "files": {
              "items": {
                "format": "path"
              }
            }
          }
        },
        "readonly": {}
      }
    },
    "layers": {
      "items": {
        "format": "layer",
        "keys": {
          "tarball": {
            "format": "path"
          },
          "sha256": {
            "format": "sha256"
          },
          "directory": {
            "format": "path"
          },
          "destination": {
            "format": "absolutePath"
          },
          "files": {
            "names": "absolutePath",
            "values": {
              "format": "inlineFile",
              "keys": {
                "text": {},
                "mode": {
                  "format": "mode"
                },
                "uid": {
                  "format": "id"
                },
                "gid": {
                  "format": "id"
                }
              }
            }
          }
        }
      }
    },
    "writable": {},
    "process": {
      "format": "process",
      "keys": {
        "args": {
          "items": {
            "format": "argument"
          }
        },
        "env": {
          "names": "envName",
          "values": {
            "format": "argument"
          }
        },
        "cwd": {
          "format": "absolutePath"
        },
        "user": {
          "format": "user"
        },
        "additionalGids": {
          "items": {
            "format": "id"
          }
        },
        "terminal": {},
        "noNewPrivileges": {},
        "capabilities": {
          "keys": {
            "add": {
              "items": {
                "format": "capability"
              }
            },
            "drop": {
              "items": {
                "format": "capability"
              }
            }
          }
        },
        "rlimits": {
          "values": {
            "format": "rlimit",
            "keys": {
              "soft": {},
              "hard": {}
            }
          }
        },
        "oomScoreAdj": {},
        "stopSignal": {
          "format": "signal"
        },
        "stopTimeout": {
          "format": "duration"
        }
      }
    },
    "namespaces": {
      "format": "namespaces",
      "keys": {
        "network": {
          "format": "namespace"
        },
        "pid": {
          "format": "namespace"
        },
        "ipc": {
          "format": "namespace"
        },
        "uts": {
          "format": "namespace"
        },
        "mount": {
          "format": "namespace"
        },
        "cgroup": {
          "format": "namespace"
        }
      }
    },
    "resources": {
      "format": "resources",
      "keys": {
        "cpus": {},
        "cpuset": {
          "format": "cpuset"
        },
        "cpuWeight": {},
        "memory": {
          "format": "size"
        },
        "swap": {
          "format": "size"
        },
        "pids": {},
        "io": {
          "items": {
            "format": "ioLimit",
            "keys": {
              "device": {
                "format": "absolutePath"
              },
              "rbps": {
                "format": "size"
              },
              "wbps": {
                "format": "size"
              },
              "riops": {},
              "wiops": {}
            }
          }
        },
        "optional": {}
      }
    },
    "network": {
      "format": "network",
      "keys": {
        "mode": {},
        "bridge": {
          "format": "interfaceName"
        },
        "subnet": {
          "format": "cidr"
        },
        "address": {
          "format": "ipv4"
        },
        "gateway": {
          "format": "ipv4"
        },
        "ipv6": {},
        "subnet6": {
          "format": "cidr6"
        },
        "address6": {
          "format": "ipv6"
        },
        "gateway6": {
          "format": "ipv6"
        },
        "interface": {
          "format": "interfaceName"
        },
        "mtu": {},
        "mac": {
          "format": "mac"
        },
        "nat": {},
        "ports": {
          "items": {
            "format": "port",
            "keys": {
              "hostPort": {
                "format": "portNumber"
              },
              "containerPort": {
                "format": "portNumber"
              },
              "protocol": {},
              "hostIP": {
                "format": "ip"
              }
            }
          }
        }
      }
    },
    "dns": {
      "format": "dns",
      "keys": {
        "servers": {
          "items": {
            "format": "ip"
          }
        },
        "search": {
          "items": {
            "format": "searchDomain"
          }
        },
        "options": {
          "items": {
            "format": "resolverOption"
          }
        },
        "hosts": {
          "names": "hostsName",
          "values": {
            "format": "ip"
          }
        }
      }
    },
    "mounts": {
      "items": {
        "format": "mount",
        "keys": {
          "type": {},
          "source": {
            "format": "path"
          },
          "destination": {
            "format": "absolutePath"
          },
          "readOnly": {},
          "size": {
            "format": "size"
          },
          "mode": {
            "format": "mode"
          }
        }
      }
    },
    "devices": {
      "items": {
        "format": "absolutePath"
      }
    },
    "sysctls": {
      "names": "sysctlName",
      "values": {}
    },
    "security": {
      "format": "security",
      "keys": {
        "seccomp": {
          "format": "path"
        },
        "maskedPaths": {
          "format": "pathList",
          "items": {
            "format": "absolutePath"
          }
        },
        "readonlyPaths": {
          "format": "pathList",
          "items": {
            "format": "absolutePath"
          }
        }
      }
    },
    "runtime": {
      "format": "runtime"
    }
  }
};
