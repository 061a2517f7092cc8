// The end of the signing window: hand the authority's answer to the page that asked, and close.
// The code in it is worth nothing without the PKCE verifier, which only that page has.
const answer = Object.fromEntries(new URLSearchParams(location.search));
history.replaceState(null, "", location.pathname);
const channel = new BroadcastChannel("sealgate-signing");
channel.postMessage(answer);
channel.close();
window.close();
