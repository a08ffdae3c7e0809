// The answer beside the map: how sure it is, where, which way the photo faces, other places, and files to save.

import { $, announce, h, icon, show, toast } from "./dom.js";
import { save } from "./api.js";
import { distance } from "./geo.js";
import { area, metres, percent, position, sureness, trust, wind } from "./words.js";

const FILES = [["geojson", "GeoJSON", "for GIS"], ["gpx", "GPX", "for GPS devices"], ["csv", "CSV", "for tables"],
               ["gpkg", "GeoPackage", "for QGIS"], ["png", "PNG", "for a report"]];

export class Answer extends EventTarget {
  constructor(session, argue) {
    super();
    this.session = session;
    this.chosen = [];
    this.verdict = h("section", { class: "verdict", id: "verdict", "aria-label": "Answer" });
    this.places = h("ol", { class: "places", id: "places" });
    this.compare = h("button", { type: "button", id: "compare-open", class: "small", onclick: () => this.tell("compare", this.chosen) }, icon("compare"), "Compare two");
    this.files = h("ul", { class: "files", id: "files-out" });
    $("answer").append(
      this.verdict,
      h("section", { class: "block", "aria-labelledby": "places-title" },
        h("div", { class: "head" }, h("h2", { id: "places-title" }, "Candidate places"), this.compare), this.places),
      h("details", { class: "block", id: "argue", open: true }, h("summary", {}, h("h2", {}, "Do you know better? Say so")), argue),
      h("details", { class: "block", id: "save" }, h("summary", {}, h("h2", {}, "Save or share")),
        this.files, h("button", { type: "button", id: "copy-link", onclick: () => this.copyLink() }, icon("link"), "Copy a link to this view")),
    );
  }

  /** Show a state: `places` are the joined cells. */
  update(state, places) {
    this.state = state;
    this.list = places;
    this.chosen = places.slice(0, 2);
    this.showVerdict(state.fix);
    this.showPlaces(places);
    this.showFiles(state);
    show($("answer"), true);
    const { headline, text } = sureness(state.fix);
    announce(`${headline}. ${text} Position ${position(state.fix.lat, state.fix.lon)}.`);
  }

  showVerdict(fix) {
    const sure = sureness(fix);
    const facts = [
      ["Position", [h("span", { class: "number", id: "position" }, position(fix.lat, fix.lon)),
                    h("button", { type: "button", class: "round small", "aria-label": "Copy the position", title: "Copy", onclick: () => copy(position(fix.lat, fix.lon), "Position copied.") }, icon("copy"))]],
      ["90 % within", fix.radius_90_m ? `${metres(fix.radius_90_m)} of the pin` : null],
      ["90 % region", fix.regions ? area(fix.regions["90"]) : null],
      ["Faces", fix.heading_deg === null || fix.heading_deg === undefined ? null : facing(fix)],
    ];
    this.verdict.replaceChildren(
      h("h1", { class: `tone-${sure.tone}`, id: "headline" }, sure.headline),
      h("p", { class: "sure", id: "sure" }, sure.text),
      h("dl", { class: "facts" }, facts.filter(([, value]) => value !== null).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("p", { class: `trust${fix.not_calibrated ? " warn" : ""}`, id: "trust" }, fix.not_calibrated ? icon("warning") : null, h("span", {}, trust(fix))),
      this.session.truth ? this.truth(fix) : "",
    );
  }

  truth(fix) {
    const { lat, lon } = this.session.truth;
    if (!this.session.truthShown) {
      return h("p", {}, h("button", { type: "button", id: "show-truth", class: "small", onclick: () => {
        this.session.truthShown = true;
        this.showVerdict(fix);
        this.tell("truth");
      } }, icon("target"), "Show the true place"));
    }
    return h("p", { class: "truth", id: "truth" }, icon("check"), `The true place is ${metres(distance(fix.lat, fix.lon, lat, lon))} from the pin.`);
  }

  showPlaces(places) {
    const best = Math.max(...places.map((place) => place.probability), 1e-9);
    this.places.replaceChildren(...places.slice(0, 6).map((place, k) => h("li", {},
      h("button", { type: "button", class: "place", "data-place": k + 1, onclick: () => this.tell("show", place) },
        h("span", { class: "badge" }, String(k + 1)),
        h("span", { class: "number" }, position(place.lat, place.lon, 5)),
        h("meter", { min: 0, max: best, value: place.probability, "aria-hidden": "true" }),
        h("b", {}, percent(place.probability))),
      places.length > 1 && h("label", { class: "pick", title: "Compare this place" },
        h("input", { type: "checkbox", "aria-label": `Compare place ${k + 1}`, checked: this.chosen.includes(place), onchange: (event) => this.pick(place, event.target.checked) })))));
    show(this.compare, places.length > 1);
    this.compare.disabled = this.chosen.length !== 2;
  }

  pick(place, on) {
    this.chosen = on ? [...this.chosen, place].slice(-2) : this.chosen.filter((one) => one !== place);
    this.places.querySelectorAll("input").forEach((box, k) => { box.checked = this.chosen.includes(this.list[k]); });
    this.compare.disabled = this.chosen.length !== 2;
  }

  showFiles(state) {
    this.files.replaceChildren(...FILES.map(([kind, name, use]) => h("li", {}, h("a", {
      href: `v1/sessions/${state.id}/export.${kind}`, download: `${stem(state.photo.name)}.${kind}`, "data-export": kind,
      onclick: (event) => {
        event.preventDefault();
        save(event.currentTarget.getAttribute("href"), event.currentTarget.download).catch((problem) => toast(`${problem.what}. ${problem.remedy ?? ""}`));
      },
    }, icon("download"), h("span", {}, name, h("small", {}, use))))));
  }

  copyLink() {
    this.tell("link");
    copy(location.href, "Link copied. It holds the view and your corrections, not the photo.");
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function facing(fix) {
  return fix.heading_sigma_deg >= 90 ? "unknown" : `${wind(fix.heading_deg)}, ${Math.round(fix.heading_deg)}° ± ${Math.round(fix.heading_sigma_deg)}°`;
}

async function copy(text, told) {
  try {
    await navigator.clipboard.writeText(text);
    toast(told);
  } catch {
    toast(`Copy it by hand: ${text}`);
  }
}

function stem(name) {
  return (name || "photo").replace(/\.[^.]+$/, "");
}
