// Photos on their way in: dropped, pasted, picked, taken with the camera.

import { $, show } from "./dom.js";

const PHOTO = /\.(jpe?g|png|heic|heif|webp|tiff?|bmp|gif|avif)$/i;

/** Return the files that may be photos; the others' names are returned, too. */
export function sorted(files) {
  const all = [...files];
  const photos = all.filter((file) => file.type.startsWith("image/") || PHOTO.test(file.name));
  return { photos, others: all.filter((file) => !photos.includes(file)) };
}

/** Call `take` with files from everywhere; `take` gets an array and decides. */
export function listen(take) {
  let depth = 0;
  const dragged = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!dragged(event)) return;
    depth += 1;
    show($("veil"), true);
  });
  addEventListener("dragleave", (event) => {
    if (!dragged(event)) return;
    depth -= 1;
    if (depth <= 0) end();
  });
  addEventListener("dragover", (event) => dragged(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!dragged(event)) return;
    event.preventDefault();
    end();
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.target.closest?.("input, textarea")) return;
    event.preventDefault();
    take(files);
  });
  for (const [button, input] of [["choose", "files"], ["shoot", "camera"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = "";
      if (files.length) take(files);
    });
  }
  $("drop").addEventListener("click", (event) => event.target.closest("button, input") || $("files").click());

  function end() {
    depth = 0;
    show($("veil"), false);
  }
}
