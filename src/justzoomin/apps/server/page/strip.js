// The strip of levels at the foot of the map: which level's probabilities are shown, and the flight again.

import { $, h, icon, show } from "./dom.js";
import { metres, percent } from "./words.js";

export class Strip extends EventTarget {
  constructor(grid) {
    super();
    this.grid = grid;
    this.level = 0;
  }

  /** Show the levels of a state. */
  update(state) {
    const play = h("button", { type: "button", class: "round", id: "replay", "aria-label": "Fly there again", title: "Fly there again",
                               onclick: () => this.tell("replay") }, icon("play"));
    const buttons = [{ level: 0, cell_size_m: this.grid.size_m, probability: null }, ...state.levels].map((one) => h("button", {
      type: "button", class: "level", "data-level": one.level, "aria-pressed": String(one.level === this.level),
      "aria-label": one.level ? `Level ${one.level}: cells of ${metres(one.cell_size_m)}, the best with ${percent(one.probability)}` : "The whole map",
      onclick: () => this.tell("level", one.level),
    }, h("b", {}, one.level ? metres(one.cell_size_m) : "Whole map"), h("small", {}, one.level ? percent(one.probability) : metres(one.cell_size_m))));
    $("strip").replaceChildren(play, ...buttons);
    show($("strip"), true);
  }

  /** While the map flies the first button skips the flight. */
  flying(on) {
    const button = $("replay");
    if (!button) return;
    button.replaceChildren(icon(on ? "skip" : "play"));
    button.setAttribute("aria-label", on ? "Skip the flight" : "Fly there again");
    button.title = on ? "Skip the flight" : "Fly there again";
  }

  select(level) {
    this.level = level;
    for (const button of $("strip").querySelectorAll(".level")) button.setAttribute("aria-pressed", String(Number(button.dataset.level) === level));
  }

  hide() {
    show($("strip"), false);
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
