"use strict";
// Shows news without moving anything.
(() => {
 const all = what => document.querySelectorAll(what);
 const one = id => document.getElementById(id);
 const write = (at, text) => { if (at && at.textContent !== text) at.textContent = text; };
 document.documentElement.className = "js";

 // By the clock of the server.
 const ahead = Date.now() - Date.parse(document.body.dataset.now);
 const span = s => {
  const m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  return m < 1 ? `${Math.max(0, Math.floor(s))} s` : h < 1 ? `${m} min`
   : h < 10 ? `${h} h` + (m % 60 ? ` ${m % 60} min` : "") : d < 2 ? `${h} h` : d < 90 ? `${d} days`
   : d < 730 ? `${Math.floor(s / 2628000)} months` : `${Math.floor(d / 365)} years`;
 };
 setInterval(() => {
  for (const time of all("time.ago")) {
   const since = span((Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
   write(time, time.textContent.endsWith(" ago") ? since + " ago" : since);
  }
 }, 1000);

 // Copies what stands before the button.
 document.addEventListener("click", async event => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const from = button.previousElementSibling;
  try {
   await navigator.clipboard.writeText(from.textContent);
  } catch {
   // Without https there is no such clipboard.
   getSelection().selectAllChildren(from);
   document.execCommand("copy");
  }
  write(button, "Copied");
  setTimeout(() => write(button, "Copy"), 2000);
 });

 const pulse = one("pulse"), changed = new Set();
 let source, silence, last = "", beyond;
 const show = (state, word, detail) => {
  const [mark, more] = pulse.children;
  mark.className = state + " st";
  mark.querySelector("use").setAttribute("href", "#s-" + state);
  mark.lastChild.textContent = " " + word;
  write(more, detail);
 };
 const close = () => {
  clearTimeout(silence);
  if (source) source.close();
  source = null;
 };
 const lose = () => {
  close();
  show("ended", "Not live", "reload to see what is new");
  silence = setTimeout(open, 15000);
 };
 const hear = () => {
  clearTimeout(silence);
  silence = setTimeout(lose, 15000);
 };
 const tell = ({ show, changed: news, more, say }) => {
  for (const at of all("[data-n]")) write(at, show[at.dataset.n]);
  for (const at of all("[data-some]")) at.hidden = show[at.dataset.some] === "0";
  for (const at of all("[data-alarm]")) at.classList.toggle("alarm", show[at.dataset.alarm] !== "0");
  for (const [id, tag] of news) {
   changed.add(id);
   const row = all(`tbody th a[href$="${id}"]`)[0]?.closest("tr");
   if (!row) continue;
   const mark = row.querySelector(".now") || document.createElement("b");
   mark.className = "tag now";
   write(mark, tag);
   row.lastElementChild.prepend(mark);
   row.classList.remove("fresh");
   row.offsetWidth;
   row.classList.add("fresh");
  }
  if (one("news")) {
   beyond = more || beyond;
   one("news").hidden = !changed.size && !beyond;
   write(one("news").firstElementChild, beyond || `${changed.size} change${changed.size > 1 ? "s" : ""}, show`);
  }
  if (say) write(one("said"), say);
 };
 setInterval(async () => {
  const parts = all("[data-from]");
  if (!source || !parts[0]) return;
  const answer = await fetch(parts[0].dataset.from);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const at of parts) {
   const now = page.getElementById(at.id);
   if (now && now.innerHTML !== at.innerHTML && !at.matches(":focus-within")) at.replaceChildren(...now.childNodes);
  }
 }, 4000);
 const open = () => {
  close();
  if (document.hidden) return;
  source = new EventSource(pulse.dataset.live + last);
  source.onmessage = event => {
   last = "?after=" + event.lastEventId;
   tell(JSON.parse(event.data));
  };
  source.addEventListener("pulse", event => {
   const { class: state, word, detail } = JSON.parse(event.data);
   show(state, word, detail);
   hear();
  });
  source.onerror = () => { if (source.readyState === 2) lose(); };
  hear();
 };
 document.addEventListener("visibilitychange", open);
 open();
})();
