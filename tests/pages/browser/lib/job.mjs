// The job of a script, which it reads from its input, and what it says on its output, a line of JSON each.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What the script is to do. */
export const job = JSON.parse(readFileSync(0, 'utf8'));

/** Loads a module that was installed for the tests. */
export const load = createRequire(`${job.modules}/`);

const say = (line) => console.log(JSON.stringify(line));

/** Tells people something. */
export const tell = (text) => say({ told: text });

/** Reports what is wrong with a page. */
export const fault = (text) => say({ fault: text });

/** Counts checks that were made. */
export const count = (checks) => say({ checks });

/** Reports a figure that was measured. */
export const figure = (name, value) => say({ figure: name, value });
