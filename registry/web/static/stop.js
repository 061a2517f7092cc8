// Signing a revocation, a quarantine or its end, as trust.revocation.statement writes them.

import { canonical, hex, sha256, utf8 } from "./encoding.js";
import { Panel } from "./panel.js";
import { Refusal } from "./replies.js";

const TYPE = "https://sealgate.dev/attestation/revocation/v1";
const MAX_REASON = 1000;
const LABELS = { quarantine: "Sign the quarantine", revoke: "Sign the revocation", lift: "Sign the lifting" };

export class StopPanel extends Panel {
  async ready() {
    this.choices = this.form.elements;
    for (const name of ["action", "what", "reason"]) {
      const found = this.choices[name];
      for (const input of found instanceof RadioNodeList ? found : [found]) {
        input.addEventListener(name === "reason" ? "input" : "change", () => this.refresh());
      }
    }
    await this.refresh();
  }

  get action() {
    return this.choices.action.value;
  }

  // What is taken back: {target, name, digest, lifts}. A lift names the quarantine's bundle.
  async subject() {
    const chosen = this.choices.what.selectedOptions[0];
    if (this.action === "lift") {
      const { target, name, digest, lifts } = chosen.dataset;
      if (!lifts) throw new Refusal("Choose the quarantine to lift.");
      return { target: JSON.parse(target), name, digest, lifts };
    }
    const { plugin, version, sha256: digest } = chosen.dataset;
    if (!plugin) throw new Refusal("Choose a plugin or a version.");
    if (version) return { target: { kind: "version", plugin, version, sha256: digest }, name: `version ${plugin}==${version}`, digest };
    const target = { kind: "plugin", plugin };
    return { target, name: `plugin ${plugin}`, digest: hex(await sha256(utf8.encode(canonical(target)))) };
  }

  async refresh() {
    this.made = null;
    this.button.disabled = true;
    this.button.textContent = LABELS[this.action] ?? "Sign";
    this.fail("");
    try {
      const { target, name, digest, lifts } = await this.subject();
      const reason = this.choices.reason.value.trim();
      if (Array.from(reason).length > MAX_REASON) throw new Refusal(`The reason is longer than ${MAX_REASON} characters.`);
      const effective = new Date().toISOString().replace(/\.\d+Z$/, "Z");
      const predicate = { action: this.action, target, reason, effective, ...(lifts ? { lifts } : {}) };
      this.made = { _type: "https://in-toto.io/Statement/v1", subject: [{ name, digest: { sha256: digest } }], predicateType: TYPE, predicate };
      this.show(reason ? this.made : null);
      this.button.disabled = !reason || !this.action;
    } catch (error) {
      this.show(null);
      if (!(error instanceof Refusal)) throw error;
      this.say(error.message);
    }
  }

  statement() {
    return this.made;
  }

  check() {
    if (!this.made || !this.made.predicate.reason) throw new Refusal("Say what and why first.");
  }

  async recheck() {}
}
