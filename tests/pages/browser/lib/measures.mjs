// What is measured inside of a page. Each function runs there and uses nothing from outside of itself.

/** What makes the page scroll sideways: nothing, or the elements that stick out, the innermost first. */
export function sideways() {
  const root = document.scrollingElement;
  const width = root.clientWidth;
  if (root.scrollWidth <= width) return [];
  // What is positioned by itself is not held by what scrolls between it and what it is positioned by.
  const around = (element) => (getComputedStyle(element).position === 'absolute' ? element.offsetParent : element.parentElement);
  const scrolls = (element) => {
    for (let up = around(element); up && up !== document.body; up = around(up)) {
      if (getComputedStyle(up).overflowX !== 'visible' && up.getBoundingClientRect().right <= width + 1) return true;
    }
    return false;
  };
  const sticksOut = (element) => element.getBoundingClientRect().right > width + 0.5 && !scrolls(element);
  const named = (element) => {
    const text = (element.getAttribute('aria-label') ?? element.textContent).trim().replace(/\s+/g, ' ').slice(0, 40);
    const classes = [...element.classList].map((name) => `.${name}`).join('');
    const right = Math.round(element.getBoundingClientRect().right);
    return `<${element.localName}${classes}> to ${right} px, "${text}"`;
  };
  const all = [...document.body.querySelectorAll('*')].filter(sticksOut);
  const innermost = all.filter((element) => ![...element.children].some(sticksOut));
  return [`${root.scrollWidth} px in ${width}`, ...innermost.slice(0, 4).map(named)];
}

/** Texts that have so little room that they are broken again and again. */
export function squeezed() {
  const found = [];
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    if (data.trim().length < 6 || !parentElement.checkVisibility() || parentElement.closest('svg, .unseen')) continue;
    range.selectNodeContents(texts.currentNode);
    const { width, height } = range.getBoundingClientRect();
    const { fontSize, lineHeight } = getComputedStyle(parentElement);
    const lines = height / (parseFloat(lineHeight) || parseFloat(fontSize) * 1.2);
    if (width > 1 && lines > 2.5 && width < parseFloat(fontSize) * 4) found.push(`"${data.trim().slice(0, 40)}" is squeezed into ${Math.round(width)} px`);
  }
  return found.slice(0, 3);
}

/** What is wider than its place, so that it runs under or beyond what stands beside it. */
export function cramped() {
  const found = [];
  for (const element of document.querySelectorAll('main *:not(svg, svg *, .unseen, .cards thead *)')) {
    const { display, overflowX } = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const isCramped = hasText && display !== 'inline' && overflowX === 'visible' && element.scrollWidth > element.clientWidth + 1;
    const scrolls = (within) => getComputedStyle(within).overflowX !== 'visible';
    const beyond = (within) => element.getBoundingClientRect().right > within.getBoundingClientRect().right + 1;
    const isBeyond = display === 'table' && !scrolls(element.parentElement) && beyond(element.parentElement);
    if (isCramped || isBeyond) found.push(`<${element.localName}> "${element.textContent.trim().slice(0, 40)}" is wider than its place`);
  }
  return found.slice(0, 3);
}

/** Links to filters that are beyond the edge of the window, or of what they scroll in. */
export function hidden() {
  const found = [];
  for (const link of document.querySelectorAll('.chips a, .tally a')) {
    // On a phone, the page of a part of the fleet does without them.
    if (link.closest('.wide') && link.getClientRects().length === 0) continue;
    const { left, right } = link.getBoundingClientRect();
    const around = link.closest('ul').getBoundingClientRect();
    const edges = [Math.max(0, around.left), Math.min(document.documentElement.clientWidth, around.right)];
    if (left < edges[0] - 1 || right > edges[1] + 1) found.push(`"${link.textContent.trim().slice(0, 40)}" is out of sight, to ${Math.round(right)} px`);
  }
  return found.slice(0, 3);
}

/** Fields that must be filled in, but look like those beside them that need not be. */
export function unmarked() {
  const found = [];
  for (const form of document.forms) {
    const fields = [...form.querySelectorAll('input, select')].filter(({ type }) => !['hidden', 'checkbox'].includes(type));
    const required = fields.filter((field) => field.required);
    if (required.length === fields.length) continue;
    const bare = required.filter(({ labels }) => !/required/.test(labels[0]?.textContent));
    found.push(...bare.map(({ name }) => `the field "${name}" does not say that it is required`));
  }
  return found;
}

/** What can be tapped, but lies under something else even when it is scrolled to the middle of the window. */
export function covered() {
  const found = [];
  for (const element of document.querySelectorAll('main :is(a, button, summary, input, select)')) {
    if (!element.checkVisibility({ checkVisibilityCSS: true }) || element.type === 'hidden') continue;
    // From the top, where what stays at the lower edge is there.
    scrollTo({ top: 0, behavior: 'instant' });
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    // A link may be broken into several lines.
    const [{ left, top, width, height }] = element.getClientRects();
    if (width < 2) continue;
    const above = document.elementFromPoint(left + width / 2, top + height / 2);
    // A tap on the label of a field is one on the field; any other ancestor covers it, with what it draws before its content.
    if (element.contains(above) || above?.closest('label')?.control === element) continue;
    found.push(`"${(element.ariaLabel ?? element.textContent).trim().slice(0, 40)}" lies under <${above?.localName ?? 'nothing'}> "${above?.textContent.trim().slice(0, 20)}"`);
  }
  return found.slice(0, 3);
}

/** What came of texts that are hostile: elements, attributes and links that are theirs, and characters that are not seen. */
export function hostile() {
  const found = [];
  if (window.pwned !== undefined) found.push('a script of theirs ran');
  const own = location.origin;
  for (const element of document.querySelectorAll('*')) {
    const name = element.localName;
    for (const { name: attribute, value } of element.attributes) {
      const at = `${attribute}="${value.slice(0, 60)}" of <${name}>`;
      if (attribute.startsWith('on')) found.push(`a handler: ${at}`);
      if (['id', 'name', 'class'].includes(attribute) && value.includes('pwned')) found.push(`an element of theirs: ${at}`);
      if (['srcdoc', 'autofocus', 'http-equiv'].includes(attribute) && name !== 'input') found.push(`an attribute of theirs: ${at}`);
      if (['href', 'src', 'action', 'formaction', 'xlink:href', 'data', 'poster'].includes(attribute)) {
        const url = new URL(value, document.baseURI);
        if (url.origin !== own) found.push(`leads elsewhere: ${at}`);
      }
    }
    if (['iframe', 'object', 'embed', 'base', 'img'].includes(name)) found.push(`an element of theirs: <${name}>`);
    if (name === 'script' && !element.src) found.push('a script in the page');
  }
  // Format characters and those that end lines; what people typed into a field stays as it is.
  const unseen = /[\p{Cf}\u2028\u2029\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/u;
  const shown = (text) => text.replace(/[^\x20-\x7e]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`).slice(0, 60);
  const texts = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    const isIsolated = parentElement.closest('bdi, [dir="auto"]') !== null;
    const isBidi = /^[^\p{Cf}]*(?:[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069][^\p{Cf}]*)+$/u.test(data);
    if (unseen.test(data) && !(isIsolated && isBidi)) found.push(`unseen characters in <${parentElement.localName}>: ${shown(data)}`);
  }
  for (const element of document.querySelectorAll('[title], [aria-label], [alt]')) {
    for (const attribute of ['title', 'aria-label', 'alt']) {
      const value = element.getAttribute(attribute) ?? '';
      if (unseen.test(value)) found.push(`unseen characters in ${attribute} of <${element.localName}>: ${shown(value)}`);
    }
  }
  return [...new Set(found)];
}

/** Texts that are not to be read: without a size, outside of the page, or as light as what is behind them. */
export function unreadable() {
  const found = [];
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let seen = 0;
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    const style = getComputedStyle(parentElement);
    if (!data.trim() || !parentElement.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    range.selectNodeContents(texts.currentNode);
    const box = range.getBoundingClientRect();
    if (box.width > 0) seen += 1;
    const isTransparent = /rgba\(.*, 0\)|transparent/.test(style.color);
    if (isTransparent && !parentElement.closest('.unseen')) found.push(`"${data.trim().slice(0, 40)}" is transparent`);
  }
  if (seen === 0) found.push('no text is seen');
  return found;
}
