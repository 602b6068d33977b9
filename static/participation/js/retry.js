// Trying again until it works. No DOM.

const FIRST_DELAY_MS = 400;
const LONGEST_DELAY_MS = 10_000;

/** A failure that another try will not mend. */
export class Refusal extends Error {
  /** `settled` as the server says it of an answer: false where it has none to that trial. */
  constructor(status, sentence, settled = true) {
    super(sentence);
    Object.assign(this, { status, settled });
  }
}

/** Full-jitter back-off, at least half of the doubled delay. */
export function delayBefore(attempt, random = Math.random) {
  const doubled = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS);
  return Math.round(doubled * (0.5 + 0.5 * random()));
}

/** Whether a status says "not now" rather than "no". */
export function isPassing(status) {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** Whether a refused answer is settled: the server has another, or knows no such trial. */
export function isSettled({ status, settled }) {
  return status === 404 || (status === 409 && settled);
}

/** Whether a refused answer came before its turn: the server wants that of another trial first. */
export function isOutOfTurn({ status, settled }) {
  return status === 409 && !settled;
}

/** Whether it may be taken later: 403 is a page too old for its cookie, or a place that is lost. */
export function isWorthKeeping(status) {
  return status === 403;
}

/**
 * Call `action` until it returns, waiting between the calls with `wait(milliseconds)`. A Refusal
 * ends it. `onInterrupted` is called at each failure, `onRestored` once it works again.
 */
export async function untilItWorks(action, { wait, onInterrupted, onRestored }) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const result = await action();
      if (attempt > 1) onRestored();
      return result;
    } catch (error) {
      if (error instanceof Refusal) {
        if (attempt > 1) onRestored();
        throw error;
      }
      onInterrupted(error);
      await wait(delayBefore(attempt));
    }
  }
}
