// Reading with the keyboard. Everything that a key does, a link, a form or Tab does too.

const typing = (target) => target.closest("input, textarea, select, dialog");

const stops = (selector) => Array.from(document.querySelectorAll(selector)).filter((stop) => stop.getClientRects().length);

// The next stop below the middle of the first third of the window, or the last one above it.
function move(selector, forward) {
  const all = stops(selector);
  const line = Math.min(window.innerHeight / 3, 120);
  const tops = all.map((stop) => stop.getBoundingClientRect().top);
  const now = all.indexOf(document.activeElement);
  let next = forward ? tops.findIndex((top) => top > line + 1) : tops.findLastIndex((top) => top < line - 1);
  if (now >= 0) next = now + (forward ? 1 : -1);
  const stop = all[next];
  if (!stop) return;
  if (!stop.hasAttribute("tabindex")) stop.tabIndex = -1;
  stop.focus({ preventScroll: true });
  window.scrollTo({ top: window.scrollY + stop.getBoundingClientRect().top - line });
}

function file(forward) {
  const link = document.querySelector(`[data-file="${forward ? "next" : "last"}"]`);
  if (link) link.click();
  else move("article.sheet", forward);
}

const keys = new Map([
  ["j", () => file(true)],
  ["k", () => file(false)],
  ["n", () => move("[data-stop]", true)],
  ["p", () => move("[data-stop]", false)],
  ["/", () => document.getElementById("find")?.focus()],
  ["?", () => document.getElementById("keys")?.showModal()],
]);

document.addEventListener("keydown", (event) => {
  const act = keys.get(event.key);
  if (!act || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  event.preventDefault();
  act();
});
