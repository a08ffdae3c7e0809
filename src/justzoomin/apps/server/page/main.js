// The page: asks what the map is, and ties photo, map, answer and corrections together.

import { get, knock, server, setKey } from "./api.js";
import { $, h, icon, show, toast } from "./dom.js";
import { Grid } from "./geo.js";
import { MapView } from "./map.js";
import { Strip } from "./strip.js";
import { asProblem, Session } from "./session.js";
import { Argue } from "./argue.js";
import { sentence } from "./pending.js";
import { listen, sorted } from "./intake.js";
import { showExamples } from "./examples.js";
import { PhotoView } from "./photoview.js";
import { Many } from "./many.js";
import { Drive } from "./drive.js";
import { bytes, metres, plural } from "./words.js";

const HINT_MS = 6000;
let modes = null;
let mode = "photo";

function tellBanner(text, action, label = "Try again") {
  $("banner").replaceChildren(icon("warning"), h("span", {}, text), action ? h("button", { type: "button", class: "small", id: "retry", onclick: action }, label) : "");
  show($("banner"), true);
}

server.addEventListener("gone", () => tellBanner("The server does not answer. Nothing is lost: your photo is still here. This page tries again by itself.", knock));
server.addEventListener("back", () => {
  show($("banner"), false);
  toast("The server is back.");
  if (!modes) start();
  else modes.photo.retry();
});
server.addEventListener("key", () => {
  tellBanner("The server asks for a key.", askKey, "Enter the key");
  askKey();
});
$("key-form").addEventListener("submit", () => {
  setKey($("key-value").value);
  $("key-value").value = "";
  show($("key-wrong"), true);                                 // seen only if the server asks again
  show($("banner"), false);
  if (modes) modes.photo.retry();
  else start();
});

function askKey() {
  if (!$("key").open) $("key").showModal();
}

async function start() {
  try {
    const info = await get("v1/map");
    show($("banner"), false);
    const map = new MapView(info, await get("tiles/map.json"), $("map"), $("popup"));
    const grid = map.grid4 = new Grid(info.grid);
    const session = new Session();
    const argue = new Argue(session, info);
    argue.map = map;
    const photo = new PhotoView({ info, map, grid, session, argue, strip: new Strip(info.grid) });
    modes = { photo, many: new Many(map, info, (file) => { setMode("photo"); session.open(file); }), drive: new Drive(map, info) };
    showFacts(info);
    showExamples(info.examples, (file, truth) => { setMode("photo"); session.open(file, { truth }); }, (error) => toast(asProblem(error).what));
    listen((files) => receive(files, info));
    setMode("photo");
    document.body.dataset.state = "ready";
    await photo.fromLink();
    window.justzoomin = { map, session };                    // for tests and the curious
  } catch (error) {
    const problem = asProblem(error);
    if (problem.gone || problem.status === 401) return;      // the banner says so, and start() is called again
    if (problem.status === 503) {
      tellBanner("The server is starting: the model and the map are being read.");
      setTimeout(start, 2000);
      return;
    }
    tellBanner(`${sentence(problem.what)} ${problem.remedy ?? ""}`, start);
  }
}

function receive(files, info) {
  const { photos, others } = sorted(files);
  if (mode === "drive" && modes.drive.takesTable(others)) {
    if (!photos.length) return;
  } else if (!photos.length) {
    toast(`${others[0].name} is not a photo. Give JPEG, PNG or HEIC.`);
    return;
  }
  const most = 1e6 * (info.limits?.max_photo_mb ?? Infinity);
  const fitting = photos.filter((file) => file.size <= most);
  if (fitting.length < photos.length) {
    const large = photos.find((file) => file.size > most);
    toast(`${large.name} has ${bytes(large.size)}; the server takes ${bytes(most)} at most. Send a smaller copy.`);
  }
  if (!fitting.length) return;
  if (mode !== "photo") modes[mode].take(fitting);
  else if (fitting.length === 1) modes.photo.open(fitting[0]);
  else {
    $("sort-text").textContent = `You gave ${plural(fitting.length, "photo")}. Photos of one drive help each other, if their times are known.`;
    for (const [id, next] of [["sort-many", "many"], ["sort-drive", "drive"]]) {
      $(id).onclick = () => {
        $("sort").close();
        setMode(next);
        modes[next].take(fitting);
      };
    }
    $("sort").showModal();
  }
}

function setMode(next) {
  mode = next;
  document.body.dataset.mode = next;
  for (const button of document.querySelectorAll(".modes button")) button.setAttribute("aria-pressed", String(button.dataset.mode === next));
  for (const name of Object.keys(modes)) {
    show($(`view-${name}`), name === next);
    if (name !== next) modes[name].hide();
  }
  modes[next].show();
  $("panel").scrollTop = 0;
}

function showFacts(info) {
  document.title = `justzoomin: where was this photo taken? ${info.name ?? ""}`.trim();
  const rows = [["Map", info.name], ["Side of the region", metres(info.grid.size_m)], ["Smallest cells", metres(info.grid.size_m / info.grid.grid ** info.grid.depth)],
                ["Model", info.family], ["Probabilities", info.not_calibrated ? `not calibrated: ${info.not_calibrated}` : "calibrated"],
                ["Attribution", info.attribution]];
  $("facts").replaceChildren(...rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

for (const button of document.querySelectorAll(".modes button")) button.addEventListener("click", () => modes && setMode(button.dataset.mode));
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
  const next = dark ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* the choice holds for this visit */ }
});
$("about-open").addEventListener("click", () => $("about").showModal());
$("about-close").addEventListener("click", () => $("about").close());
$("sort-cancel").addEventListener("click", () => $("sort").close());
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
setTimeout(() => show($("hint"), false), HINT_MS);

start();
