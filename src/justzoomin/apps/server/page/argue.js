// Saying what is known: a cell, a circle, an area, the heading, the field of view. Undo and redo.

import { $, h, icon, show } from "./dom.js";
import { dial } from "./dial.js";
import { sentence } from "./pending.js";
import { correction, metres, wind } from "./words.js";
import { disk, feature, polygon } from "./map.js";

export class Argue {
  /** `headings` and `cameras`: whether the model knows of headings and uses the field of view of cameras. */
  constructor(session, { headings, cameras }) {
    this.session = session;
    this.map = null;
    this.turned = false;
    this.tell = () => {};
    this.undo = h("button", { type: "button", id: "undo", class: "small", onclick: () => session.undo() }, icon("undo"), "Undo");
    this.redo = h("button", { type: "button", id: "redo", class: "small", onclick: () => session.redo() }, icon("redo"), "Redo");
    this.list = h("ol", { class: "corrections", id: "corrections", "aria-label": "Your corrections" });
    this.refusal = h("p", { class: "refusal", id: "refusal", role: "alert", hidden: true });
    this.element = h("div", { class: "argue" },
      h("p", { class: "muted" }, "Click a cell on the map to say that it is here, or not here. Or use one of these:"),
      h("div", { class: "row" },
        h("button", { type: "button", id: "draw-circle", onclick: () => this.draw("Circle") }, icon("circle"), "Draw a circle"),
        h("button", { type: "button", id: "draw-area", onclick: () => this.draw("Polygon") }, icon("area"), "Draw an area")),
      this.around(),
      headings ? this.heading() : "",
      cameras ? this.camera() : "",
      this.refusal,
      h("div", { class: "row history" }, this.undo, this.redo),
      this.list);
  }

  update(state) {
    this.undo.disabled = !state.can_undo;
    this.redo.disabled = !state.can_redo;
    this.list.replaceChildren(...state.corrections.map((one) => h("li", {}, icon(one.here === false ? "close" : "check"), correction(this.sized(one)))));
    show(this.refusal, false);
    if (this.dial && !this.turned && state.fix.heading_deg !== null) this.dial.turn(state.fix.heading_deg, false);
    this.tell();
  }

  sized(one) {
    const level = one.level ?? one.sequence?.length;
    return one.kind === "cell" && level ? { ...one, size: this.map.grid4.cellSize(level) } : one;
  }

  refuse(problem) {
    this.refusal.textContent = `${sentence(problem.what)} ${problem.remedy ?? ""}`;
    show(this.refusal, true);
    $("argue").open = true;
    this.refusal.scrollIntoView({ block: "nearest" });
  }

  /** Ask about a cell: a small popup at the place. */
  ask(cell) {
    this.map.mark("sketch", [polygon(cell.ring)]);
    this.popup(cell.lat, cell.lon, `Cell of ${metres(cell.size)}`, ["It is here", "Not here"],
               (here) => ({ kind: "cell", sequence: cell.sequence, here }));
  }

  async draw(kind) {
    this.closePopup();
    const hint = $("hint");
    hint.textContent = kind === "Circle" ? "Click the middle, then the edge. Esc cancels." : "Click the corners, double-click the last one. Esc cancels.";
    show(hint, true);
    $("stage").scrollIntoView({ block: "nearest" });
    const drawn = await this.map.draw(kind);
    show(hint, false);
    if (!drawn) return;
    if (kind === "Circle") {
      this.map.mark("sketch", [disk(drawn.lat, drawn.lon, drawn.radius_m)]);
      this.popup(drawn.lat, drawn.lon, `Circle of ${metres(drawn.radius_m)}`, ["It is in here", "It is not in here"], (here) => ({ kind: "circle", ...drawn, here }));
    } else {
      this.map.mark("sketch", [feature(drawn)]);
      const [lon, lat] = drawn.coordinates[0].reduce((most, at) => (at[1] > most[1] ? at : most));
      this.popup(lat, lon, "This area", ["It is in here", "It is not in here"], (here) => ({ kind: "polygon", geometry: drawn, here }));
    }
  }

  popup(lat, lon, title, [yes, no], body) {
    const say = (here) => {
      this.closePopup();
      this.session.correct(body(here));
    };
    $("popup").replaceChildren(
      h("button", { type: "button", class: "round small close", "aria-label": "Close", onclick: () => this.closePopup() }, icon("close")),
      h("p", {}, title),
      h("div", { class: "row" },
        h("button", { type: "button", class: "primary small", id: "say-here", onclick: () => say(true) }, icon("check"), yes),
        h("button", { type: "button", class: "small", id: "say-not", onclick: () => say(false) }, icon("close"), no)));
    show($("popup"), true);
    this.map.openPopup(lat, lon);
    requestAnimationFrame(() => $("say-here").focus({ preventScroll: true }));
  }

  closePopup() {
    if ($("popup").hidden) return false;
    const focused = $("popup").contains(document.activeElement);
    show($("popup"), false);
    this.map.closePopup();
    this.map.clear("sketch");
    if (focused) $("map").focus({ preventScroll: true });
    return true;
  }

  around() {
    const radius = h("input", { type: "number", id: "radius", min: 1, max: 100000, step: "any", value: 50, inputmode: "decimal" });
    const say = (here) => {
      if (!radius.reportValidity()) return;
      const { lat, lon } = this.map.middle;
      this.session.correct({ kind: "circle", lat, lon, radius_m: Number(radius.value), here });
    };
    return h("fieldset", { class: "tool" }, h("legend", {}, "Around the middle of the map"),
      h("div", { class: "row" },
        h("label", { class: "inline", for: "radius" }, "within ", radius, " m"),
        h("button", { type: "button", class: "small", id: "around-here", onclick: () => say(true) }, "It is here"),
        h("button", { type: "button", class: "small", id: "around-not", onclick: () => say(false) }, "Not here")));
  }

  heading() {
    const number = h("output", { class: "number", id: "dial-value" });
    this.tell = () => { number.textContent = `${this.dial.value}° ${wind(this.dial.value)}`; };
    this.dial = dial(() => {
      this.turned = true;
      this.tell();
    });
    this.tell();
    const spread = h("select", { id: "spread" }, [[10, "about 10°"], [20, "about 20°"], [45, "about 45°"]].map(([value, text]) => h("option", { value, selected: value === 20 }, text)));
    return h("fieldset", { class: "tool" }, h("legend", {}, "Which way the photo faces"),
      h("div", { class: "with-dial" }, this.dial.element,
        h("div", {}, number, h("label", { for: "spread" }, "Give or take", spread),
          h("button", { type: "button", class: "small", id: "set-heading",
                        onclick: () => this.session.correct({ kind: "heading", deg: this.dial.value, sigma_deg: Number(spread.value) }) }, "Use this heading"))));
  }

  camera() {
    const fov = h("input", { type: "number", id: "fov", min: 1, max: 360, step: "any", placeholder: "70", inputmode: "decimal", required: true });
    return h("fieldset", { class: "tool" }, h("legend", {}, "Field of view of the camera"),
      h("div", { class: "row" }, h("label", { class: "inline", for: "fov" }, fov, " degrees across"),
        h("button", { type: "button", class: "small", id: "set-fov", onclick: () => fov.reportValidity() && this.session.correct({ kind: "camera", fov_deg: Number(fov.value) }) }, "Use this")));
  }
}
