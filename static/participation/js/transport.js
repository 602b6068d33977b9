// Asking the server. A lost connection or a busy server is an error to be tried again; a Refusal
// is the server's last word.

import { Refusal, isPassing } from "./retry.js";

const ANSWER_TIMEOUT_MS = 15_000;
const IMAGE_TIMEOUT_MS = 60_000;

async function ask(address, options) {
  const reply = await fetch(address, { credentials: "same-origin", ...options });
  if (reply.ok) return reply;
  if (isPassing(reply.status)) throw new Error(`status ${reply.status}`);
  const problem = await reply.json().catch(() => null);
  throw new Refusal(reply.status, problem?.error ?? "", problem?.settled ?? true);
}

export async function fetchState(address) {
  const reply = await ask(address, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  return reply.json();
}

/** `cache` as in `fetch`: "reload" passes over what the browser holds already. */
export async function fetchImage(address, { cache }) {
  const reply = await ask(address, { cache, signal: AbortSignal.timeout(IMAGE_TIMEOUT_MS) });
  return reply.blob();
}

export async function postAnswer(address, answer, csrfToken) {
  const reply = await ask(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken },
    body: JSON.stringify(answer),
    keepalive: true, // A tab that closes now still sends it.
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  return reply.json();
}

/** Wait, but no longer than until the connection or the participant is back. */
export function waitForConnection(milliseconds) {
  return new Promise((resolve) => {
    const events = [[window, "online"], [document, "visibilitychange"]];
    const go = () => {
      clearTimeout(timer);
      for (const [target, name] of events) target.removeEventListener(name, go);
      resolve();
    };
    const timer = setTimeout(go, milliseconds);
    for (const [target, name] of events) target.addEventListener(name, go);
  });
}
