// A drive: photos with times, located together. The track with its uncertainty, and a slider through time.

import { $, announce, h, icon, show, toast } from "./dom.js";
import { saveBlob, send } from "./api.js";
import { asProblem } from "./session.js";
import { trouble, waiting } from "./pending.js";
import { disk, feature, point, polygon } from "./map.js";
import { around, sector, union } from "./geo.js";
import { metres, percent, plural, position, wind } from "./words.js";

const WEDGE_M = 25;

export class Drive {
  constructor(map, info) {
    Object.assign(this, { map, info, files: [], table: null, points: [], at: 0, shown: false });
    this.input = h("input", { type: "file", accept: "image/*,.heic,.heif,.csv", multiple: true, hidden: true, id: "drive-input", onchange: (event) => {
      const files = [...event.target.files];
      event.target.value = "";
      this.takesTable(files);
      const photos = files.filter((file) => !isTable(file));
      if (photos.length) this.take(photos);
    } });
    this.note = h("p", { class: "muted", id: "drive-table" }, "Times come from the photos' EXIF data, or from a CSV file with the columns photo and time.");
    this.empty = h("div", {}, h("h1", {}, "Locate a drive"),
      h("p", { class: "lead" }, "Photos that one camera took one after the other help each other: the place of one limits the place of the next."),
      h("div", { class: "drop" }, icon("photo", "big"), h("p", {}, h("strong", {}, "Drop the photos of a drive here"), h("br"), h("span", { class: "muted" }, "and a CSV file with their times, if there is one")),
        h("p", { class: "row" }, h("button", { type: "button", class: "primary", id: "drive-choose", onclick: () => this.input.click() }, "Choose photos"))));
    this.status = h("div", { class: "progress", role: "status", hidden: true });
    this.trouble = h("div", { class: "trouble", role: "alert", hidden: true });
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, id: "time", "aria-label": "Time", oninput: (event) => this.go(Number(event.target.value)) });
    this.now = h("div", { class: "now" });
    this.play = h("button", { type: "button", class: "round", id: "drive-play", "aria-label": "Play the drive", onclick: () => this.toggle() }, icon("play"));
    this.unused = h("ul", { class: "unused", "aria-label": "Photos that were not used" });
    this.track = h("div", { hidden: true }, h("div", { class: "timeline" }, this.play, this.slider), this.now, this.unused,
      h("ul", { class: "files" }, [["application/geo+json", "geojson", "GeoJSON"], ["application/gpx+xml", "gpx", "GPX"], ["application/json", "json", "JSON"]]
        .map(([kind, ending, name]) => h("li", {}, h("button", { type: "button", class: "small", "data-drive-export": ending, onclick: () => this.keep(kind, ending) }, icon("download"), name)))));
    this.full = h("div", { hidden: true }, h("div", { class: "head" }, h("h1", { id: "drive-title" }, "A drive"),
      h("button", { type: "button", class: "small", id: "drive-new", onclick: () => this.forget() }, "Start again")), this.status, this.trouble, this.track);
    $("view-drive").append(this.input, this.empty, this.full, this.note);
    map.addEventListener("pick", ({ detail }) => this.shown && detail.feature?.row !== undefined && this.go(detail.feature.row));
  }

  show() {
    this.shown = true;
    if (!this.points.length) this.map.fit(this.info.bounds);
    this.draw();
  }

  hide() {
    this.shown = false;
    this.stop();
    this.map.clear("drive", "wedge");
  }

  /** Keep a table of times, if there is one among files; whether there was. */
  takesTable(files) {
    const table = files.find(isTable);
    if (!table) return false;
    this.table = table;
    this.note.replaceChildren(`Times come from ${table.name}. `, h("button", { type: "button", class: "small", onclick: () => {
      this.table = null;
      this.note.textContent = "Times come from the photos' EXIF data.";
    } }, "Leave it out"));
    if (this.files.length && !this.points.length) this.run();
    return true;
  }

  take(files) {
    this.files = [...files].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    this.points = [];
    show(this.empty, false);
    show(this.full, true);
    $("drive-title").textContent = plural(files.length, "photo");
    this.run();
  }

  form() {
    const form = new FormData();
    this.files.forEach((file) => form.append("photos", file, file.name));
    if (this.table) form.append("times", this.table, this.table.name);
    return form;
  }

  async run() {
    this.abort?.abort();
    const abort = this.abort = new AbortController();
    show(this.trouble, false);
    show(this.track, false);
    try {
      const points = await send("v1/track", this.form(), (share) => this.progress(share), abort.signal);
      this.points = points.filter((one) => one.lat !== undefined);
      const unused = points.filter((one) => one.lat === undefined);
      this.unused.replaceChildren(...unused.map((one) => h("li", {}, icon("warning"), h("span", {}, one.error ?? one.photo))));
      show(this.status, false);
      this.slider.max = this.points.length - 1;
      show(this.track, this.points.length > 0);
      announce(`${plural(this.points.length, "photo")} located`);
      this.go(0);
      if (this.shown && this.points.length) this.map.fit(union(...this.points.map((one) => around(one.lat, one.lon, 40))));
    } catch (error) {
      if (error.name === "AbortError") return;
      const problem = asProblem(error);
      show(this.status, false);
      trouble(this.trouble, problem, "That did not work",
        h("button", { type: "button", class: "primary", id: "drive-again", onclick: () => this.run() }, "Try again"),
        h("button", { type: "button", onclick: () => this.input.click() }, "Add a table of times"));
    }
  }

  progress(share) {
    waiting(this.status, share < 1 ? share : null, share < 1 ? `Sending: ${percent(share)}` : "Locating the photos together", "drive-cancel", () => this.forget());
  }

  forget() {
    this.abort?.abort();
    this.stop();
    Object.assign(this, { files: [], points: [], at: 0 });
    show(this.empty, true);
    show(this.full, false);
    show(this.status, false);
    this.map.clear("drive", "wedge");
  }

  go(k) {
    this.at = k;
    this.slider.value = k;
    const one = this.points[k];
    if (!one) return;
    const time = new Date(one.time);
    const clock = Number.isNaN(time.getTime()) ? one.time : one.time.replace(/^.*T/, "").replace(/(\.\d+)?(Z|[+-]\d\d:\d\d)?$/, "");
    this.slider.setAttribute("aria-valuetext", `${clock}, photo ${k + 1} of ${this.points.length}`);
    const file = this.files.find((candidate) => candidate.name === one.photo || String(one.photo).endsWith(`/${candidate.name}`));
    if (file !== this.pictured) {
      if (this.source) URL.revokeObjectURL(this.source);
      this.pictured = file;
      this.source = file ? URL.createObjectURL(file) : null;
    }
    this.now.replaceChildren(
      file ? h("figure", { class: "photo" }, h("img", { src: this.source, alt: `Photo ${file.name}` })) : "",
      h("dl", { class: "facts" },
        ...[["Time", clock], ["Photo", `${k + 1} of ${this.points.length}`], ["Position", position(one.lat, one.lon)], ["90 % within", metres(one.radius_90_m)],
            ["Faces", one.heading_deg === null || one.heading_deg === undefined ? null : `${wind(one.heading_deg)}, ${Math.round(one.heading_deg)}°`],
            ["Remark", one.on_map === false ? "probably not on this map" : null]]
          .filter(([, value]) => value !== null).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
    this.draw();
  }

  draw() {
    if (!this.shown || !this.points.length) return;
    const line = this.points.map((one) => [one.lon, one.lat]);
    this.map.mark("drive", [
      ...this.points.map((one, k) => disk(one.lat, one.lon, one.radius_90_m, { chosen: k === this.at })),
      ...(line.length > 1 ? [feature({ type: "LineString", coordinates: line }, { kind: "line" })] : []),
      ...this.points.map((one, k) => point(one.lat, one.lon, { row: k, number: k + 1, on_map: one.on_map, chosen: k === this.at })),
    ]);
    this.facing();
  }

  facing() {
    const { lat, lon, heading_deg: heading, heading_sigma_deg: sigma } = this.points[this.at];
    const known = typeof heading === "number" && sigma < 90;
    this.map.mark("wedge", known ? [polygon(sector(lat, lon, heading, sigma, WEDGE_M))] : null);
  }

  toggle() {
    if (this.timer) {
      this.stop();
      return;
    }
    if (this.at >= this.points.length - 1) this.go(0);
    this.play.setAttribute("aria-label", "Stop");
    this.play.replaceChildren(icon("close"));
    this.timer = setInterval(() => {
      if (this.at >= this.points.length - 1) this.stop();
      else this.go(this.at + 1);
    }, 700);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.setAttribute("aria-label", "Play the drive");
    this.play.replaceChildren(icon("play"));
  }

  async keep(kind, ending) {
    toast("The server makes the file. That takes as long as locating the photos.");
    try {
      const content = await send("v1/track", this.form(), () => {}, undefined, kind);
      saveBlob(new Blob([typeof content === "string" ? content : JSON.stringify(content)], { type: kind }), `drive.${ending}`);
    } catch (error) {
      toast(asProblem(error).what);
    }
  }
}

const isTable = (file) => /\.csv$/i.test(file.name);
