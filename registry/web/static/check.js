// Checks a wheel, and the wheels that it locks, as soon as they are chosen: the registry reads them,
// stores nothing, says all at once.

import { icon, make } from "./dom.js";

const MEMBERS = [
  ["where", "Where"],
  ["value", "Value"],
  ["expected", "Expected"],
  ["advice", "What to do"],
];

function problem(found) {
  const list = make("dl");
  for (const [name, label] of MEMBERS) {
    if (!found[name]) continue;
    const value = name === "where" || name === "value" ? make("code", {}, found[name]) : found[name];
    list.append(make("div", {}, make("dt", {}, label), make("dd", {}, value)));
  }
  const head = make("p", { class: "problem-what" }, found.what, " ", make("code", { class: "slug" }, found.code));
  return make("li", { class: "problem" }, head, list);
}

function refused(found) {
  const count = found.problems.length;
  const title = make("h3", {}, icon("bad"), `Would be refused for ${count} reason${count === 1 ? "" : "s"}`);
  const list = make("ol", { class: "problems" }, ...found.problems.map(problem));
  return make("section", { class: "notice bad" }, title, make("p", {}, "Nothing is signed or stored. Mend all of it, and choose the files again."), list);
}

function accepted(found) {
  const list = make("dl", { class: "facts tight" });
  for (const [name, text] of found.facts) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, text)));
  return make("section", { class: "notice good" }, make("h3", {}, icon("good"), "Reads well: the structure is accepted"), list);
}

class Check {
  constructor(form, region) {
    this.form = form;
    this.region = region;
    this.input = form.elements.wheel;
    this.locked = form.elements.dependency;
    this.input.addEventListener("change", () => this.chosen());
    this.locked?.addEventListener("change", () => this.chosen());
    if (this.input.files.length) this.chosen();
  }

  say(...nodes) {
    this.region.replaceChildren(...nodes);
  }

  async chosen() {
    this.attempt?.abort();
    this.attempt = new AbortController();
    this.form.classList.remove("refused");
    const file = this.input.files[0];
    if (!file) return this.say();
    this.say(make("p", { class: "help" }, "Reading the wheel …"));
    const body = new FormData();
    body.append("wheel", file, file.name);
    for (const wheel of this.locked?.files ?? []) body.append("dependency", wheel, wheel.name);
    try {
      const response = await fetch(this.form.dataset.check, {
        method: "POST",
        body,
        headers: { Accept: "application/json" },
        signal: this.attempt.signal,
      });
      if (!response.headers.get("Content-Type")?.startsWith("application/json")) {
        throw new Error(response.status === 413 ? "what was chosen is too large" : `status ${response.status}`);
      }
      const found = await response.json();
      this.form.classList.toggle("refused", !found.accepted);
      this.say(found.accepted ? accepted(found) : refused(found));
    } catch (error) {
      if (error.name !== "AbortError") this.say(make("p", { class: "notice wait" }, `The wheel could not be checked: ${error.message}.`));
    }
  }
}

const form = document.getElementById("submit-form");
const region = document.getElementById("check-result");
if (form && region) {
  document.getElementById("check-button").hidden = true;
  new Check(form, region);
}
