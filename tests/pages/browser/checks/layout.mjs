// The layout is as it was kept.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

import { job } from '../lib/job.mjs';
import { photograph } from '../lib/layout.mjs';
import { difference } from '../lib/thumbnails.mjs';

export async function jobs({ standing }) {
  return [{ name: 'as it was kept', run: (browser, fault) => compare(browser, standing, fault) }];
}

const compare = (browser, fleet, fault) => photograph(browser, fleet, async (name, found, tab) => {
  const file = `${job.screenshots}/${name}`;
  if (!existsSync(file)) return fault(`${name} is not kept; cargo run -p pages -- renew`);
  const differs = await difference(tab, readFileSync(file), found);
  if (differs === null) return undefined;
  const now = `${tmpdir()}/${name}`;
  writeFileSync(now, found);
  return fault(`${name}: ${differs}; it is ${now} now. Where that is wanted: cargo run -p pages -- renew`);
});
