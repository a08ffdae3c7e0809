// Examples to click: photos of the map's own ground, whose true place is known.

import { $, h, show } from "./dom.js";
import { picture } from "./api.js";

/** Show the examples of /v1/map; `take` gets a file and its true place. */
export function showExamples(examples, take, fail) {
  const list = $("example-list");
  list.replaceChildren(...(examples ?? []).map((example, k) => {
    const image = h("img", { alt: "", loading: "lazy" });
    const address = relative(example.photo);
    picture(address).then((source) => { image.src = source; }).catch(() => {});
    return h("li", {}, h("button", { type: "button", class: "thumb", "data-example": k + 1, "aria-label": `Example ${k + 1}: ${example.name}`, onclick: async () => {
      try {
        const answer = await fetch(await picture(address));
        const blob = await answer.blob();
        take(new File([blob], `${example.name}${/\.\w+$/.test(example.name) ? "" : ".jpg"}`, { type: blob.type || "image/jpeg" }), { lat: example.lat, lon: example.lon });
      } catch (error) {
        fail(error);
      }
    } }, image));
  }));
  show($("examples"), list.children.length > 0);
}

/** Addresses of the service begin at its root, which may lie below a path of a proxy. */
function relative(address) {
  return address.replace(/^\//, "");
}
