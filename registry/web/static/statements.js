// The in-toto Statements v1 that people sign here, as trust.evidence.statements writes them.

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const SUBMIT = "https://docs.pypi.org/attestations/publish/v1";
const REVIEW = "https://sealgate.dev/attestation/review/v1";

const subjectOf = (filename, digest) => [{ name: filename, digest: { sha256: digest } }];

export const submitStatement = (filename, digest) => ({
  _type: STATEMENT_TYPE,
  subject: subjectOf(filename, digest),
  predicateType: SUBMIT,
  predicate: null,
});

// acknowledged: [{fingerprint, rule, path, reason}], absent from the statement where it is empty.
export const reviewStatement = (shown, decision, comment, acknowledged = []) => ({
  _type: STATEMENT_TYPE,
  subject: subjectOf(shown.filename, shown.sha256),
  predicateType: REVIEW,
  predicate: {
    decision,
    report: { name: "report.sarif", digest: { sha256: shown.report_sha256 } },
    policy: { name: "scan-policy.json", digest: { sha256: shown.policy_sha256 } },
    previous: shown.previous_sha256 ? { sha256: shown.previous_sha256 } : null,
    comment,
    ...(acknowledged.length ? { acknowledged } : {}),
  },
});
