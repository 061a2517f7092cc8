// Trying a method: the form's values as JSON, a token from the login window (kept in this page's
// memory only), the call, and its reply as text. The runner decides what is valid.

import { callToken, openWindow } from "./authority.js";
import { make } from "./dom.js";
import { Refusal } from "./replies.js";

const SPARE_SECONDS = 30;
const WAIT_SECONDS = 60;
const SHOWN = 100_000;
const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const WORDS = {
  ok: "Done",
  refused: "Refused",
  invalid_arguments: "The arguments are not valid",
  plugin_error: "The plugin failed",
  timeout: "It took too long",
  resource_limit: "It used more than it may",
  unavailable: "Not available",
};

const part = (node, name) => node.querySelector(`[data-part="${name}"]`);
const parts = (node, name) => [...node.querySelectorAll(`[data-part="${name}"]`)];

class WrongField extends Error {}

// JSON Pointer (RFC 6901) -> the member that it begins with.
const memberOf = (pointer) =>
  pointer?.startsWith("/") ? pointer.split("/")[1].replaceAll("~1", "/").replaceAll("~0", "~") : "";

// A field's value as JSON text; null where it is not given. As text, so that no number changes.
function valueOf(field) {
  const { kind, required } = field.dataset;
  const input = part(field, "input");
  const text = input.value;
  const asked = required !== undefined;
  if (input.validity.badInput) throw new WrongField(input.validationMessage);
  if (asked && !text.trim() && !["choice", "line", "text"].includes(kind)) throw new WrongField("This is required.");
  if (!input.validity.valid) throw new WrongField(input.validationMessage);
  if (kind === "choice") return text || null;
  if (kind === "line" || kind === "text") return text || asked ? JSON.stringify(text) : null;
  if (!text.trim() && !asked) return null;
  if (kind === "json") {
    try {
      JSON.parse(text);
    } catch (error) {
      throw new WrongField(`This is not JSON: ${error.message}`);
    }
    return text;
  }
  return NUMBER.test(text) ? text : JSON.stringify(Number(text));
}

function mark(field, text) {
  const error = part(field, "error");
  const input = part(field, "input");
  error.textContent = error.textContent && text ? `${error.textContent} ${text}` : text;
  error.hidden = !text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function argumentsOf(fields) {
  let wrong = null;
  const members = [];
  for (const field of fields) {
    try {
      const value = valueOf(field);
      if (!field.dataset.member) return value;
      if (value !== null) members.push(`${field.dataset.member}:${value}`);
    } catch (error) {
      if (!(error instanceof WrongField)) throw error;
      mark(field, error.message);
      wrong ??= field;
    }
  }
  if (wrong) {
    part(wrong, "input").focus();
    throw new Refusal("Mend the marked fields. Nothing was called.");
  }
  return `{${members.join(",")}}`;
}

const sentence = ({ what, value, expected }) => {
  const text = [what, value, expected && `expected: ${expected}`].filter(Boolean).join("; ");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
};

function block(title, text) {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… cut here; the download has all of it` : text;
  const pre = make("pre", { class: "block", tabindex: "0", role: "group", "aria-label": title }, shown);
  return make("div", {}, make("h3", { class: "small-head" }, title), pre);
}

class Trial {
  constructor(page, node) {
    this.page = page;
    this.node = node;
    this.form = part(node, "form");
    this.fields = parts(node, "field");
    this.button = this.form.querySelector("button");
    this.urls = [];
    part(node, "command").hidden = true;
    this.form.hidden = false;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.call();
    });
  }

  say(text) {
    part(this.node, "status").textContent = text;
  }

  fail(text, problems = []) {
    const alert = part(this.node, "alert");
    alert.hidden = !text;
    alert.replaceChildren(text ? make("p", {}, text) : "");
    if (problems.length) alert.append(make("ul", {}, ...problems.map((each) => make("li", {}, sentence(each)))));
    if (text) this.say("");
  }

  clear() {
    this.fail("");
    for (const field of this.fields) mark(field, "");
    part(this.node, "reply").hidden = true;
    part(this.node, "reply").replaceChildren();
    this.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
  }

  async call() {
    this.clear();
    this.button.disabled = true;
    try {
      const given = argumentsOf(this.fields);
      const token = await this.page.token((text) => this.say(text));
      this.say("Calling …");
      const { plugin, version } = this.page.config;
      const head = JSON.stringify({ plugin, version, method: this.node.dataset.method });
      const began = performance.now();
      const answer = await this.page.post(`${head.slice(0, -1)},"arguments":${given}}`, token);
      this.show(answer, performance.now() - began);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.fail(error instanceof Refusal ? error.message : `The call failed: ${error.message}.`);
    } finally {
      this.button.disabled = false;
    }
  }

  download(label, name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    this.urls.push(url);
    return make("a", { href: url, download: name }, label);
  }

  show({ reply, text }, milliseconds) {
    const problems = reply.error?.problems ?? [];
    const elsewhere = problems.filter((each) => !this.atField(each, reply.status));
    const word = WORDS[reply.status] ?? reply.status ?? "No status";
    if (reply.status !== "ok") {
      const message = reply.error?.message;
      this.fail(message && message !== problems[0]?.what ? `${word}: ${message}` : `${word}.`, elsewhere);
    }
    const ran = reply.usage?.wall_seconds;
    const took = `${ran === undefined ? "" : `ran ${Math.round(ran * 1000)} ms, `}answered after ${Math.round(milliseconds)} ms`;
    this.say(`${word}: ${took}.`);
    const box = part(this.node, "reply");
    if (reply.status === "ok") box.append(block("Result", JSON.stringify(reply.result, null, 2)));
    if (reply.stdout) box.append(block("Standard output", reply.stdout));
    if (reply.stderr) box.append(block("Standard error", reply.stderr));
    const links = make("p", { class: "downloads" });
    const name = `call-${reply.request_id || "without-record"}`;
    if (reply.receipt) links.append(this.download("Download the receipt", `${name}.receipt.json`, JSON.stringify(reply.receipt)), " ");
    links.append(this.download("Download the whole reply", `${name}.json`, text));
    box.append(links);
    if (reply.request_id) box.append(make("p", { class: "quiet" }, "On record as ", make("code", {}, reply.request_id)));
    box.hidden = false;
    this.fields.find((field) => part(field, "input").hasAttribute("aria-invalid"))?.querySelector("[data-part=input]").focus();
  }

  atField(problem, status) {
    if (status !== "invalid_arguments") return false;
    const member = JSON.stringify(memberOf(problem.where));
    // Where one field is for all arguments, everything is about it.
    const field = this.fields.find(({ dataset }) => !dataset.member || JSON.stringify(JSON.parse(dataset.member)) === member);
    if (field) mark(field, sentence(problem));
    return Boolean(field);
  }
}

class TryPage {
  #token = null;
  #until = 0;

  constructor(root) {
    this.config = root.dataset;
    this.attempt = null;
  }

  async token(say) {
    if (this.#token && Date.now() / 1000 < this.#until) return this.#token;
    this.attempt?.abort();
    this.attempt = new AbortController();
    const opened = openWindow();
    say("Waiting for the login window …");
    try {
      const { token, claims } = await callToken(this.config, opened, this.attempt.signal);
      if (claims.sub !== this.config.person) throw new Refusal(`The window signed in ${claims.sub}, and this page ${this.config.person}. Nothing was called.`);
      this.#until = Math.min(claims.exp, Date.now() / 1000 + (claims.exp - claims.iat)) - SPARE_SECONDS;
      this.#token = token;
      return token;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  async post(body, token) {
    let response;
    try {
      response = await fetch(`${this.config.runner}/v1/invocations`, {
        method: "POST",
        credentials: "omit",
        redirect: "error",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
        body,
        signal: AbortSignal.timeout((Number(this.config.seconds) + WAIT_SECONDS) * 1000),
      });
    } catch (error) {
      if (error.name === "TimeoutError") throw new Refusal("The runner did not answer in time. The call may have run; it is on record there.");
      throw new Refusal(`The runner at ${this.config.runner} cannot be reached, or its policy does not list ${location.origin}.`);
    }
    if (response.status === 401) this.#token = null;
    const text = await response.text();
    try {
      return { reply: JSON.parse(text), text };
    } catch {
      throw new Refusal(`The runner's answer (status ${response.status}) cannot be read.`);
    }
  }
}

const root = document.getElementById("try");
if (root && window.isSecureContext && crypto.subtle && "BroadcastChannel" in window) {
  if (new URL(root.dataset.redirectUri).origin === location.origin) {
    const page = new TryPage(root);
    for (const node of parts(root, "trial")) new Trial(page, node);
  } else {
    const alert = part(root, "page-alert");
    alert.textContent = `Open this page at ${new URL(root.dataset.redirectUri).origin} to try it.`;
    alert.hidden = false;
  }
}
