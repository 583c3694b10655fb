// Makes all checks, or those that are asked for, in one browser.

import { inParallel, launch } from './lib/browser.mjs';
import { count, fault, job, tell } from './lib/job.mjs';
import * as beginning from './checks/beginning.mjs';
import * as everywhere from './checks/everywhere.mjs';
import * as hostile from './checks/hostile.mjs';
import * as keyboard from './checks/keyboard.mjs';
import * as layout from './checks/layout.mjs';
import * as live from './checks/live.mjs';
import * as login from './checks/login.mjs';
import * as preferences from './checks/preferences.mjs';
import * as withoutScripts from './checks/without_scripts.mjs';

/** The checks by their names. Each has jobs that can be done in any order; the longest first. */
const CHECKS = {
  'without-scripts': withoutScripts,
  everywhere,
  hostile,
  keyboard,
  preferences,
  beginning,
  live,
  login,
  layout,
};

const browser = await launch();
const jobs = [];
for (const [name, check] of Object.entries(CHECKS)) {
  if (job.only.length > 0 && !job.only.includes(name)) continue;
  for (const each of await check.jobs(job.fleets)) jobs.push({ ...each, name: `${name}, ${each.name}` });
}
const took = {};
await inParallel(jobs, async ({ name, run }) => {
  const began = performance.now();
  try {
    await run(browser, (text) => fault(`${name}: ${text}`));
  } catch (error) {
    fault(`${name}: ${error.message.split('\n').slice(0, 4).join(' | ')}`);
  }
  count(1);
  const [check] = name.split(',');
  took[check] = (took[check] ?? 0) + (performance.now() - began) / 1000;
});
for (const [check, seconds] of Object.entries(took)) tell(`${check}: ${seconds.toFixed(1)} s in all tabs`);
await browser.close();
