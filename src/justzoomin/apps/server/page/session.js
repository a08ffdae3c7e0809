// One photo: sent, answered, corrected. What is shown follows the events of this object.

import { get, post, Problem, remove, send } from "./api.js";

/** Events: "start", "sending" (detail: share), "found", "changed", "failed" (detail: Problem), "refused" (detail: Problem), "closed". */
export class Session extends EventTarget {
  constructor() {
    super();
    this.reset();
  }

  reset() {
    this.abort?.abort();
    Object.assign(this, { file: null, name: "", preview: null, state: null, truth: null, pending: null, abort: null, busy: false });
  }

  /** Send a photo and show its answer. `truth` is the true place of an example, `corrections` are applied at once. */
  async open(file, { truth = null, corrections = [] } = {}) {
    const before = this.state?.id;
    if (this.preview) URL.revokeObjectURL(this.preview);
    this.reset();
    Object.assign(this, { file, name: file.name, truth, pending: corrections, preview: URL.createObjectURL(file) });
    if (before) remove(`v1/sessions/${before}`).catch(() => {});
    this.tell("start");
    await this.again();
  }

  /** Send the photo once more: after an error, or when the server has forgotten it. */
  async again() {
    const abort = this.abort = new AbortController();
    this.busy = true;
    try {
      const state = await this.create(abort.signal);
      if (abort !== this.abort) return;
      this.state = state;
      await this.catchUp();
      this.busy = false;
      this.tell("found");
    } catch (problem) {
      if (abort !== this.abort || problem.name === "AbortError") return;
      this.busy = false;
      this.tell("failed", asProblem(problem));
    }
  }

  create(signal) {
    const form = new FormData();
    form.append("photo", this.file, this.file.name);
    this.tell("sending", 0);
    return send("v1/sessions", form, (share) => signal.aborted || this.tell("sending", share), signal);
  }

  async catchUp() {
    const corrections = this.pending ?? [];
    this.pending = null;
    for (const correction of corrections) this.state = await post(`v1/sessions/${this.state.id}/corrections`, bare(correction));
  }

  /** Show a session that the server still has: from a link. Throws the problem if it has not. */
  async restore(id) {
    const state = await get(`v1/sessions/${encodeURIComponent(id)}`);
    this.reset();
    Object.assign(this, { state, name: state.photo.name });
    this.tell("start");
    this.tell("found");
  }

  correct(correction) { return this.change("corrections", correction); }
  undo() { return this.state?.can_undo ? this.change("undo") : undefined; }
  redo() { return this.state?.can_redo ? this.change("redo") : undefined; }

  async change(what, body) {
    if (this.busy || !this.state) return;
    this.busy = true;
    this.tell("changing");
    try {
      const told = this.state.corrections;
      try {
        this.state = await post(`v1/sessions/${this.state.id}/${what}`, body);
      } catch (problem) {
        if (problem.status !== 404 || !this.file) throw problem;
        this.state = await this.create(new AbortController().signal);     // the server was restarted
        this.pending = what === "undo" ? told.slice(0, -1) : body ? [...told, body] : told;
        await this.catchUp();
        this.tell("resent");
      }
      this.busy = false;
      this.tell("changed");
    } catch (problem) {
      this.busy = false;
      this.tell("refused", asProblem(problem));
    }
  }

  cancel() {
    this.close();
  }

  close() {
    if (this.state) remove(`v1/sessions/${this.state.id}`).catch(() => {});
    if (this.preview) URL.revokeObjectURL(this.preview);
    this.reset();
    this.tell("closed");
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Return an error as a problem, so that a mistake of the page itself is told, too. */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem(-1, `the page made an error (${error.message})`, "Load the page again.");
}

/** Return a correction without what the page or the server added to it. */
export function bare(c) {
  const fields = { cell: ["sequence", "lat", "lon", "level", "here"], circle: ["lat", "lon", "radius_m", "here"],
                   polygon: ["geometry", "here"], heading: ["deg", "sigma_deg"], camera: ["fov_deg"] }[c.kind] ?? [];
  return { kind: c.kind, ...Object.fromEntries(fields.filter((name) => c[name] !== undefined && c[name] !== null).map((name) => [name, c[name]])) };
}
