// Signing a review: wheel and report are fetched and hashed here before there is anything to sign.

import { Acknowledgements } from "./acknowledge.js";
import { hex, sha256 } from "./encoding.js";
import { Panel } from "./panel.js";
import { Refusal, reply } from "./replies.js";
import { reviewStatement } from "./statements.js";

const MAX_COMMENT = 4000;

export class ReviewPanel extends Panel {
  async ready() {
    this.shown = Object.fromEntries(
      ["filename", "sha256", "report_sha256", "policy_sha256", "previous_sha256"].map((name) => [
        name,
        this.root.querySelector(`[data-shown="${name}"]`).textContent.trim(),
      ]),
    );
    this.button.disabled = true;
    this.checked = null;
    this.findings = new Acknowledgements(() => this.refresh());
    for (const choice of this.root.querySelectorAll("[name=decision]")) {
      choice.addEventListener("change", () => this.chosen());
    }
    this.part("comment").addEventListener("input", () => this.refresh());
    this.refresh();
    if (this.decision) await this.chosen();
  }

  get decision() {
    return this.root.querySelector("[name=decision]:checked")?.value;
  }

  refresh() {
    this.show(this.checked && this.decision ? this.statement() : null);
    this.button.disabled = !(this.checked && this.decision);
    const progress = this.part("acknowledged");
    if (progress) progress.textContent = this.findings.progress;
    this.button.textContent = this.decision === "reject" ? "Sign the rejection" : "Sign the approval";
  }

  async chosen() {
    this.fail("");
    this.checked ??= false;
    if (!this.checked) {
      this.say("Downloading the wheel and the report, and hashing them here …");
      try {
        await this.compare("wheel", this.shown.sha256);
        await this.compare("report", this.shown.report_sha256);
        this.checked = true;
        this.say("Wheel and report were hashed in this page: both are the ones shown.");
      } catch (error) {
        this.part("digest").textContent = "";
        this.fail(error instanceof Refusal ? error.message : `The bytes cannot be fetched: ${error.message}`);
      }
    }
    this.refresh();
  }

  async compare(what, digest) {
    const response = await fetch(`${this.config.api}/${what}`, { cache: "no-store" });
    if (!response.ok) throw new Refusal(`The ${what} cannot be fetched: status ${response.status}.`);
    const found = hex(await sha256(await response.arrayBuffer()));
    if (what === "wheel") this.part("digest").textContent = found;
    if (found !== digest) {
      throw new Refusal(`The ${what} that this registry serves is not the one shown: ${found} instead of ${digest}. Do not sign; tell the operator.`);
    }
  }

  statement() {
    const answers = this.decision === "approve" ? this.findings.answers : [];
    return reviewStatement(this.shown, this.decision, this.part("comment").value, answers);
  }

  check() {
    const comment = this.part("comment").value;
    if (!this.checked || !this.decision) throw new Refusal("Choose a decision first.");
    if (this.decision === "approve") this.findings.check();
    if (this.decision === "reject" && !comment.trim()) throw new Refusal("A rejection says why: write a comment.");
    if (Array.from(comment).length > MAX_COMMENT) throw new Refusal(`The comment is longer than ${MAX_COMMENT} characters.`);
    if (comment.isWellFormed && !comment.isWellFormed()) throw new Refusal("The comment has half a character in it.");
  }

  // What would be signed must still be what the registry asks for: else this page is stale.
  async recheck() {
    const asked = await reply(await fetch(`${this.config.api}/review-materials`, { cache: "no-store" }), "The materials");
    const plugin = await reply(await fetch(this.config.plugin, { cache: "no-store" }), "The plugin");
    const known = this.config.siblings.split(" ");
    const newer = plugin.versions.map((line) => line.version).filter((number) => !known.includes(number));
    if (newer.length) {
      throw new Refusal(`This page is stale: ${newer.join(", ")} was submitted after it was opened. Reload it, and choose which version to review.`);
    }
    const state = (await reply(await fetch(this.config.api, { cache: "no-store" }), "The version")).state;
    const same = Object.entries(this.shown).every(([name, value]) => (asked[name] ?? "") === value);
    if (!same || !this.findings.same(asked.acknowledge) || state !== "in_review") {
      throw new Refusal("This page is stale: the version changed after it was opened. Reload it, and read again what you sign.");
    }
  }
}
