// One tab takes the answers: the one that was opened last.

/**
 * Take over from every other tab on the same way, and hear when another takes over from this one.
 * Two that open in the same instant may both step back; each has a button that takes over again.
 */
export function takeOver(name, onLost) {
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", onLost);
  channel.postMessage("taken");
}
