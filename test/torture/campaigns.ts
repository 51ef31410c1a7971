// All campaigns there are, in the order of the table; the longest is begun first.
import type { Campaign } from './campaign.ts';
import { CYCLES } from './cycles.ts';
import { RECORDS } from './damage.ts';
import { FULL_DISK } from './disk.ts';
import { KILLS } from './kill.ts';
import { KILL_STEPS } from './kill-steps.ts';
import { LAYERS } from './layers.ts';
import { MONITOR } from './monitor.ts';
import { PARALLEL_APPLY, RACES } from './parallel.ts';
import { DOCKER } from './peer-docker.ts';
import { PODMAN } from './peer-podman.ts';
import { RUNSPEC } from './peer-runspec.ts';
import { peerCampaign } from './peer.ts';
import { SHARED } from './shared.ts';
import { SIGNALS } from './signals.ts';

export const CAMPAIGNS: readonly Campaign[] = [
  CYCLES,
  ...KILLS,
  ...KILL_STEPS,
  MONITOR,
  ...SHARED,
  PARALLEL_APPLY,
  RACES,
  SIGNALS,
  FULL_DISK,
  RECORDS,
  LAYERS,
];

/** The same campaign for all; the peers' own residue is measured, not judged. */
export const PEERS: readonly Campaign[] = [RUNSPEC, PODMAN, DOCKER].map(peerCampaign);
