// One key, one signature: the certificate for it, then log entry and timestamp.

import { base64, encoded, utf8 } from "./encoding.js";
import { Refusal, reply } from "./replies.js";

// A P-256 key pair whose private key cannot leave this page.
export const newKeys = () =>
  crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);

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

export async function certificateFor(config, token, claims, keys) {
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

export async function bundleOf(certificate, payload, privateKey) {
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
