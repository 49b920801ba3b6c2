// Live updates: rows come over server-sent events and are built from text only.
const MAX_ROWS = 200;
const FRESH_MS = 1500;
const body = document.getElementById("live-rows");
const state = document.getElementById("live-state");
const button = document.createElement("button");
let source = null;

function cell(row, text, name) {
  const td = document.createElement("td");
  td.className = name;
  td.textContent = text;
  row.append(td);
  return td;
}

function effectTag(name) {
  const tag = document.createElement("span");
  tag.className = `tag effect e-${name}`;
  tag.textContent = name;
  return tag;
}

function draw(event) {
  const row = document.createElement("tr");
  row.className = "fresh";
  const time = document.createElement("time");
  time.dateTime = event.iso;
  time.textContent = event.time;
  cell(row, "", "nowrap").append(time);
  const verdict = cell(row, "", "");
  verdict.append(effectTag(event.effect));
  if (event.enforced !== event.effect) {
    const words = document.createElement("span");
    words.className = "muted small";
    words.textContent = ` ${event.enforced_words}`;
    verdict.append(words);
  }
  cell(row, event.system, "");
  cell(row, event.principal, "clip").title = event.principal;
  cell(row, event.detector, "clip").title = event.detector;
  cell(row, event.p_value, "nowrap");
  cell(row, event.added, "n nowrap");
  const link = document.createElement("a");
  link.href = event.link;
  link.setAttribute("aria-label", `Exchange ${event.id}`);
  const code = document.createElement("code");
  code.textContent = event.short_id;
  link.append(code);
  cell(row, "", "").append(link);
  return row;
}

function add(rows) {
  document.getElementById("live-empty")?.remove();
  for (const event of rows) body.prepend(draw(event));
  while (body.rows.length > MAX_ROWS) body.lastElementChild.remove();
  setTimeout(() => body.querySelectorAll(".fresh").forEach((row) => row.classList.remove("fresh")), FRESH_MS);
}

function say(words, name) {
  state.textContent = words;
  state.className = `dot ${name}`;
}

function start() {
  source = new EventSource(`/console/live/events?after=${encodeURIComponent(body.dataset.after)}`);
  source.addEventListener("open", () => say("live", "good"));
  source.addEventListener("error", () => say("waiting for the gateway", "warn"));
  source.addEventListener("rows", (message) => {
    body.dataset.after = message.lastEventId;
    add(JSON.parse(message.data));
  });
  source.addEventListener("skipped", (message) => say(`live; ${message.data} exchanges not shown`, "warn"));
  button.textContent = "Pause";
}

function stop() {
  source.close();
  source = null;
  say("paused", "muted");
  button.textContent = "Resume";
}

button.type = "button";
button.addEventListener("click", () => (source ? stop() : start()));
document.getElementById("live-controls").append(button);
start();
