// RFC 6962 hashing, inclusion proofs (RFC 9162 section 2.1.3.2) and C2SP signed checkpoints, with
// WebCrypto alone. Nothing here touches the page: it can be read and tested by itself.

const utf8 = new TextEncoder();
const ED25519 = 1;

export class Wrong extends Error {}

export function fromBase64(text) {
  let raw;
  try {
    raw = atob(text);
  } catch {
    throw new Wrong("something that should be base64 is not");
  }
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0));
  if (btoa(raw) !== text) throw new Wrong("base64 that is not canonical");
  return bytes;
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

// RFC 6962 section 2.1: leaves and inner nodes are hashed apart.
export const leafHash = (entry) => sha256(joined(Uint8Array.of(0), entry));

const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));

// The root to which a proof leads. BigInt: a log may have more than 2^31 records.
export async function rootOf(leaf, index, size, proof) {
  let place = BigInt(index);
  let last = BigInt(size) - 1n;
  if (place < 0n || place > last) throw new Wrong("the record's number is not in the tree");
  let root = leaf;
  for (const sibling of proof) {
    if (sibling.length !== 32) throw new Wrong("a hash of the proof has the wrong length");
    if (last === 0n) throw new Wrong("the proof is too long");
    if (place & 1n || place === last) {
      root = await nodeHash(sibling, root);
      while (!(place & 1n) && place !== 0n) {
        place >>= 1n;
        last >>= 1n;
      }
    } else {
      root = await nodeHash(root, sibling);
    }
    place >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new Wrong("the proof is too short");
  return root;
}

// A checkpoint's text, numbers and signature lines; see c2sp.org/tlog-checkpoint.
export function readCheckpoint(note) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) throw new Wrong("the checkpoint is malformed");
  const text = note.slice(0, cut + 1);
  const [origin, size, root] = text.split("\n");
  if (!origin || !/^(0|[1-9][0-9]{0,18})$/.test(size)) throw new Wrong("the checkpoint is malformed");
  const signatures = note.slice(cut + 2, -1).split("\n").map((line) => {
    const found = /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (!found) throw new Wrong("a signature line of the checkpoint is malformed");
    return { name: found[1], bytes: fromBase64(found[2]) };
  });
  return { text, origin, size, root: fromBase64(root), signatures };
}

// A verifier key line: name+keyid+base64(type || key); see c2sp.org/signed-note.
export async function readKey(line) {
  const parts = line.trim().split("+");
  if (parts.length < 3) throw new Wrong("the key is not a line of name+keyid+base64");
  const [name, id] = parts;
  const raw = fromBase64(parts.slice(2).join("+"));
  if (raw[0] !== ED25519 || raw.length !== 33) throw new Wrong("the key is not an Ed25519 key");
  const digest = await sha256(joined(utf8.encode(`${name}\n`), raw));
  if (hex(digest.subarray(0, 4)) !== id) throw new Wrong("the key's id is not its own");
  return { name, id: digest.subarray(0, 4), raw: raw.subarray(1) };
}

// Whether this browser has Ed25519 (W3C Secure Curves in the Web Cryptography API).
async function imported(raw) {
  try {
    return await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
  } catch {
    return null;
  }
}

// "signed", or "unsupported" where the browser cannot tell. Throws where the signature is wrong.
export async function verifyCheckpoint(checkpoint, key) {
  const mine = checkpoint.signatures.filter(({ name, bytes }) => name === key.name && same(bytes.subarray(0, 4), key.id));
  if (mine.length !== 1) throw new Wrong(`the checkpoint is not signed once by ${key.name}+${hex(key.id)}`);
  const handle = await imported(key.raw);
  if (!handle) return "unsupported";
  const good = await crypto.subtle.verify({ name: "Ed25519" }, handle, mine[0].bytes.subarray(4), utf8.encode(checkpoint.text));
  if (!good) throw new Wrong("the checkpoint's signature is wrong");
  return "signed";
}

// Follows one record to its checkpoint; calls told(tone, text) after each step.
export async function follow({ entry, index, leaf, siblings, checkpoint, vkey }, told) {
  const found = await leafHash(utf8.encode(entry));
  if (!same(found, fromBase64(leaf))) throw new Wrong("the record's bytes have another leaf hash than the log says");
  told("good", `The bytes below have the leaf hash ${hex(found)}.`);
  const head = readCheckpoint(checkpoint);
  const root = await rootOf(found, index, head.size, siblings.map(fromBase64));
  if (!same(root, head.root)) throw new Wrong(`the proof leads to another root: ${hex(root)}`);
  told("good", `Its proof (${siblings.length} hashes) leads to the root of the checkpoint over ${head.size} records.`);
  const key = await readKey(vkey);
  if (key.name !== head.origin) throw new Wrong("the checkpoint is of another log than the key");
  const state = await verifyCheckpoint(head, key);
  if (state === "signed") told("good", `The checkpoint is signed by ${key.name}+${hex(key.id)}.`);
  else told("wait", "This browser has no Ed25519: the signature was not checked. Use sealgate audit verify.");
  return state;
}
