// Pictures of pages that are made small, and compared as such.
//
// A page is laid out by its fonts, which are pinned, but the edges of its letters depend on the version of the browser and
// of the libraries beneath it. Made small, a letter is a shade of grey, and what is left are blocks, gaps and colours:
// what a change of the layout changes, and a new browser does not.

/** A pixel differs when one of its colours does by more than this, of 255. */
const MOST_OF_A_COLOUR = 40;

/** The part of the pixels that may differ. */
const MOST_OF_ALL = 0.004;

/** A tab in which pictures are drawn. */
export async function studio(browser) {
  const context = await browser.newContext();
  return context.newPage();
}

/** A PNG made smaller by a factor. */
export async function shrink(tab, png, factor) {
  const small = await tab.evaluate(async ([data, scale]) => {
    const source = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const canvas = new OffscreenCanvas(Math.round(source.width * scale), Math.round(source.height * scale));
    const drawing = canvas.getContext('2d');
    drawing.imageSmoothingQuality = 'high';
    drawing.drawImage(source, 0, 0, canvas.width, canvas.height);
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  }, [png.toString('base64'), factor]);
  return Buffer.from(small, 'base64');
}

/** How two pictures differ, in words; `null` where they are the same but for what a new browser changes. */
export async function difference(tab, kept, found) {
  const [part, box] = await tab.evaluate(async ([pictures, mostOfAColour]) => {
    const [one, other] = await Promise.all(pictures.map(async (data) => {
      const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
      const drawing = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
      drawing.drawImage(picture, 0, 0);
      return drawing.getImageData(0, 0, picture.width, picture.height);
    }));
    if (one.width !== other.width || one.height !== other.height) return [1, `${other.width} x ${other.height} instead of ${one.width} x ${one.height}`];
    let differing = 0;
    let [left, top, right, bottom] = [one.width, one.height, 0, 0];
    for (let pixel = 0; pixel < one.width * one.height; pixel += 1) {
      const isSame = [0, 1, 2].every((colour) => Math.abs(one.data[pixel * 4 + colour] - other.data[pixel * 4 + colour]) <= mostOfAColour);
      if (isSame) continue;
      differing += 1;
      const [x, y] = [pixel % one.width, Math.floor(pixel / one.width)];
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    }
    return [differing / (one.width * one.height), `from ${left}, ${top} to ${right}, ${bottom}`];
  }, [[kept.toString('base64'), found.toString('base64')], MOST_OF_A_COLOUR]);
  return part > MOST_OF_ALL ? `${(part * 100).toFixed(1)} % of it differ, ${box}` : null;
}
