// All campaigns there are, in the order of the table; the longest is begun first.
import type { Campaign } from './campaign.ts';
import { CYCLES } from './cycles.ts';
import { RECORDS } from './damage.ts';
import { FULL_DISK } from './disk.ts';
import { DOCKER_USER } from './docker-user.ts';
import { KILLS } from './kill.ts';
import { KILL_STEPS } from './kill-steps.ts';
import { LAYERS } from './layers.ts';
import { MONITOR } from './monitor.ts';
import { PARALLEL_APPLY, RACES } from './parallel.ts';
import { DOCKER } from './peer-docker.ts';
import { PODMAN } from './peer-podman.ts';
import { RUNSPEC } from './peer-runspec.ts';
import { peerCampaign } from './peer.ts';
import { PULL } from './pull.ts';
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
  PULL,
  DOCKER_USER,
];

/** What these leave is measured, not judged. */
export const FOREIGN: readonly Campaign[] = [PODMAN, DOCKER].map(peerCampaign);

/** The same campaign for all. */
export const PEERS: readonly Campaign[] = [peerCampaign(RUNSPEC), ...FOREIGN];
