// One photo: sent, answered, corrected. What is shown follows the events of this object.

import { get, post, Problem, remove, send } from "./api.js";

/** Events: "start", "sending" (detail: share), "found", "changing", "changed", "resent", "failed" and "refused" (detail: Problem), "closed". */
export class Session extends EventTarget {
  constructor() {
    super();
    this.line = Promise.resolve();           // of changes
    this.reset();
  }

  reset() {
    this.abort?.abort();
    if (this.preview) URL.revokeObjectURL(this.preview);
    Object.assign(this, { file: null, name: "", preview: null, unseen: false, state: null, truth: null, truthShown: false, shared: false, known: "", abort: null, busy: false });
  }

  /** Send a photo and show its answer. `truth` is the true place of an example, `known` the text of corrections to begin with. */
  async open(file, { truth = null, known = "" } = {}) {
    this.forget();
    this.reset();
    Object.assign(this, { file, name: file.name, truth, known, preview: URL.createObjectURL(file) });
    this.tell("start");
    await this.again();
  }

  /** Send the photo once more, after an error. */
  async again() {
    this.abort?.abort();
    const abort = this.abort = new AbortController();
    this.busy = true;
    try {
      const state = await this.create(this.known, abort.signal);
      if (abort !== this.abort) return;
      Object.assign(this, { state, busy: false });
      this.tell("found");
    } catch (error) {
      if (abort !== this.abort || error.name === "AbortError") return;
      this.busy = false;
      this.tell("failed", asProblem(error));
    }
  }

  create(corrections, signal) {
    const form = new FormData();
    form.append("photo", this.file, this.file.name);
    if (corrections) form.append("corrections", corrections);
    this.tell("sending", 0);
    return send("v1/sessions", form, (share) => signal?.aborted || this.tell("sending", share), signal);
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
  undo() { return this.change("undo"); }
  redo() { return this.change("redo"); }

  /** Ask for a change when those before it are done. */
  change(what, body) {
    this.line = this.line.then(() => this.changed(what, body));
    return this.line;
  }

  async changed(what, body) {
    if (this.busy || !this.state || this.state[`can_${what}`] === false) return;
    this.busy = true;
    this.tell("changing");
    const before = this.state;
    try {
      let state;
      try {
        state = await post(`v1/sessions/${before.id}/${what}`, body);
      } catch (problem) {
        if (problem.status !== 404 || !this.file) throw problem;
        const said = what === "undo" ? before.corrections.slice(0, -1) : body ? [...before.corrections, body] : before.corrections;
        state = await this.create(JSON.stringify(said));     // the server was restarted, or has forgotten the photo
        this.tell("resent");
      }
      if (this.state !== before) return;                     // another photo in the meantime
      Object.assign(this, { state, busy: false });
      this.tell("changed");
    } catch (error) {
      if (this.state !== before) return;
      this.busy = false;
      this.tell("refused", asProblem(error));
    }
  }

  close() {
    this.forget();
    this.reset();
    this.tell("closed");
  }

  /** Tell the server that the photo is no longer needed; one whose link was copied stays. */
  forget() {
    if (this.state && this.file && !this.shared) remove(`v1/sessions/${this.state.id}`).catch(() => {});
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
