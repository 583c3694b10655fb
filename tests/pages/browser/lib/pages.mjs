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

let made = 0;

/** Makes a key by the form of the page "Server". The page that is there then has the key. */
export async function makeKey(page, fleet, name) {
  await page.goto(`${fleet.url}server`);
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: /^(make|create) (a|the) key$/i }) });
  await form.getByLabel('Name', { exact: false }).fill(name);
  await follow(page, form.getByRole('button', { name: /^(make|create) (a|the) key$/i }));
}

/**
 * The pages: what people call them; where they are; whether they are about a server, so that an empty fleet has none;
 * whether they are the page of the fleet with other rows; whether there are versions without them.
 */
export const PAGES = [
  { name: 'Fleet', path: at('') },
  { name: 'Fleet, filtered', path: at('?state=down'), isLikeFleet: true },
  { name: 'Fleet, no hit', path: at('?search=no-such-server'), isLikeFleet: true },
  { name: 'Instance', path: ofServer(''), ofServer: true },
  { name: 'Event', path: event, ofServer: true },
  { name: 'Events', path: at('events') },
  { name: 'Refused', path: at('refused') },
  { name: 'Mutes', path: at('mutes'), isOptional: true },
  { name: 'Alerts', path: at('alerts'), isOptional: true },
  { name: 'Adoption', path: at('adoption'), isOptional: true },
  { name: 'Licenses', path: at('licenses'), isOptional: true },
  { name: 'Server', path: at('server') },
  { name: 'Key made', make: (page, fleet) => makeKey(page, fleet, `made by the tests ${(made += 1)}`) },
  { name: 'Forget', path: ofServer('/forget'), ofServer: true },
  { name: 'Forget all', path: at('forget?all=true') },
  { name: 'Login', path: at('login'), isOptional: true },
  { name: 'Problem', path: at('nowhere') },
];

/** The pages that a fleet has. Some are there in some versions only. */
export async function pagesOf(fleet) {
  const isEmpty = Object.keys(fleet.servers).length === 0;
  const isThere = async (entry) => {
    const answer = await fetch(fleet.url + await entry.path(fleet), { headers: { authorization: authorization(fleet), accept: 'text/html' } });
    return answer.status !== 404;
  };
  const pages = [];
  for (const entry of PAGES) {
    if (isEmpty && entry.ofServer) continue;
    if (entry.isOptional && !await isThere(entry)) continue;
    pages.push(entry);
  }
  return pages;
}

/** Goes to a page. */
export async function visit(page, fleet, entry) {
  if (entry.make) await entry.make(page, fleet);
  else await page.goto(fleet.url + await entry.path(fleet));
}
