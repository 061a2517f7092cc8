// Follows a version that is still on its road: asks for its state, and shows what changed.

import { icon, make } from "./dom.js";

const FAST = 2_000;
const SLOW = 15_000;
const FAST_FOR = 120_000;

const part = (name) => document.querySelector(`[data-live="${name}"]`);

function road(steps) {
  part("road").replaceChildren(
    ...steps.map(({ name, tone, word }) =>
      make("li", { class: tone }, icon(tone), make("span", {}, make("b", {}, name), " ", make("span", { class: "road-word" }, word))),
    ),
  );
}

function timeline(events) {
  part("timeline").replaceChildren(
    ...events.map(({ label, tone, at, moment, actor, detail }) => {
      const aside = make("span", { class: "quiet" }, make("time", { datetime: at }, moment));
      if (actor) aside.append(" · ", make("bdi", {}, actor));
      const head = make("p", {}, icon(tone), make("b", {}, label), " ", aside);
      return make("li", { class: tone }, head, detail ? make("p", { class: "detail" }, detail) : null);
    }),
  );
}

function show(found) {
  part("state").replaceChildren(make("span", { class: `badge ${found.state.tone}` }, icon(found.state.tone), make("span", {}, found.state.label)));
  road(found.steps);
  timeline(found.events);
  part("waits").hidden = !found.waits;
  part("waits-for").textContent = found.waits;
  part("more").hidden = false;
  part("status").textContent = `${found.state.label}${found.waits ? `; waits for ${found.waits}` : ""}.`;
}

async function follow(address, tag) {
  const began = Date.now();
  let seen = `"${tag}"`;
  let goes = true;
  while (goes) {
    await new Promise((resolve) => setTimeout(resolve, Date.now() - began < FAST_FOR ? FAST : SLOW));
    if (document.hidden) continue;
    try {
      const response = await fetch(address, { headers: { "If-None-Match": seen }, cache: "no-store" });
      if (response.status === 304) continue;
      if (!response.ok) throw new Error(response.status);
      const found = await response.json();
      show(found);
      seen = response.headers.get("ETag");
      goes = found.follows;
    } catch {
      part("status").textContent = "The registry does not answer; this page tries again.";
    }
  }
}

const root = document.querySelector("[data-live-address]");
if (root) {
  part("by-hand").hidden = true;
  part("status").textContent = "This page follows by itself what happens.";
  follow(root.dataset.liveAddress, root.dataset.liveTag);
}
