// One photo on the page: what is shown while it is sent, searched, found, corrected, or cannot be used.

import { $, announce, calm, h, icon, show, toast } from "./dom.js";
import { answerBounds, fly } from "./flight.js";
import { around } from "./geo.js";
import { point, polygon } from "./map.js";
import { ANSWER_LAYERS, clearLevel, drawAnswer } from "./onmap.js";
import { Answer } from "./answer.js";
import { showPhoto } from "./photo.js";
import { trouble, waiting } from "./pending.js";
import { compare } from "./compare.js";
import { readLink, writeLink } from "./link.js";
import { percent } from "./words.js";


export class PhotoView {
  constructor({ info, map, grid, session, argue, strip }) {
    Object.assign(this, { info, map, grid, session, argue, strip, level: 0, flight: null, shown: false, waiting: "", hinted: false });
    this.near = 4 * grid.cellSize(grid.depth);                 // metres that count as "at this place"
    this.answer = new Answer(session, argue.element);
    this.followSession();
    this.followMap();
    this.followAnswer();
    this.followKeys();
    for (const name of ["heat", "region", "places", "grid"]) {
      $(`layer-${name}`).addEventListener("change", (event) => map.setVisible(name, event.target.checked));
    }
    $("layers-open").addEventListener("click", () => {
      const open = $("layers").hidden;
      show($("layers"), open);
      $("layers-open").setAttribute("aria-expanded", String(open));
    });
  }

  open(file) {
    this.session.open(file, { known: this.waiting });
    this.waiting = "";
  }

  show() {
    this.shown = true;
    if (!this.session.state) return;
    this.arrive();
    this.map.fit(answerBounds(this.session.state, this.info.bounds));
  }

  hide() {
    this.shown = false;
    this.stop();
    this.argue.closePopup();
    this.map.clear(...ANSWER_LAYERS);
    this.map.showHeat(null, 0);
    this.strip.hide();
    this.map.foot = 0;
  }

  /** Send a photo again whose sending failed, when the server is back. */
  retry() {
    if (this.failed && this.session.file) this.session.again();
  }

  /** Restore what the address says. */
  async fromLink() {
    const link = readLink();
    if (!link.id) return;
    try {
      await this.session.restore(link.id);
      if (link.view) this.map.look(link.view.lat, link.view.lon, link.view.zoom);
      if (link.level !== null) this.setLevel(Math.min(link.level, this.grid.depth));
    } catch (problem) {
      if (problem.status !== 404) {
        this.trouble(problem, () => this.fromLink());
        return;
      }
      this.waiting = link.known;
      if (link.view) this.map.look(link.view.lat, link.view.lon, link.view.zoom);
      this.note("The server no longer has the photo of this link, because photos are not stored. Drop the photo again"
        + (link.known ? ", and the corrections of the link are applied." : "."));
    }
  }

  note(text) {
    $("intake").querySelector(".lead").replaceChildren(icon("link"), h("span", {}, text));
    $("intake").querySelector(".lead").classList.add("noted");
  }

  followSession() {
    const on = (type, act) => this.session.addEventListener(type, (event) => act(event.detail));
    on("start", () => {
      this.failed = false;
      this.stop();
      this.argue.closePopup();
      this.map.clear(...ANSWER_LAYERS);
      this.map.showHeat(null, 0);
      this.strip.hide();
      const lost = $("intake").contains(document.activeElement) || document.activeElement === document.body;
      show($("intake"), false);
      show($("result"), true);
      if (lost) $("panel").focus({ preventScroll: true });
      show($("answer"), false);
      show($("trouble"), false);
      showPhoto(this.session, () => this.another());
      this.map.fit(this.info.bounds, 400);
      $("panel").scrollTop = 0;
    });
    on("sending", (share) => {
      show($("trouble"), false);
      this.progress(share);
    });
    on("found", () => {
      show($("progress"), false);
      if (this.session.unseen || !this.session.preview) showPhoto(this.session, () => this.another());
      this.update();
      if (this.session.preview) this.fly();
      else this.arrive();
    });
    on("changing", () => { document.body.dataset.busy = "yes"; });
    on("changed", () => {
      delete document.body.dataset.busy;
      show($("progress"), false);
      this.stop();
      this.update();
      this.draw();
      const { fix } = this.session.state;
      if (!this.map.sees(fix.lat, fix.lon)) this.map.fit(answerBounds(this.session.state, this.info.bounds), 600);
    });
    on("resent", () => toast("The server was restarted. The photo was sent again and your corrections are kept."));
    on("refused", (problem) => {
      delete document.body.dataset.busy;
      show($("progress"), false);
      if (problem.gone) return;                               // the banner says it
      this.argue.refuse(problem);
    });
    on("failed", (problem) => {
      this.failed = problem.gone || problem.status === 401;
      show($("progress"), false);
      this.trouble(problem, () => this.session.again());
    });
    on("closed", () => {
      show($("result"), false);
      show($("intake"), true);
      this.hide();
      this.shown = true;
      this.map.fit(this.info.bounds, 400);
      writeLink({});
    });
  }

  followMap() {
    this.map.addEventListener("pick", ({ detail }) => {
      if (!this.shown || !this.session.state || this.argue.closePopup()) return;
      this.stop();
      this.askAt(detail.lat, detail.lon);
    });
    this.map.addEventListener("hover", ({ detail }) => {
      if (!this.shown || !this.session.state || this.flight || !this.level) return;
      const cell = this.grid.cellAt(detail.lat, detail.lon, this.level);
      const name = cell?.sequence.join(",") ?? null;
      if (name === this.hovered) return;
      this.hovered = name;
      this.map.mark("hover", cell && [polygon(cell.ring)]);
    });
    this.map.addEventListener("moved", () => this.link());
  }

  followAnswer() {
    const on = (type, act) => this.answer.addEventListener(type, (event) => act(event.detail));
    on("show", (place) => this.map.fit(around(place.lat, place.lon, 6 * this.near)));
    on("truth", () => this.showTruth());
    on("link", () => {
      this.session.shared = true;
      this.link();
    });
    on("compare", (places) => compare(this.grid, places, (place) => this.session.correct({ kind: "circle", lat: place.lat, lon: place.lon, radius_m: this.near, here: true })));
    this.strip.addEventListener("level", ({ detail }) => {
      this.stop();
      this.setLevel(detail);
      const state = this.session.state;
      this.map.fit(detail <= 1 ? this.info.bounds : state.levels[detail - 2].bounds);
    });
    this.strip.addEventListener("replay", () => (this.flight ? this.stop() : this.fly(true)));
  }

  followKeys() {
    $("map").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !this.shown || !this.session.state || event.target !== $("map")) return;
      event.preventDefault();
      this.stop();
      this.askAt(this.map.middle.lat, this.map.middle.lon);
    });
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        if (this.map.drawing) this.map.stopDrawing();
        else if (!this.argue.closePopup()) this.stop();
      }
      if (!this.shown || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.closest("input, textarea")) return;
      event.preventDefault();
      if (event.shiftKey) this.session.redo();
      else this.session.undo();
    });
  }

  askAt(lat, lon) {
    const cell = this.grid.cellAt(lat, lon, this.level || 1);
    if (cell) this.argue.ask(cell);
    else toast("That is outside the map's region.");
  }

  progress(share) {
    const words = share < 1 ? `Sending the photo: ${percent(share)}` : "Comparing the photo with every place on the map";
    waiting($("progress"), share < 1 ? share : null, words, "cancel", () => this.session.close());
  }

  trouble(problem, again) {
    show($("result"), true);
    show($("intake"), false);
    const useless = problem.status >= 400 && problem.status < 500 && ![401, 408, 429].includes(problem.status);
    trouble($("trouble"), problem, useless ? "This photo cannot be used" : "That did not work",
      useless ? "" : h("button", { type: "button", class: "primary", id: "again", onclick: again }, "Try again"),
      h("button", { type: "button", class: useless ? "primary" : "", id: "trouble-other", onclick: () => this.another() }, "Choose another photo"));
  }

  another() {
    this.session.close();
    $("choose").focus();
  }

  /** Show the numbers of the session's state beside the map. */
  update() {
    const { state } = this.session;
    this.places = state.top.map((place, k) => ({ ...place, number: k + 1 }));
    this.answer.update(state, this.places);
    this.argue.update(state);
    if (this.shown) {
      this.strip.update(state);
      this.map.foot = $("stage").clientHeight - $("strip").offsetTop;
    }
    this.link();
  }

  /** Fly level by level to the answer, unless the person wants no motion. */
  async fly(again = false) {
    this.stop();
    if (calm() || !this.shown) {
      this.arrive();
      this.map.fit(answerBounds(this.session.state, this.info.bounds), 0);
      return;
    }
    if (again) this.map.clear("answer", "wedge", "region", "places");
    const flight = this.flight = new AbortController();
    this.strip.flying(true);
    await fly(this.map, this.session.state, (level) => {
      this.setLevel(level);
      const best = this.session.state.levels[level - 1];
      this.map.mark("cell", [polygon(this.grid.cell(best.sequence).ring)]);
      announce(`Level ${level}: ${percent(best.probability)} in the best cell`);
    }, flight.signal);
    if (flight === this.flight) this.stop(false);
  }

  /** End the flight, if there is one, at the answer. */
  stop(jump = true) {
    if (!this.flight) return;
    this.flight.abort();
    this.flight = null;
    this.strip.flying(false);
    if (!this.session.state || !this.shown) return;
    this.arrive();
    if (jump) this.map.fit(answerBounds(this.session.state, this.info.bounds), 300);
  }

  /** Show the answer on the map: the finest level whose cells can be told apart there. */
  arrive() {
    this.setLevel(clearLevel(this.grid, answerBounds(this.session.state, this.info.bounds), Math.min($("stage").clientWidth, $("stage").clientHeight)));
    this.draw();
    if (!this.hinted && this.session.preview) {
      this.hinted = true;
      $("hint").textContent = matchMedia("(pointer: coarse)").matches ? "Wrong? Tap a cell." : "Wrong? Click a cell to say that it is here, or not here.";
      show($("hint"), true);
      setTimeout(() => this.map.drawing || show($("hint"), false), 6000);
    }
  }

  /** Draw the answer of the session's state over the map. */
  draw() {
    if (!this.shown) return;
    const { state } = this.session;
    this.strip.update(state);
    this.map.showHeat(state, this.level);
    drawAnswer(this.map, state, this.places, this.near, () => this.session.state === state && this.shown && !this.flight);
    if (this.session.truthShown) this.showTruth();
  }

  showTruth() {
    const { lat, lon } = this.session.truth;
    this.map.mark("truth", [point(lat, lon)]);
  }

  setLevel(level) {
    this.level = level;
    this.strip.select(level);
    if (this.session.state) this.map.showHeat(this.session.state, level);
    this.map.showGrid(Math.max(1, level));
    this.link();
  }

  link() {
    if (this.shown && this.session.state && !this.flight) writeLink({ view: this.map.middle, level: this.level, state: this.session.state });
  }
}
