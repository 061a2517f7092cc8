// What every page with a signature has: the button, what it says, and the road of one signature.
// A panel of a kind adds ready(), statement(), check() and recheck(), and may change send().

import { discover, openWindow, tokenFor } from "./authority.js";
import { canonical, utf8 } from "./encoding.js";
import { Refusal } from "./replies.js";
import { bundleOf, certificateFor, newKeys } from "./signature.js";

export function put(input, name, bytes, type) {
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type }));
  input.files = files.files;
}

export class Panel {
  constructor(root) {
    this.root = root;
    this.config = root.dataset;
    this.form = document.getElementById(root.dataset.form);
    this.button = this.part("sign");
    this.attempt = null;
    this.button.addEventListener("click", () => this.sign());
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  say(text) {
    this.part("status").textContent = text;
  }

  fail(text) {
    const alert = this.part("alert");
    alert.hidden = !text;
    alert.textContent = text;
    if (text) this.say("");
  }

  show(statement) {
    this.part("statement").textContent = statement ? JSON.stringify(statement, null, 2) : "";
    this.part("statement-box").hidden = !statement;
  }

  async start() {
    this.root.hidden = false;
    if (new URL(this.config.redirectUri).origin !== location.origin) {
      this.fail(`Open this page at ${new URL(this.config.redirectUri).origin} to sign in it.`);
      return;
    }
    this.discovery = discover(this.config);
    this.discovery.catch(() => {});
    await this.ready();
  }

  async sign() {
    this.attempt?.abort();
    const attempt = new AbortController();
    this.attempt = attempt;
    this.fail("");
    let opened = null;
    try {
      this.check();
      opened = openWindow();
      this.say("Waiting for the login window …");
      const endpoints = await this.discovery;
      await this.recheck();
      const payload = utf8.encode(canonical(this.statement()));
      const { token, claims } = await tokenFor(this.config, endpoints, opened, payload, attempt.signal);
      this.say(`Signing as ${claims.sub} …`);
      const keys = await newKeys();
      const certificate = await certificateFor(this.config, token, claims, keys);
      await this.recheck();
      const bundle = await bundleOf(certificate, payload, keys.privateKey);
      this.say("Signed. Sending …");
      this.send(bundle);
    } catch (error) {
      if (error.name === "AbortError") return;
      opened?.close();
      this.fail(error instanceof Refusal ? error.message : `Signing failed: ${error.message}. Nothing was sent.`);
    }
  }

  send(bundle) {
    put(this.form.elements.bundle, "signed-in-the-page.sigstore.json", bundle, "application/json");
    this.form.requestSubmit();
  }
}
