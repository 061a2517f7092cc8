// The Medium findings on the page: one reason each. A reason offered from an earlier version counts
// only when its box is ticked.

import { Refusal } from "./replies.js";

const MAX_REASON = 400;

export class Acknowledgements {
  constructor(changed) {
    this.fields = Array.from(document.querySelectorAll("[data-ack]"));
    for (const field of this.fields) {
      field.hidden = false;
      field.addEventListener("input", changed);
    }
  }

  reason(field) {
    const confirm = field.querySelector("[data-confirm]");
    if (confirm && !confirm.checked) return "";
    return field.querySelector("textarea").value;
  }

  get answers() {
    return this.fields
      .map((field) => ({
        fingerprint: field.dataset.ack,
        rule: field.dataset.rule,
        path: field.dataset.path,
        reason: this.reason(field),
      }))
      .filter((entry) => entry.reason.trim());
  }

  // "2 of 3", for the panel.
  get progress() {
    return `${this.answers.length} of ${this.fields.length}`;
  }

  check() {
    for (const field of this.fields) {
      const reason = this.reason(field);
      const place = `${field.dataset.rule} in ${field.dataset.path}`;
      const wrong = !reason.trim()
        ? `Acknowledge ${place}: say why it is acceptable, or reject.`
        : Array.from(reason).length > MAX_REASON
          ? `The reason for ${place} is longer than ${MAX_REASON} characters.`
          : reason.isWellFormed && !reason.isWellFormed()
            ? `The reason for ${place} has half a character in it.`
            : "";
      if (wrong) {
        field.querySelector("textarea").focus();
        throw new Refusal(wrong);
      }
    }
  }

  // Whether the registry still names these findings, and no other.
  same(named) {
    const key = (found) => JSON.stringify([found.fingerprint, found.rule, found.path]);
    const here = this.fields.map(({ dataset }) => key({ fingerprint: dataset.ack, rule: dataset.rule, path: dataset.path }));
    const there = (named ?? []).map(key);
    return here.length === there.length && here.sort().join() === there.sort().join();
  }
}
