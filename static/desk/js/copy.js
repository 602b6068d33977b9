// Copy the participant link; where the clipboard is out of reach, select it to be copied by hand.
const source = document.querySelector("[data-copy-source]");
const status = document.querySelector("[data-copy-status]");

async function copy() {
  try {
    await navigator.clipboard.writeText(source.value);
    status.textContent = "Copied.";
  } catch {
    source.focus();
    source.select();
    status.textContent = "Press Ctrl+C to copy.";
  }
}

document.querySelector("[data-copy]")?.addEventListener("click", copy);
