// Verifies Sigstore bundles with @sigstore/verify, an implementation independent of ours.
//
// usage: node verify.js CASES.json
// CASES.json: {trustedRoot, issuer, cases: {name: {bundle, identity, artifact?: base64}}}
// prints {name: {ok: true, identity} | {ok: false, code, message}}

'use strict';

const fs = require('fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const { trustedRoot, issuer, cases } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(trustedRoot)), {
  ctlogThreshold: 1,
  tlogThreshold: 1,
  timestampThreshold: 1,
});

const results = {};
for (const [name, { bundle, identity, artifact }] of Object.entries(cases)) {
  try {
    const data = artifact === undefined ? undefined : Buffer.from(artifact, 'base64');
    const signer = verifier.verify(toSignedEntity(bundleFromJSON(bundle), data), {
      subjectAlternativeName: identity,
      extensions: { issuer },
    });
    results[name] = { ok: true, identity: signer.identity.subjectAlternativeName };
  } catch (error) {
    results[name] = { ok: false, code: error.code || error.name, message: error.message };
  }
}
console.log(JSON.stringify(results));
