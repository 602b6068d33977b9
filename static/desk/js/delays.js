const POLL_MS = 3000;
const CONNECTED_POLL_MS = 10000;

// How long to wait before asking again, in milliseconds; null where nothing will change unasked.
export function nextDelay({ isSettled, isConnected, isHidden }) {
  if (isHidden || isSettled) return null;
  return isConnected ? CONNECTED_POLL_MS : POLL_MS;
}
