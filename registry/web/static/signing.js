// Signing in the page: the bytes are hashed here, the key is made here for this one signature and
// cannot leave, the statement is built here from the values shown. No dependencies, no build step.
// The road: hash -> statement -> login window at the authority (which shows the statement, and
// binds its token to it) -> certificate -> signature -> log entry and timestamp -> the usual form.

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const SUBMIT = "https://docs.pypi.org/attestations/publish/v1";
const REVIEW = "https://sealgate.dev/attestation/review/v1";
const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const DETAILS_TYPE = "https://sealgate.dev/authorization/sign-statement/v1";
const STATEMENT_CLAIM = "sealgate_statement_sha256";
const WINDOW_MINUTES = 10;
const MAX_COMMENT = 4000;

const utf8 = new TextEncoder();

class Refusal extends Error {}

// -- bytes ------------------------------------------------------------------------------------

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

const base64url = (bytes) => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const fromBase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// JSON as trust.strictjson writes it: members sorted, no blanks, UTF-8.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

// DSSE v1 pre-authentication encoding.
function encoded(payload) {
  const head = utf8.encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `);
  const whole = new Uint8Array(head.length + payload.length);
  whole.set(head);
  whole.set(payload, head.length);
  return whole;
}

// WebCrypto signs as r || s (IEEE P1363); certificates and DSSE want a DER SEQUENCE of two INTEGERs.
function der(signature) {
  const integer = (bytes) => {
    let from = 0;
    while (from < bytes.length - 1 && bytes[from] === 0) from += 1;
    const short = Array.from(bytes.subarray(from));
    if (short[0] & 0x80) short.unshift(0);
    return [2, short.length, ...short];
  };
  const half = signature.length / 2;
  const both = [...integer(signature.subarray(0, half)), ...integer(signature.subarray(half))];
  return Uint8Array.from([0x30, both.length, ...both]);
}

const signWith = async (key, bytes) =>
  der(new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, bytes)));

// -- statements -------------------------------------------------------------------------------

const subjectOf = (filename, digest) => [{ name: filename, digest: { sha256: digest } }];

const submitStatement = (filename, digest) => ({
  _type: STATEMENT_TYPE,
  subject: subjectOf(filename, digest),
  predicateType: SUBMIT,
  predicate: null,
});

const reviewStatement = (shown, decision, comment) => ({
  _type: STATEMENT_TYPE,
  subject: subjectOf(shown.filename, shown.sha256),
  predicateType: REVIEW,
  predicate: {
    decision,
    report: { name: "report.sarif", digest: { sha256: shown.report_sha256 } },
    policy: { name: "scan-policy.json", digest: { sha256: shown.policy_sha256 } },
    previous: shown.previous_sha256 ? { sha256: shown.previous_sha256 } : null,
    comment,
  },
});

// -- the authority ----------------------------------------------------------------------------

async function reply(response, what) {
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Refusal(`${what}: the answer (status ${response.status}) cannot be read.`);
  }
  if (response.ok) return body;
  const problem = body.problems?.[0];
  const words = problem ? [problem.what, problem.value, problem.expected && `expected: ${problem.expected}`] : [body.message];
  throw new Refusal(`${what}: ${words.filter(Boolean).join("; ") || `status ${response.status}`}.`);
}

async function discover(config) {
  const response = await fetch(`${config.issuer}/.well-known/openid-configuration`, { credentials: "omit" });
  const found = await reply(response, "The identity provider's configuration");
  if (found.issuer !== config.issuer) throw new Refusal("The identity provider gives itself another name.");
  if (!found.authorization_details_types_supported?.includes(DETAILS_TYPE)) {
    throw new Refusal("The identity provider does not bind signatures to one statement.");
  }
  return found;
}

// Called in the click itself, or the browser blocks the window.
function openWindow() {
  const opened = window.open("about:blank", "sealgate-signing", "popup,width=560,height=760");
  if (!opened) throw new Refusal("The browser blocked the login window. Allow it for this page, then sign again.");
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
      () => end(reject, new Refusal("The login window did not come back in time. Sign again.")),
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

async function tokenFor(config, endpoints, opened, payload, signal) {
  const [state, nonce, verifier] = [random(), random(), random()];
  const query = new URLSearchParams({
    response_type: "code",
    client_id: config.clientId,
    redirect_uri: config.redirectUri,
    scope: "openid email",
    state,
    nonce,
    prompt: "login",
    resource: "sigstore",
    code_challenge: base64url(await sha256(utf8.encode(verifier))),
    code_challenge_method: "S256",
    authorization_details: JSON.stringify([{ type: DETAILS_TYPE, statement: base64url(payload) }]),
  });
  const waiting = answerFor(state, signal);
  opened.location.replace(`${endpoints.authorization_endpoint}?${query}`);
  const answer = await waiting;
  if (answer.iss !== config.issuer) throw new Refusal("Somebody else answered for the identity provider.");
  if (answer.error === "access_denied") throw new Refusal("You cancelled. Nothing was signed.");
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
  const digest = hex(await sha256(encoded(payload)));
  if (claims.nonce !== nonce || claims.aud !== "sigstore" || claims[STATEMENT_CLAIM] !== digest) {
    throw new Refusal("The identity token is for something else. Nothing was signed.");
  }
  return { token, claims };
}

async function certificateFor(config, token, claims, keys) {
  const spki = base64(new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)));
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki.replace(/(.{64})/g, "$1\n").trimEnd()}\n-----END PUBLIC KEY-----\n`;
  const response = await fetch(`${config.certificates}/api/v2/signingCert`, {
    method: "POST",
    credentials: "omit",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({
      publicKeyRequest: {
        publicKey: { algorithm: "ECDSA", content: pem },
        proofOfPossession: base64(await signWith(keys.privateKey, utf8.encode(claims.sub))),
      },
    }),
  });
  return (await reply(response, "The certificate")).signedCertificateEmbeddedSct.chain.certificates[0];
}

async function bundleOf(certificate, payload, privateKey) {
  const response = await fetch("/api/v1/signing/complete", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      certificate,
      payload: base64(payload),
      signature: base64(await signWith(privateKey, encoded(payload))),
    }),
  });
  const bundle = await reply(response, "The log entry and timestamp");
  if (bundle.dsseEnvelope?.payload !== base64(payload)) throw new Refusal("The bundle is about something else.");
  return JSON.stringify(bundle);
}

// -- the page ---------------------------------------------------------------------------------

function put(input, name, bytes, type) {
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type }));
  input.files = files.files;
}

class Panel {
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
      const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
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

class SubmitPanel extends Panel {
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

class ReviewPanel extends Panel {
  async ready() {
    this.shown = Object.fromEntries(
      ["filename", "sha256", "report_sha256", "policy_sha256", "previous_sha256"].map((name) => [
        name,
        this.root.querySelector(`[data-shown="${name}"]`).textContent.trim(),
      ]),
    );
    this.button.disabled = true;
    this.checked = null;
    for (const choice of this.root.querySelectorAll("[name=decision]")) {
      choice.addEventListener("change", () => this.chosen());
    }
    this.part("comment").addEventListener("input", () => this.refresh());
    if (this.decision) await this.chosen();
  }

  get decision() {
    return this.root.querySelector("[name=decision]:checked")?.value;
  }

  refresh() {
    this.show(this.checked && this.decision ? this.statement() : null);
    this.button.disabled = !(this.checked && this.decision);
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
    return reviewStatement(this.shown, this.decision, this.part("comment").value);
  }

  check() {
    const comment = this.part("comment").value;
    if (!this.checked || !this.decision) throw new Refusal("Choose a decision first.");
    if (this.decision === "reject" && !comment.trim()) throw new Refusal("A rejection says why: write a comment.");
    if (Array.from(comment).length > MAX_COMMENT) throw new Refusal(`The comment is longer than ${MAX_COMMENT} characters.`);
    if (comment.isWellFormed && !comment.isWellFormed()) throw new Refusal("The comment has half a character in it.");
  }

  // What would be signed must still be what the registry asks for: else this page is stale.
  async recheck() {
    const asked = await reply(await fetch(`${this.config.api}/review-materials`, { cache: "no-store" }), "The materials");
    const state = (await reply(await fetch(this.config.api, { cache: "no-store" }), "The version")).state;
    const same = Object.entries(this.shown).every(([name, value]) => (asked[name] ?? "") === value);
    if (!same || state !== "in_review") {
      throw new Refusal("This page is stale: the version changed after it was opened. Reload it, and read again what you sign.");
    }
  }
}

const root = document.getElementById("signing");
if (root && window.isSecureContext && crypto.subtle && "BroadcastChannel" in window) {
  const panel = root.dataset.kind === "submit" ? new SubmitPanel(root) : new ReviewPanel(root);
  panel.start();
}
