// What goes wrong, in words for the person at the page, and the reading of JSON answers.

export class Refusal extends Error {}

// The answer's JSON. Where it is a refusal, its first problem is what the page says.
export async function reply(response, what) {
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
