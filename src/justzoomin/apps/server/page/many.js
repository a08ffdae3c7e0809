// Many photos: a job on the server. A list with thumbnails, progress, cancel, and all answers on the map.

import { $, announce, h, icon, show, toast } from "./dom.js";
import { get, Problem, remove, save, send, text } from "./api.js";
import { asProblem } from "./session.js";
import { trouble, waiting } from "./pending.js";
import { point } from "./map.js";
import { around, union } from "./geo.js";
import { percent, plural, sureness } from "./words.js";
import { thumb } from "./thumbs.js";

const FILES = [["jsonl", "JSONL"], ["geojson", "GeoJSON"], ["csv", "CSV"], ["parquet", "Parquet"]];
const ASK_MS = 800;

export class Many {
  /** `closer` gets the file of a photo that is to be looked at alone. */
  constructor(map, info, closer) {
    Object.assign(this, { map, info, closer, files: [], rows: [], job: null, shown: false });
    this.status = h("div", { class: "progress", role: "status", hidden: true });
    this.trouble = h("div", { class: "trouble", role: "alert", hidden: true });
    this.list = h("ul", { class: "photos", id: "many-list" });
    this.saves = h("ul", { class: "files", id: "many-files", hidden: true });
    this.input = h("input", { type: "file", accept: "image/*,.heic,.heif", multiple: true, hidden: true, id: "many-input", onchange: (event) => {
      this.take([...event.target.files]);
      event.target.value = "";
    } });
    this.empty = h("div", {}, h("h1", {}, "Locate many photos"),
      h("p", { class: "lead" }, "Each photo is located by itself. Drop them here, or choose them."),
      h("div", { class: "drop" }, icon("photo", "big"), h("p", {}, h("strong", {}, "Drop photos here")),
        h("p", { class: "row" }, h("button", { type: "button", class: "primary", id: "many-choose", onclick: () => this.input.click() }, "Choose photos"))));
    this.full = h("div", { hidden: true }, h("div", { class: "head" }, h("h1", { id: "many-title" }, "Photos"),
      h("button", { type: "button", class: "small", id: "many-new", onclick: () => this.forget() }, "Start again")),
      this.status, this.trouble, this.list, this.saves);
    $("view-many").append(this.input, this.empty, this.full);
    map.addEventListener("pick", ({ detail }) => this.shown && detail.feature?.row !== undefined && this.choose(detail.feature.row, false));
  }

  show() {
    this.shown = true;
    if (!this.rows.some(Boolean)) this.map.fit(this.info.bounds);
    this.draw();
  }

  hide() {
    this.shown = false;
    this.map.clear("many");
  }

  async take(files) {
    if (this.job) await this.forget();
    this.files = files;
    this.rows = files.map(() => null);
    show(this.empty, false);
    show(this.full, true);
    show(this.trouble, false);
    show(this.saves, false);
    $("many-title").textContent = plural(files.length, "photo");
    this.list.replaceChildren(...files.map((file, k) => h("li", { "data-photo": k }, h("button", { type: "button", class: "photo-row", onclick: () => this.choose(k) },
      thumb(file), h("span", { class: "name" }, file.name), h("span", { class: "result muted" }, "waiting")))));
    this.map.clear("many");
    this.run();
  }

  async run() {
    const abort = this.abort = new AbortController();
    const form = new FormData();
    this.files.forEach((file) => form.append("photos", file, file.name));
    try {
      this.job = await send("v1/jobs", form, (share) => this.progress(share < 1 ? `Sending: ${percent(share)}` : "Waiting for the server", share < 1 ? share : null), abort.signal);
      await this.follow(abort);
      if (abort.signal.aborted) return;
      if (this.job.state === "failed") throw new Problem(500, this.job.error ?? "the job failed", "Try again, or look at the server's log.");
      this.receive(await text(`v1/jobs/${this.job.id}/result.jsonl`));
    } catch (error) {
      if (error.name === "AbortError" || abort.signal.aborted) return;
      const problem = asProblem(error);
      show(this.status, false);
      trouble(this.trouble, problem, "That did not work", h("button", { type: "button", class: "primary", id: "many-again", onclick: () => {
        show(this.trouble, false);
        this.run();
      } }, "Try again"));
    }
  }

  async follow(abort) {
    const running = (job) => !["done", "failed", "cancelled"].includes(job.state);
    while (!abort.signal.aborted) {
      this.progress(`${this.job.done + (this.job.failed ?? 0)} of ${plural(this.job.total, "photo")}`, (this.job.done + (this.job.failed ?? 0)) / Math.max(1, this.job.total));
      if (!running(this.job)) return;
      await new Promise((resolve) => { setTimeout(resolve, ASK_MS); });
      try {
        this.job = await get(`v1/jobs/${this.job.id}`);
      } catch (problem) {
        if (!problem.gone) throw problem;                     // the job goes on when the server is back
      }
    }
  }

  progress(words, share) {
    waiting(this.status, share, words, "many-cancel", () => this.cancel());
  }

  cancel() {
    this.forget();
    toast("Cancelled. The server has removed the photos.");
  }

  async forget() {
    this.abort?.abort();
    if (this.job) remove(`v1/jobs/${this.job.id}`).catch(() => {});
    Object.assign(this, { files: [], rows: [], job: null });
    show(this.empty, true);
    show(this.full, false);
    show(this.status, false);
    this.map.clear("many");
  }

  receive(lines) {
    const found = lines.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    this.rows = this.files.map((_, k) => found[k] ?? null);      // an answer for each photo, in their order
    show(this.status, false);
    this.rows.forEach((row, k) => {
      const cell = this.list.children[k].querySelector(".result");
      if (row && row.lat !== undefined) {
        const sure = sureness(row);
        cell.replaceChildren(h("b", { class: `tone-${sure.tone}` }, sure.headline), row.on_map === false ? "" : ` ${sure.share}`);
      } else {
        cell.replaceChildren(h("b", { class: "tone-doubt" }, "Not used"), ` ${(row?.error ?? "").replace(`${this.files[k].name}: `, "")}`);
      }
    });
    this.saves.replaceChildren(...FILES.map(([kind, name]) => h("li", {}, h("a", { href: `v1/jobs/${this.job.id}/result.${kind}`, download: `photos.${kind}`, onclick: (event) => {
      event.preventDefault();
      save(`v1/jobs/${this.job.id}/result.${kind}`, `photos.${kind}`).catch((problem) => toast(problem.what));
    } }, icon("download"), name))));
    show(this.saves, true);
    const good = this.rows.filter((row) => row && row.lat !== undefined);
    announce(`${good.length} of ${plural(this.files.length, "photo")} located`);
    this.draw();
    if (good.length && this.shown) this.map.fit(union(...good.map((row) => around(row.lat, row.lon, 60))));
  }

  draw(chosen = this.chosen) {
    if (!this.shown) return;
    this.map.mark("many", this.rows.map((row, k) => (row && row.lat !== undefined
      ? point(row.lat, row.lon, { row: k, number: k + 1, on_map: row.on_map, chosen: k === chosen }) : null)).filter(Boolean));
  }

  choose(k, move = true) {
    const row = this.rows[k];
    this.chosen = k;
    for (const item of this.list.children) {
      item.classList.toggle("chosen", Number(item.dataset.photo) === k);
      item.querySelector(".closer")?.remove();
    }
    const item = this.list.children[k];
    item.append(h("button", { type: "button", class: "small closer", onclick: () => this.closer(this.files[k]) }, icon("target"), "Look closer and correct"));
    if (!move) item.scrollIntoView({ block: "nearest" });
    if (!row || row.lat === undefined) return;
    this.draw(k);
    if (move) this.map.fit(around(row.lat, row.lon, Math.max(40, Math.min(100, row.radius_90_m ?? 0))));
  }
}
