// Everything works in a browser that runs no scripts: lists are filtered, sorted and paged; files are downloaded; servers are
// muted and forgotten; keys are made, changed and revoked.

import { readFileSync } from 'node:fs';

import { open } from '../lib/browser.mjs';
import { ask, follow, makeKey } from '../lib/pages.mjs';

export async function jobs({ changed, thousand }) {
  return [
    { name: 'lists', run: (browser, fault) => inATab(browser, thousand, fault, [pages, filters, sorts, searches, changes, keysThatLost, downloads]) },
    { name: 'servers', run: (browser, fault) => inATab(browser, changed, fault, [mutes, mutesInOneTap, forgets, selects, moves, deletes]) },
    { name: 'keys', run: (browser, fault) => inATab(browser, changed, fault, [keys]) },
  ];
}

async function inATab(browser, fleet, fault, steps) {
  for (const step of steps) {
    const faults = [];
    const context = await open(browser, fleet, faults, { javaScriptEnabled: false, acceptDownloads: true });
    const page = await context.newPage();
    try {
      await step(page, fleet, (text) => fault(`${step.name}: ${text}`));
    } catch (error) {
      fault(`${step.name}: ${error.message.split('\n').slice(0, 3).join(' | ')}`);
    }
    for (const text of new Set(faults)) fault(`${step.name}: ${text}`);
    await context.close();
  }
}

/** The ids of the servers in the list, in their order. */
const listed = async (page) => {
  const links = await page.locator('main table tbody th a[href*="instances/"]').all();
  const paths = await Promise.all(links.map((link) => link.getAttribute('href')));
  return paths.map((path) => path.split('instances/')[1].split(/[/?#]/)[0]);
};

/** The submit button of the form that a locator is in. */
const submit = (field, name) => field.locator('xpath=ancestor::form').getByRole('button', { name }).first();

async function pages(page, fleet, fault) {
  await page.goto(fleet.url);
  const seen = new Set();
  let turns = 0;
  for (; turns < 100; turns += 1) {
    const ids = await listed(page);
    if (ids.length === 0) fault(`page ${turns + 1} is empty`);
    const twice = ids.filter((id) => seen.has(id));
    if (twice.length > 0) fault(`${twice.length} servers of page ${turns + 1} were on an earlier one`);
    ids.forEach((id) => seen.add(id));
    const next = page.getByRole('link', { name: /next/i }).first();
    if (!await next.count()) break;
    await follow(page, next);
  }
  const { length } = Object.keys(fleet.servers);
  if (seen.size !== length) fault(`${seen.size} of ${length} servers are on ${turns + 1} pages`);
}

async function filters(page, fleet, fault) {
  await page.goto(fleet.url);
  const link = page.locator('main').getByRole('link', { name: /\bdown\b/i }).first();
  const text = (await link.innerText()).replace(/,/g, '');
  await follow(page, link);
  const ids = await listed(page);
  const { instances } = await ask(fleet, 'api/instances?state=down&limit=200');
  const down = new Set(instances.map(({ instance_id }) => instance_id));
  if (!text.includes(String(down.size))) fault(`"${text}" is not the number of those that are down, ${down.size}`);
  if (ids.length === 0 || ids.some((id) => !down.has(id))) fault('the list of those that are down has others, or none');
}

async function sorts(page, fleet, fault) {
  await page.goto(fleet.url);
  const links = page.locator('main thead a[href*="sort="]');
  const before = (await listed(page)).join();
  const hrefs = await Promise.all((await links.all()).map((link) => link.getAttribute('href')));
  const orders = new Set([before]);
  for (const href of hrefs) {
    await page.goto(new URL(href, fleet.url).href);
    const ids = await listed(page);
    if (ids.length === 0) fault(`nothing is listed at ${href}`);
    orders.add(ids.join());
  }
  // One of the orders is the first one.
  if (hrefs.length > 0 && orders.size < hrefs.length) fault(`${hrefs.length} ways to sort have ${orders.size} orders`);
}

async function searches(page, fleet, fault) {
  const [[name, id]] = Object.entries(fleet.servers).slice(500);
  await page.goto(fleet.url);
  const field = page.getByRole('searchbox').first();
  await field.fill(name);
  const loaded = page.waitForEvent('load');
  await field.press('Enter');
  await loaded;
  const ids = await listed(page);
  if (ids.join() !== id) fault(`the search for ${name} lists ${ids.length} servers, not its one`);
  if (await page.getByRole('searchbox').first().inputValue() !== name) fault('what was searched for is not in the field any more');
}

/** Who came back is one tap from the fleet, and who went down another one; earlier changes follow page by page. */
async function changes(page, fleet, fault) {
  await page.goto(fleet.url);
  await follow(page, page.locator('main').getByRole('link', { name: 'All changes' }).first());
  const chip = (name) => page.getByRole('list', { name: 'Kinds of changes' }).getByRole('link', { name, exact: true });
  const rows = page.locator('main tbody tr');
  for (const [name, kind, words] of [['New', 'new', /for the first time/], ['Ended', 'ended', /ended/]]) {
    await follow(page, chip(name));
    const { changes: all, next } = await ask(fleet, `api/changes?kind=${kind}`);
    if (await rows.count() !== all.length || await rows.filter({ hasText: words }).count() !== all.length) fault(`the changes that are ${kind} are not those of the API`);
    if (all.length === 0 || (next !== null) !== (await page.getByRole('link', { name: 'Earlier changes' }).count() === 1)) fault(`the page of the changes that are ${kind} ends elsewhere than the API`);
    await follow(page, chip(name));
  }
  const first = await rows.first().innerText();
  await follow(page, page.getByRole('link', { name: 'Earlier changes' }));
  if (await rows.count() === 0 || await rows.first().innerText() === first) fault('earlier changes are the same ones');
  await follow(page, page.getByRole('link', { name: 'Newest' }));
  if (await rows.first().innerText() !== first) fault('the newest changes are others');
}

/** The keys that lost servers are one tap from the fleet, each with the way to its servers that are down. */
async function keysThatLost(page, fleet, fault) {
  await page.goto(fleet.url);
  await follow(page, page.locator('main').getByRole('link', { name: 'By key' }));
  const row = page.locator('main tbody tr').first();
  const name = await row.getByRole('link').first().innerText();
  const { keys: all } = await ask(fleet, 'api/keys');
  const most = Math.max(...all.map(({ states }) => states.down));
  const { states } = all.find((one) => one.name === name) ?? {};
  if (most === 0 || states?.down !== most) fault(`${name} is not the key that lost most`);
  await follow(page, row.locator('a[href*="state=down"]'));
  if ((await listed(page)).length !== most) fault(`the servers of ${name} that are down are not ${most}`);
}

async function downloads(page, fleet, fault) {
  const { length } = Object.keys(fleet.servers);
  for (const [name, lines] of [['CSV', length + 1], [/^JSON/, length]]) {
    await page.goto(fleet.url);
    const link = page.locator('main').getByRole('link', { name }).first();
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    const text = readFileSync(await download.path(), 'utf8');
    const found = text.trimEnd().split('\n').length;
    if (found !== lines) fault(`the file ${download.suggestedFilename()} has ${found} lines instead of ${lines}`);
  }
}

/** Presses what opens a form or leads to it. */
async function press(page, name) {
  const found = page.locator('main').locator('summary, a, button').filter({ hasText: name }).first();
  const opens = await found.evaluate((element) => element.localName === 'summary');
  await (opens ? found.click() : follow(page, found));
}

async function mutes(page, fleet, fault) {
  const id = fleet.servers['nord-archiv'];
  await page.goto(`${fleet.url}instances/${id}`);
  await press(page, /^\s*Mute…/);
  const reason = page.getByLabel(/reason|why/i).first();
  await reason.fill('a <b>test</b>');
  await follow(page, submit(reason, /^mute/i));
  await page.goto(`${fleet.url}instances/${id}`);
  if (!await page.getByText('a <b>test</b>').count()) fault('the page of a muted server does not have the reason');
  const { mutes: all } = await ask(fleet, 'api/mutes');
  if (!all.some((mute) => mute.instance_id === id && mute.active)) fault('nothing was muted');
  await page.goto(`${fleet.url}alerts`);
  const row = page.locator('tr, li').filter({ hasText: 'a <b>test</b>' }).first();
  await follow(page, row.getByRole('button', { name: /^unmute/i }));
  const { mutes: left } = await ask(fleet, 'api/mutes');
  if (left.some((mute) => mute.instance_id === id && mute.active)) fault('the mute has not ended');
}

/** One tap on the page of a server mutes it, without a word. */
async function mutesInOneTap(page, fleet, fault) {
  const id = fleet.servers['pay-gateway-2'];
  const muted = async () => (await ask(fleet, `api/instances/${id}`)).muted;
  for (const [name, least, most] of [[/^Mute for 8 h$/, 7.9, 8], [/^Mute until tomorrow /, 8, 32]]) {
    await page.goto(`${fleet.url}instances/${id}`);
    await follow(page, page.getByRole('button', { name }));
    const hours = (Date.parse((await muted())?.until) - Date.now()) / 3_600_000;
    if (!(hours > least && hours <= most + 0.01)) fault(`${name} mutes for ${hours} hours`);
    if (!await page.getByText('muted on the page').count()) fault('its page does not say that it is muted');
    await follow(page, page.getByRole('button', { name: 'Unmute' }));
    if (await muted() !== null) fault('it is still muted');
  }
}

async function forgets(page, fleet, fault) {
  const id = fleet.servers['gent-lib-02'];
  await page.goto(`${fleet.url}instances/${id}`);
  await press(page, /^\s*Forget/);
  if (await ask(fleet, `api/instances/${id}`) === null) return fault('it is forgotten without a question');
  await follow(page, page.locator('main').getByRole('button', { name: /forget/i }).first());
  if (await ask(fleet, `api/instances/${id}`) !== null) fault('it is not forgotten');
  const answer = await page.goto(`${fleet.url}instances/${id}`);
  if (answer.status() !== 404) fault(`its page is answered ${answer.status()}`);
}

/** Several servers are chosen in the list, then muted or forgotten together. */
async function selects(page, fleet, fault) {
  const chosen = ['kiwi-build', 'campus-mensa'];
  const choose = async () => {
    await page.goto(fleet.url);
    for (const name of chosen) {
      const box = page.getByRole('checkbox', { name: `Select ${name}` });
      if (!await box.count()) throw new Error(`there is no box that selects ${name}`);
      await box.check();
    }
  };
  await choose();
  await press(page, /^Mute the selected/);
  for (const name of chosen) if (!await page.getByText(name).count()) fault(`the question does not name ${name}`);
  const reason = page.getByLabel(/reason|why/i).first();
  await reason.fill('both');
  await follow(page, submit(reason, /^mute/i));
  const { mutes: all } = await ask(fleet, 'api/mutes');
  const isMuted = (name) => all.some((mute) => mute.active && mute.reason === 'both' && mute.instance_id === fleet.servers[name]);
  if (!chosen.every(isMuted)) fault('not both are muted');
  await choose();
  await press(page, /^Forget the selected/);
  await follow(page, page.locator('main').getByRole('button', { name: /^forget/i }).first());
  for (const name of chosen) if (await ask(fleet, `api/instances/${fleet.servers[name]}`) !== null) fault(`${name} is not forgotten`);
}

async function moves(page, fleet, fault) {
  const id = fleet.servers['acme-fra-2'];
  await page.goto(`${fleet.url}instances/${id}`);
  await press(page, /Move to another key/);
  const key = page.getByLabel(/^Key/).first();
  const before = await ask(fleet, `api/instances/${id}`);
  if (before.key_name === 'Kiwi Hosting') fault('it belongs to the key before it is moved there');
  await key.selectOption({ label: 'Kiwi Hosting' });
  await follow(page, submit(key, /move/i));
  const after = await ask(fleet, `api/instances/${id}`);
  if (after.key_name !== 'Kiwi Hosting') fault(`it is not moved: it belongs to ${after.key_name}`);
}

async function deletes(page, fleet, fault) {
  const id = fleet.servers['nord-archiv'];
  await page.goto(`${fleet.url}instances/${id}`);
  await follow(page, page.locator('main table').last().getByRole('link').first());
  const path = new URL(page.url()).pathname;
  if (!path.includes('/events/')) return fault(`an event of the list leads to ${path}`);
  await press(page, /^\s*Delete this event/);
  await follow(page, page.getByRole('button', { name: 'Delete it' }));
  const answer = await page.goto(new URL(path, fleet.url).href);
  if (answer.status() !== 404) fault(`a deleted event is answered ${answer.status()}`);
}

/** A key is made, gets another secret and another URL, and is revoked, all on its page. */
async function keys(page, fleet, fault) {
  const name = 'of <i>tests</i>';
  await makeKey(page, fleet, name);
  const shown = (text) => page.locator('main').getByText(text).first();
  const secret = await shown('whsec_').count() ? (await shown('whsec_').innerText()).match(/whsec_\S+/)[0] : null;
  if (!secret) fault('no signing secret is shown');
  const path = (await page.content()).match(/webhooks\/([\w-]{20,})/)?.[1];
  if (!path) return fault('no key is shown');
  await page.goto(`${fleet.url}server`);
  if ((await page.content()).includes(path)) fault('the key is shown a second time');
  const key = async () => (await ask(fleet, 'api/keys')).keys.find((one) => one.name === name && !one.revoked_at);
  const onItsPage = async (button) => {
    await page.goto(`${fleet.url}server`);
    await follow(page, page.getByRole('link', { name }));
    await follow(page, page.locator('main').locator('button, a.btn').filter({ hasText: button }).first());
  };
  await onItsPage(/^Add a new secret/);
  if (!await shown('whsec_').count() || (await page.content()).includes(secret)) fault('no other secret is shown');
  if (!(await key()).rotating) fault('the secret before is not kept');
  await onItsPage(/^Keep only the new secret/);
  if ((await key()).rotating) fault('the secret before is still kept');
  await onItsPage(/^Make another URL/);
  const other = (await page.content()).match(/webhooks\/([\w-]{20,})/)?.[1];
  if (!other || other === path) fault('no other URL is shown');
  await page.goto(`${fleet.url}server`);
  await follow(page, page.getByRole('link', { name }));
  await page.locator('summary').filter({ hasText: 'Revoke' }).click();
  await follow(page, page.getByRole('button', { name: 'Revoke for good' }));
  if (await key()) fault('the key is not revoked');
  await makeKey(page, fleet, name);
  if (!/webhooks\/[\w-]{20,}/.test(await page.content())) fault('the name of a revoked key cannot be used again');
  return undefined;
}
