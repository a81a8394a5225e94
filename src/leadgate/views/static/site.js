// Times in the viewer's zone, the theme's switch, live updates, names that are remembered, forms that are sent once.
"use strict";

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = moments.format(new Date(time.dateTime));
  }
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function offerThemes() {
  const button = document.getElementById("theme");
  const say = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  say();
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("leadgate-theme", theme);
    say();
    document.dispatchEvent(new CustomEvent("leadgate:theme"));
  });
}

function prepare(root) {
  tellTimes(root);
  const name = localStorage.getItem("leadgate-name");
  for (const field of root.querySelectorAll('input[name="by"]')) if (name && !field.value) field.value = name;
  document.dispatchEvent(new CustomEvent("leadgate:shown", { detail: root }));
}

document.addEventListener("submit", (event) => {
  const by = event.target.querySelector('input[name="by"]');
  if (by) localStorage.setItem("leadgate-name", by.value);
  for (const button of event.target.querySelectorAll("button:not([type=button])")) {
    button.disabled = true;
    button.dataset.label = button.textContent;
    button.textContent = "Working…";
  }
});
// A page that the back button brings from memory must be able to send its forms again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-label]")) {
    button.disabled = false;
    button.textContent = button.dataset.label;
  }
});

// Live: the page is asked for again, and the sections that have changed are put in place.
let tag = "";
let asking = false;
let answered = new Date();
const known = new Map();

function remember(doc) {
  for (const section of doc.querySelectorAll("[data-live][id]")) known.set(section.id, section.innerHTML + section.className);
}

function isBusy(section) {
  const at = document.activeElement;
  return section.contains(at) && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
}

function putInPlace(fresh) {
  let changed = 0;
  for (const section of fresh.querySelectorAll("[data-live][id]")) {
    const here = document.getElementById(section.id);
    const text = section.innerHTML + section.className;
    if (!here || known.get(section.id) === text || isBusy(here)) continue;
    const open = [...here.querySelectorAll("details[open][id]")].map((each) => each.id);
    const focus = here.contains(document.activeElement) ? document.activeElement.id : "";
    here.className = section.className;
    here.replaceChildren(...section.cloneNode(true).childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focus) document.getElementById(focus)?.focus();
    known.set(section.id, text);
    prepare(here);
    changed += 1;
  }
  return changed;
}

// What an act came to is said once: not to who loads the page again, or is sent its address.
function forgetDone() {
  const at = new URL(location.href);
  if (!at.searchParams.has("done")) return;
  at.searchParams.delete("done");
  history.replaceState(history.state, "", at);
}

async function askAgain() {
  if (document.hidden || asking) return;
  asking = true;
  forgetDone();
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(document.body.dataset.at ?? location.href, { headers, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(15000) });
    if (answer.type === "opaqueredirect") { if (document.body.dataset.at) location.assign(document.body.dataset.at); else location.reload(); return; }
    if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
    answered = new Date();
    document.getElementById("lost").hidden = true;
    if (answer.status === 304) return;
    tag = answer.headers.get("ETag") ?? "";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (putInPlace(fresh)) document.getElementById("updated").textContent = `Updated ${moments.format(answered)}`;
  } catch {
    document.getElementById("lost-since").textContent = moments.format(answered);
    document.getElementById("lost").hidden = false;
  } finally {
    asking = false;
  }
}

remember(document);
offerThemes();
prepare(document);
const every = Number(document.body.dataset.live || 0);
if (every) setInterval(askAgain, every * 1000);
document.addEventListener("visibilitychange", () => { if (every && !document.hidden) askAgain(); });
const retry = document.querySelector("[data-retry]");
if (retry) setTimeout(() => location.reload(), Number(retry.dataset.retry) * 1000);
