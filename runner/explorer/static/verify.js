// The page's part of checking a record: reads what is shown, says what was found.

import { Wrong, follow } from "./merkle.js";

const get = (id) => document.getElementById(id);

function tell(tone, text) {
  const line = document.createElement("li");
  line.className = tone;
  line.textContent = text;
  get("checks").append(line);
}

const shown = get("vkey").value;

async function check() {
  get("checks").replaceChildren();
  const proof = get("proof");
  try {
    const state = await follow(
      {
        entry: get("entry").textContent,
        index: proof.dataset.index,
        leaf: proof.dataset.leaf,
        siblings: Array.from(get("siblings").children, (line) => line.textContent),
        checkpoint: get("checkpoint").textContent,
        vkey: get("vkey").value,
      },
      tell,
    );
    if (state === "signed" && get("vkey").value === shown) tell("wait", "The key is this runner's own word. Put in your pinned one to be sure.");
  } catch (error) {
    tell("bad", error instanceof Wrong ? `Not proved: ${error.message}.` : `The check failed: ${error.message}.`);
  }
}

if (window.isSecureContext && crypto.subtle) {
  get("again").hidden = false;
  get("again").addEventListener("click", check);
  get("vkey").addEventListener("change", check);
  await check();
}
