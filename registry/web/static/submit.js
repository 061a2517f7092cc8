// Signing a submission: the chosen file is hashed here, and sent as it was hashed.

import { hex, sha256 } from "./encoding.js";
import { Panel, put } from "./panel.js";
import { Refusal } from "./replies.js";
import { submitStatement } from "./statements.js";

export class SubmitPanel extends Panel {
  async ready() {
    this.input = this.form.elements.wheel;
    this.input.addEventListener("change", () => this.chosen());
    await this.chosen();
  }

  async chosen() {
    this.attempt?.abort();
    this.wheel = null;
    this.button.disabled = true;
    this.fail("");
    this.say("");
    this.show(null);
    const file = this.input.files[0];
    this.part("digest").textContent = file ? "computing …" : "of the wheel that you choose";
    if (!file) return;
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const digest = hex(await sha256(bytes));
      if (this.input.files[0] !== file) return;
      this.wheel = { file, bytes, digest };
      this.part("digest").textContent = digest;
      this.show(this.statement());
      this.button.disabled = false;
    } catch (error) {
      this.fail(`The file cannot be read: ${error.message}`);
    }
  }

  statement() {
    return submitStatement(this.wheel.file.name, this.wheel.digest);
  }

  check() {
    if (!this.wheel) throw new Refusal("Choose a wheel first.");
  }

  // The file on the disk must still be the one that was hashed and shown.
  async recheck() {
    let digest;
    try {
      digest = hex(await sha256(await this.wheel.file.arrayBuffer()));
    } catch {
      digest = "unreadable";
    }
    if (digest !== this.wheel.digest) {
      throw new Refusal("The file changed after it was hashed. Nothing was sent: choose it again.");
    }
  }

  send(bundle) {
    put(this.input, this.wheel.file.name, this.wheel.bytes, "application/zip");
    super.send(bundle);
  }
}
