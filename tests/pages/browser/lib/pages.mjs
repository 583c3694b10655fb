// Every page of the receiver, and how to get there.

import { authorization } from './browser.mjs';

/** The path of a page. */
const at = (path) => () => path;

/** The server that is looked at: one with a rich past, where the fleet has it. */
const chosen = ({ servers }) => servers['eu-west 3'] ?? Object.values(servers)[0];

/** The path of a page about that server. */
const ofServer = (rest) => (fleet) => `instances/${chosen(fleet)}${rest}`;

/** The answer of the API of a fleet, as JSON; `null` where there is none. */
export async function ask(fleet, path) {
  const answer = await fetch(fleet.url + path, { headers: { authorization: authorization(fleet) } });
  return answer.ok ? answer.json() : null;
}

async function event(fleet) {
  const instance = chosen(fleet);
  const { events } = await ask(fleet, `api/events?instance=${instance}&limit=1`);
  return `instances/${instance}/events/${events[0].id}`;
}

/** Clicks on what leads to another page, and waits until that is there. */
export async function follow(page, locator) {
  const loaded = page.waitForEvent('load');
  await locator.click();
  await loaded;
}

async function key(fleet) {
  const { keys } = await ask(fleet, 'api/keys');
  return `server/keys/${keys[0].id}`;
}

let made = 0;

/** Makes a key by the form of the page "Server". The page that is there then has the key. */
export async function makeKey(page, fleet, name) {
  await page.goto(`${fleet.url}server`);
  await page.locator('summary').filter({ hasText: 'Make a key' }).click();
  await page.getByLabel(/^Name/).fill(name);
  for (const box of await page.getByLabel(/signing secret|bearer token/).all()) await box.check();
  await follow(page, page.getByRole('button', { name: 'Make it' }));
}

/**
 * The pages: what people call them; where they are; whether they are about a server, so that an empty fleet has none;
 * whether they are the page of the fleet with other rows.
 */
export const PAGES = [
  { name: 'Fleet', path: at('') },
  { name: 'Fleet, filtered', path: at('?state=down&state=late'), isLikeFleet: true },
  { name: 'Fleet, no hit', path: at('?search=no-such-server'), isLikeFleet: true },
  { name: 'Instance', path: ofServer(''), ofServer: true },
  { name: 'Event', path: event, ofServer: true },
  { name: 'Events', path: at('events') },
  { name: 'All changes', path: at('changes') },
  { name: 'By key', path: at('by-key') },
  { name: 'Refused', path: at('refused') },
  { name: 'Alerts', path: at('alerts') },
  { name: 'Adoption', path: at('adoption') },
  { name: 'Adoption by version', path: at('adoption?days=365&by=version&as=share') },
  { name: 'Licenses', path: at('licenses') },
  { name: 'Server', path: at('server') },
  { name: 'Key', path: key, ofServer: true },
  { name: 'Key made', make: (page, fleet) => makeKey(page, fleet, `made by the tests ${(made += 1)}`) },
  { name: 'Beginning', path: at('first') },
  { name: 'Mute', path: ofServer('/mute'), ofServer: true },
  { name: 'Forget', path: ofServer('/forget'), ofServer: true },
  { name: 'Move', path: ofServer('/owner'), ofServer: true },
  { name: 'Delete an event', path: async (fleet) => `${await event(fleet)}/delete`, ofServer: true },
  { name: 'Mute all', path: at('mute?state=down') },
  { name: 'Forget all', path: at('forget?all=true') },
  { name: 'Login', path: at('login') },
  { name: 'Problem', path: at('nowhere') },
];

/** The pages that a fleet has. */
export function pagesOf({ servers }) {
  const isEmpty = Object.keys(servers).length === 0;
  return PAGES.filter((entry) => !(isEmpty && entry.ofServer));
}

/** Goes to a page. */
export async function visit(page, fleet, entry) {
  if (entry.make) await entry.make(page, fleet);
  else await page.goto(fleet.url + await entry.path(fleet));
}
