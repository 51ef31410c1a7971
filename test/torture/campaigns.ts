// All campaigns there are, in the order of the table.
import type { Campaign } from './campaign.ts';
import { CYCLES } from './cycles.ts';
import { KILLS } from './kill.ts';
import { PARALLEL_APPLY, RACES } from './parallel.ts';
import { SHARED } from './shared.ts';

export const CAMPAIGNS: readonly Campaign[] = [...KILLS, ...SHARED, PARALLEL_APPLY, RACES, CYCLES];
