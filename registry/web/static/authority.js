// The login window at the authority. For a signature it shows the statement, and binds its token to
// it; for calls the token is for runners, and signs nothing.

import { base64url, encoded, fromBase64url, hex, random, sha256, utf8 } from "./encoding.js";
import { Refusal, reply } from "./replies.js";

const DETAILS_TYPE = "https://sealgate.dev/authorization/sign-statement/v1";
const STATEMENT_CLAIM = "sealgate_statement_sha256";
const WINDOW_MINUTES = 10;

async function configuration(config) {
  const response = await fetch(`${config.issuer}/.well-known/openid-configuration`, { credentials: "omit" });
  const found = await reply(response, "The identity provider's configuration");
  if (found.issuer !== config.issuer) throw new Refusal("The identity provider gives itself another name.");
  return found;
}

export async function discover(config) {
  const found = await configuration(config);
  if (!found.authorization_details_types_supported?.includes(DETAILS_TYPE)) {
    throw new Refusal("The identity provider does not bind signatures to one statement.");
  }
  return found;
}

// Called in the click itself, or the browser blocks the window.
export function openWindow() {
  const opened = window.open("about:blank", "sealgate-signing", "popup,width=560,height=760");
  if (!opened) throw new Refusal("The browser blocked the login window. Allow it for this page, then try again.");
  return opened;
}

function answerFor(state, signal) {
  return new Promise((resolve, reject) => {
    const channel = new BroadcastChannel("sealgate-signing");
    const end = (how, value) => {
      clearTimeout(timer);
      channel.close();
      how(value);
    };
    const timer = setTimeout(
      () => end(reject, new Refusal("The login window did not come back in time. Try again.")),
      WINDOW_MINUTES * 60_000,
    );
    signal.addEventListener("abort", () => end(reject, new DOMException("another attempt", "AbortError")));
    channel.onmessage = ({ data }) => {
      if (data?.state === state) end(resolve, data);
    };
  });
}

function claimsOf(token) {
  try {
    return JSON.parse(new TextDecoder().decode(fromBase64url(token.split(".")[1])));
  } catch {
    throw new Refusal("The identity token cannot be read.");
  }
}

// The authorization code flow with PKCE; `asked` are the parameters of its kind.
async function authorized(config, endpoints, opened, asked, cancelled, signal) {
  const [state, nonce, verifier] = [random(), random(), random()];
  const query = new URLSearchParams({
    response_type: "code",
    client_id: config.clientId,
    redirect_uri: config.redirectUri,
    scope: "openid email",
    state,
    nonce,
    prompt: "login",
    code_challenge: base64url(await sha256(utf8.encode(verifier))),
    code_challenge_method: "S256",
    ...asked,
  });
  const waiting = answerFor(state, signal);
  opened.location.replace(`${endpoints.authorization_endpoint}?${query}`);
  const answer = await waiting;
  if (answer.iss !== config.issuer) throw new Refusal("Somebody else answered for the identity provider.");
  if (answer.error === "access_denied") throw new Refusal(`You cancelled. ${cancelled}`);
  if (answer.error || !answer.code) {
    throw new Refusal(`The identity provider refused: ${answer.error_description || answer.error || "no code"}.`);
  }
  const response = await fetch(endpoints.token_endpoint, {
    method: "POST",
    credentials: "omit",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: answer.code,
      client_id: config.clientId,
      redirect_uri: config.redirectUri,
      code_verifier: verifier,
    }),
  });
  const token = (await reply(response, "The identity token")).id_token;
  const claims = claimsOf(token);
  if (claims.nonce !== nonce || claims.aud !== asked.resource) {
    throw new Refusal(`The identity token is for something else. ${cancelled}`);
  }
  return { token, claims };
}

export async function tokenFor(config, endpoints, opened, payload, signal) {
  const nothing = "Nothing was signed.";
  const details = JSON.stringify([{ type: DETAILS_TYPE, statement: base64url(payload) }]);
  const asked = { resource: "sigstore", authorization_details: details };
  const found = await authorized(config, endpoints, opened, asked, nothing, signal);
  if (found.claims[STATEMENT_CLAIM] !== hex(await sha256(encoded(payload)))) {
    throw new Refusal(`The identity token is for something else. ${nothing}`);
  }
  return found;
}

// A token to call plugins with. The caller keeps it in memory only.
export async function callToken(config, opened, signal) {
  const endpoints = await configuration(config);
  return authorized(config, endpoints, opened, { resource: "sealgate-runner" }, "Nothing was called.", signal);
}
