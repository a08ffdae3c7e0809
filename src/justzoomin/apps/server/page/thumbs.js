// Small pictures of photos, made in the browser, a few at a time.

import { h, icon } from "./dom.js";

const SIDE = 160;
let line = Promise.resolve();

/** Return an element that shows a photo as soon as it is ready, or a sign where the browser cannot show its format. */
export function thumb(file) {
  const box = h("span", { class: "mini" }, icon("photo"));
  line = line.then(async () => {
    try {
      const picture = await createImageBitmap(file, { resizeWidth: SIDE, resizeQuality: "medium" });
      const canvas = h("canvas", { width: picture.width, height: picture.height, "aria-hidden": "true" });
      canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      box.replaceChildren(canvas);
    } catch { /* HEIC in most browsers: the sign stays */ }
  });
  return box;
}
