// Keys for a difference. Every key does what a link or a form on the page does; without this file nothing is missing.
"use strict";

const bar = document.querySelector(".keys[data-module]");
const said = bar.querySelector("[data-said]");
const table = document.querySelector("table.diff");
const STORE = "countersign-keys";

let on = true;
try { on = localStorage.getItem(STORE) !== "off"; } catch { /* Storage is forbidden: the keys are on. */ }

const toggle = bar.querySelector("[data-keys-switch]");
const paint = () => {
  toggle.setAttribute("aria-pressed", String(on));
  toggle.textContent = on ? "Keys on" : "Keys off";
};
toggle.addEventListener("click", () => {
  on = !on;
  try { localStorage.setItem(STORE, on ? "on" : "off"); } catch { /* Then for this page only. */ }
  paint();
});
paint();
bar.hidden = false;

// A change begins where the row before it is not part of one.
const changed = (row) => row && (row.matches(".ins, .del") || row.querySelector(":scope > td.ins, :scope > td.del"));
const rows = table ? [...table.rows] : [];
const changes = rows.filter((row) => changed(row) && !changed(row.previousElementSibling));
const talk = [...document.querySelectorAll(".nt .fnd, .thr .thd")];

let here = null;
const go = (place, what, index, count) => {
  if (here) here.classList.remove("here");
  here = place;
  place.classList.add("here");
  if (!place.hasAttribute("tabindex")) place.setAttribute("tabindex", "-1");
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "center" });
  said.textContent = `${what} ${index + 1} of ${count}`;
};

// The next or the previous of a list, as seen from where the reader is.
const step = (list, forward, what) => {
  if (list.length === 0) { said.textContent = `No ${what} here`; return; }
  const at = list.indexOf(here);
  let next;
  if (at >= 0) {
    next = at + (forward ? 1 : -1);
  } else {
    const after = (item) => here
      ? (here.compareDocumentPosition(item) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0
      : item.getBoundingClientRect().top > 0;
    const first = list.findIndex(after);
    next = forward ? (first < 0 ? list.length : first) : (first < 0 ? list.length : first) - 1;
  }
  const follow = forward ? "a[rel=next]" : "a[rel=prev]";
  const link = document.querySelector(follow);
  if (next < 0 || next >= list.length) {
    if (link) link.click(); else said.textContent = forward ? `The last ${what}` : `The first ${what}`;
    return;
  }
  go(list[next], what, next, list.length);
};

const click = (selector) => {
  const target = document.querySelector(selector);
  if (target) target.click();
  return Boolean(target);
};

const file = (forward) => {
  const tabs = [...document.querySelectorAll(".dh .tabs a")];
  const at = tabs.findIndex((tab) => tab.hasAttribute("aria-current"));
  const next = tabs[at + (forward ? 1 : -1)];
  if (next) next.click(); else said.textContent = forward ? "The last file" : "The first file";
};

const sheet = document.querySelector("details.sheet");
const comment = () => {
  const row = here && here.closest ? here.closest("tr") : null;
  const start = row && table.contains(row) ? row : changes[0];
  const link = start && start.querySelector(".ln a");
  if (link) link.click(); else click("#c-text") || said.replaceChildren("No line to comment on");
};
const unfold = () => {
  const folds = [...document.querySelectorAll("tr.fold a")];
  const next = folds.find((fold) => fold.getBoundingClientRect().bottom > 0) ?? folds[0];
  if (next) next.click(); else said.textContent = "Nothing is folded";
};

const keys = {
  j: () => step(changes, true, "change"),
  k: () => step(changes, false, "change"),
  n: () => step(talk, true, "finding or thread"),
  p: () => step(talk, false, "finding or thread"),
  c: comment,
  "[": () => file(false),
  "]": () => file(true),
  u: () => click(".seg a[href$='view=unified']"),
  s: () => click(".seg a[href$='view=split']"),
  x: unfold,
  v: () => click("form[data-mark] button") || said.replaceChildren("Marked as read already"),
  d: () => {
    sheet.open = true;
    sheet.querySelector("input, button").focus();
  },
  "?": () => {
    bar.scrollIntoView({ block: "center" });
    toggle.focus({ preventScroll: true });
  },
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && sheet && sheet.open) {
    sheet.open = false;
    sheet.querySelector("summary").focus();
    return;
  }
  if (!on || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// A form below a line was asked for: the reader goes on in it.
const asked = document.querySelector("#ask textarea");
if (asked && location.hash === "#ask") asked.focus();
