// Examples to click: photos of the map's own ground, and where they were taken if that is known.

import { $, h, show } from "./dom.js";
import { file } from "./api.js";

const MOST = 6;

/** Show some of the examples of /v1/map; `take` gets a file and its true place, or null. */
export function showExamples(examples, take, fail) {
  $("example-list").replaceChildren(...spread(examples ?? [], MOST).map((example, k) => h("li", {},
    h("button", { type: "button", class: "thumb", "data-example": k + 1, "aria-label": `Example ${k + 1}`, title: example.name, onclick: async () => {
      try {
        const known = typeof example.lat === "number" && typeof example.lon === "number";
        take(await file(example.photo, example.file ?? `${example.name}.jpg`), known ? { lat: example.lat, lon: example.lon } : null);
      } catch (error) {
        fail(error);
      }
    } }, h("img", { src: example.photo, alt: "", loading: "lazy" })))));
  show($("examples"), $("example-list").children.length > 0);
}

/** Return some of many, evenly spread. */
function spread(all, most) {
  return all.length <= most ? all : Array.from({ length: most }, (_, k) => all[Math.floor(k * all.length / most)]);
}
