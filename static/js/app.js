// Small conveniences. Every page works in full without this file; it adds no content of its own
// but the word on a copy button.
"use strict";

// Copy: <button data-copy="id" hidden> copies the text of the element with that id.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const word = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    setTimeout(() => { button.textContent = word; }, 2000);
  });
}

// Countdown: <span data-until="2025-11-20T14:00:00Z">in 1 d 3 h</span>, once a minute, never announced.
// The words are those of the server: two units, the smaller left out when it is nothing.
const words = (minutes) => {
  const parts = [[Math.floor(minutes / 1440), "d"], [Math.floor(minutes / 60) % 24, "h"], [minutes % 60, "m"]];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0 || first === 2) return `${minutes} min`;
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ");
};
const countdowns = document.querySelectorAll("[data-until]");
if (countdowns.length > 0) {
  // The server's clock decides; this machine's may be wrong, so only the time since the page was made is used.
  const made = Date.parse(document.documentElement.dataset.now);
  const start = performance.now();
  setInterval(() => {
    const now = made + (performance.now() - start);
    for (const place of countdowns) {
      const left = Math.floor((Date.parse(place.dataset.until) - now) / 60000);
      if (left >= 0) place.textContent = `in ${words(left)}`;
    }
  }, 60000);
}

// A page may name one more file of its own, such as the keys of a difference.
for (const part of document.querySelectorAll("[data-module]")) import(part.dataset.module);
