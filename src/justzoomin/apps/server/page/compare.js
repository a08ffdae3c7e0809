// Two candidate places side by side, with the photo above: which one fits?

import { $, h, icon } from "./dom.js";
import { picture } from "./api.js";
import { metres, percent } from "./words.js";

const PIXELS = 480;

/** Open the comparison of two places of a session; `decide` gets a place and whether it is here. */
export function compare(session, grid, places, decide) {
  const dialog = $("compare");
  const depth = places[0].sequence.length;
  let level = Math.max(1, depth - 1);
  while (level > 1 && grid.cellSize(level) < 40) level -= 1;
  const views = places.map(() => h("img", { alt: "", width: PIXELS, height: PIXELS }));
  const marks = places.map(() => h("span", { class: "mark", "aria-hidden": "true" }));
  const sizes = h("select", { id: "compare-size", onchange: (event) => look(Number(event.target.value)) },
    Array.from({ length: depth }, (_, k) => depth - k).map((one) => h("option", { value: one, selected: one === level }, metres(grid.cellSize(one)))));

  function look(chosen) {
    level = chosen;
    places.forEach(async (place, k) => {
      const cell = grid.cell(place.sequence.slice(0, level));
      views[k].alt = `The map around place ${place.number}, ${metres(cell.size)} wide`;
      views[k].src = await picture(`v1/views?sequence=${cell.sequence.join(",")}&pixels=${PIXELS}`).catch(() => "");
      const [east, north] = grid.toLocal(place.lat, place.lon);
      const [x, y] = grid.toLocal(cell.lat, cell.lon);
      marks[k].style.left = `${50 + 100 * (east - x) / cell.size}%`;
      marks[k].style.top = `${50 - 100 * (north - y) / cell.size}%`;
    });
  }

  const photo = $("photo-image");
  dialog.replaceChildren(
    h("div", { class: "head" }, h("h2", { id: "compare-title" }, "Which place fits the photo?"),
      h("button", { type: "button", class: "round", "aria-label": "Close", id: "compare-close", onclick: () => dialog.close() }, icon("close"))),
    photo?.src ? h("img", { class: "compare-photo", src: photo.src, alt: "Your photo" }) : "",
    h("div", { class: "pair" }, places.map((place, k) => h("figure", {},
      h("div", { class: "frame" }, views[k], marks[k]),
      h("figcaption", {}, h("span", { class: "badge" }, String(place.number)), h("b", {}, percent(place.probability)),
        h("button", { type: "button", class: "small", "data-here": place.number, onclick: () => { dialog.close(); decide(place); } }, icon("check"), "It is here"))))),
    h("p", { class: "row" }, h("label", { class: "inline", for: "compare-size" }, "Width of the views ", sizes), h("span", { class: "muted" }, "North is up.")));
  look(level);
  dialog.showModal();
}
