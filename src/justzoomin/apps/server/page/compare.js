// Two candidate places side by side, with the photo above: which one fits?

import { $, h, icon } from "./dom.js";
import { metres, percent } from "./words.js";

const PIXELS = 480;

const WIDTHS = [20, 40, 80, 160, 320, 640];

/** Open the comparison of two places; `decide` gets the one that a person chooses. */
export function compare(grid, places, decide) {
  const dialog = $("compare");
  const cell = grid.cellSize(grid.depth);
  const widths = WIDTHS.map((factor) => factor * cell / 5).filter((width) => width <= grid.size_m);
  const first = widths.find((width) => width >= 80) ?? widths.at(-1);
  const views = places.map(() => h("img", { alt: "", width: PIXELS, height: PIXELS }));
  const sizes = h("select", { id: "compare-size", onchange: (event) => look(Number(event.target.value)) },
    widths.map((width) => h("option", { value: width, selected: width === first }, metres(width))));

  function look(width) {
    places.forEach((place, k) => {
      views[k].alt = `The map around place ${place.number}, ${metres(width)} wide`;
      views[k].src = `v1/views?lat=${place.lat}&lon=${place.lon}&size_m=${width}&pixels=${PIXELS}`;
    });
  }

  const photo = $("photo-image");
  dialog.replaceChildren(
    h("div", { class: "head" }, h("h2", { id: "compare-title" }, "Which place fits the photo?"),
      h("button", { type: "button", class: "round", "aria-label": "Close", id: "compare-close", onclick: () => dialog.close() }, icon("close"))),
    photo?.src ? h("img", { class: "compare-photo", src: photo.src, alt: "Your photo" }) : "",
    h("div", { class: "pair" }, places.map((place, k) => h("figure", {},
      h("div", { class: "frame" }, views[k], h("span", { class: "mark", "aria-hidden": "true" })),
      h("figcaption", {}, h("span", { class: "badge" }, String(place.number)), h("b", {}, percent(place.probability)),
        h("button", { type: "button", class: "small", "data-here": place.number, onclick: () => {
          dialog.close();
          decide(place);
        } }, icon("check"), "It is here"))))),
    h("p", { class: "row" }, h("label", { class: "inline", for: "compare-size" }, "Width of the views ", sizes),
      h("span", { class: "muted" }, "North is up. The ring marks the place.")));
  look(first);
  dialog.showModal();
}
