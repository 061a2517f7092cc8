// Signing in the page: the bytes are hashed here, the key is made here for this one signature and
// cannot leave, the statement is built here from the values shown. No dependencies, no build step.
// The road: hash -> statement -> login window at the authority (which shows the statement, and
// binds its token to it) -> certificate -> signature -> log entry and timestamp -> the usual form.

import { ReviewPanel } from "./review.js";
import { StopPanel } from "./stop.js";
import { SubmitPanel } from "./submit.js";

// The page's data-kind -> what signs there.
const PANELS = new Map([
  ["submit", SubmitPanel],
  ["review", ReviewPanel],
  ["stop", StopPanel],
]);

const root = document.getElementById("signing");
const Kind = PANELS.get(root?.dataset.kind);
if (Kind && window.isSecureContext && crypto.subtle && "BroadcastChannel" in window) {
  new Kind(root).start();
}
