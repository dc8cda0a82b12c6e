// The core of every redislab view: it mounts a recording on an element, plays it, and hands each
// frame to the module that knows how to draw it.
//
// It is used twice. In a notebook anywidget calls `render` and a lab feeds frames in while it
// runs. On a static page `mountAll` finds the fragments that Python wrote and replays them. Both
// ways end in `mount`, so both look and behave alike.
//
// One kind of view is one module, `kind-<name>.js`, with this shape:
//
//   export default function create(kit) {
//     return {
//       player: true,                  // wants play, pause, slider (forms do not)
//       events: true,                  // wants the list of events under the drawing
//       mount(stage, recording, context) {
//         return {
//           show(frame, index, player),        // draw this frame, the index-th
//           resize(width),                     // optional: the stage is now so wide (CSS px)
//           update(recording),                 // optional: frames or meta were added
//           receive(message),                  // optional: Python sent something (live only)
//           tools,                             // optional: an element for under the player
//           destroy(),                         // optional
//         };
//       },
//     };
//   }
//
// A kind imports nothing: in a notebook modules arrive as text and have no neighbors to import
// from, so the core passes its helpers in as `kit`.

const SVG = "http://www.w3.org/2000/svg";
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 50];
const TICK_MS = 100; // TICK_SECONDS in labview.py
const SECONDS_A_REPLAY = 12; // the speed offered first plays a recording in about this time

// ---- helpers handed to the kinds -------------------------------------------------------------

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const html = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

// Three significant digits and a unit: what a reader can take in at a glance.
function significant(value) {
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}

const format = {
  count: (value) =>
    value >= 1e6 ? `${significant(value / 1e6)} M`
      : value >= 1e4 ? `${significant(value / 1e3)} k`
        : significant(value),
  bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    let scaled = value;
    while (scaled >= 1023.5 && unit < units.length - 1) { // it would be written as 1,024
      scaled /= 1024;
      unit += 1;
    }
    return `${significant(scaled)} ${units[unit]}`;
  },
  seconds: (value) =>
    value !== 0 && Math.abs(value) < 0.0009995 ? `${significant(value * 1e6)} µs`
      : value !== 0 && Math.abs(value) < 0.9995 ? `${significant(value * 1e3)} ms`
        : `${value < 100 ? Number(value.toFixed(2)) : Math.round(value)} s`,
};

// Round numbers for an axis from zero to `top`: at most `many` steps of 1, 2 or 5 times 10^n, or,
// for bytes (`base` 2), of a power of two.
function ticks(top, many = 3, base = 10) {
  if (!(top > 0)) return [0];
  const power = base ** Math.floor(Math.log(top / many) / Math.log(base));
  const factors = base === 10 ? [1, 2, 5, 10] : [1, 2];
  const step = factors.map((factor) => factor * power).find((one) => top / one <= many);
  const values = [];
  for (let value = 0; value <= top * 1.0001; value += step) values.push(value);
  return values;
}

const path = (points) =>
  points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = html("a", { href: url, download: name });
  document.body.append(link); // Firefox follows only what is in the page
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// To the clipboard; whether that went well. Pages without TLS have none but by way of a selection.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = html("textarea", { readonly: true, style: "position: fixed; opacity: 0" });
    field.value = text;
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus?.();
    return done;
  }
}

const kit = { svg, html, format, ticks, path, download, copy };

// Nothing moves until the reader presses play; what glides between two frames is CSS, which leaves
// it to readers who have not asked for less motion.

// ---- the player ------------------------------------------------------------------------------

// Keeps the position in a recording and moves it. `meta.pace === "steps"` means that the times are
// too uneven to play (a conversation of microseconds): then every frame takes one second.
class Player {
  constructor(recording, onchange, live) {
    this.live = live;
    this.onchange = onchange;
    this.playing = false;
    this.index = -1;
    this.update(recording);
    this.speed = this.firstSpeed();
  }

  update(recording) {
    this.recording = recording;
    this.steps = recording.meta.pace === "steps";
    const zero = recording.frames[0]?.time ?? 0;
    this.times = recording.frames.map((frame, at) => (this.steps ? at : frame.time - zero));
    this.zero = this.steps ? 0 : zero;
  }

  get last() { return this.times.length - 1; }
  get seconds() { return this.times[this.last] ?? 0; }

  firstSpeed() {
    // A live recording has just begun, and nobody knows how long it will be.
    const wanted = this.steps || this.live ? 1 : this.seconds / SECONDS_A_REPLAY;
    return SPEEDS.find((speed) => speed >= wanted) ?? SPEEDS.at(-1);
  }

  // Go to the frame that was on show `seconds` after the first one.
  seekTime(seconds) {
    let index = this.times.findIndex((time) => time > seconds + 1e-9) - 1;
    if (index < 0) index = seconds < 0 ? 0 : this.last;
    this.clock = Math.min(Math.max(seconds, 0), this.seconds);
    this.go(index);
  }

  seek(index) {
    const bounded = Math.min(Math.max(index, 0), this.last);
    this.clock = this.times[bounded] ?? 0;
    this.go(bounded);
  }

  step(by) {
    this.pause();
    this.seek(this.index + by);
  }

  go(index) {
    this.index = index;
    this.onchange();
  }

  play() {
    if (this.last < 1) return;
    if (this.index >= this.last) this.seek(0);
    this.playing = true;
    let before = performance.now();
    const tick = (now) => {
      if (!this.playing) return;
      const passed = ((now - before) / 1000) * this.speed;
      before = now;
      this.seekTime(this.clock + passed);
      if (this.clock >= this.seconds) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    this.onchange();
  }

  pause() {
    this.playing = false;
    this.onchange();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }
}

// ---- the bar under the drawing ---------------------------------------------------------------

const ICONS = {
  back: "M11 3v10L4 8zM3 3h1.5v10H3z",
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  forward: "M5 3v10l7-5zM11.5 3H13v10h-1.5z",
};

const icon = (name) =>
  svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

const button = (label, name, onclick) =>
  html("button", { type: "button", "aria-label": label, title: label, onclick }, icon(name));

function playerBar(player) {
  const back = button("Step back (left arrow)", "back", () => player.step(-1));
  const play = button("Play (space)", "play", () => player.toggle());
  play.classList.add("rl-play");
  const forward = button("Step forward (right arrow)", "forward", () => player.step(1));
  const slider = html("input", {
    type: "range", min: 0, step: "any", "aria-label": "Time", class: "rl-slider",
    oninput: () => {
      const wanted = Number(slider.value); // pausing redraws the bar, and with it the slider
      player.pause();
      player.seekTime(wanted);
    },
  });
  const marks = html("div", { class: "rl-marks", "aria-hidden": "true" });
  const clock = html("span", { class: "rl-clock" });
  const speed = html(
    "select",
    { "aria-label": "Speed", onchange: () => { player.speed = Number(speed.value); } },
    SPEEDS.map((value) => html("option", { value }, `${value}×`)),
  );
  const bar = html(
    "div", { class: "rl-player", role: "group", "aria-label": "Replay" },
    html("div", { class: "rl-buttons" }, back, play, forward),
    html("div", { class: "rl-track" }, slider, marks), clock,
    html("label", { class: "rl-speed" }, html("span", {}, "speed"), speed),
  );

  function update() {
    slider.max = player.seconds;
    bar.hidden = player.last < 1;
    speed.value = String(player.speed);
    marks.replaceChildren(...player.recording.events.map((event) => {
      const share = player.seconds ? (event.time - player.zero) / player.seconds : 0;
      const mark = html("i", { title: `${format.seconds(event.time)}: ${event.kind}` });
      mark.style.left = `${Math.min(Math.max(share, 0), 1) * 100}%`;
      return mark;
    }));
  }

  function show() {
    const name = player.playing ? "Pause (space)" : "Play (space)";
    if (play.getAttribute("aria-label") !== name) {
      play.setAttribute("aria-label", name);
      play.title = name;
      play.replaceChildren(icon(player.playing ? "pause" : "play"));
    }
    slider.value = player.clock ?? 0;
    const place = `${player.index + 1} of ${player.last + 1}`;
    const time = player.steps ? place
      : `${format.seconds(player.zero + player.clock)} / ${format.seconds(player.zero + player.seconds)}`;
    clock.textContent = player.steps ? `step ${place}` : time;
    slider.setAttribute("aria-valuetext", player.steps ? `step ${place}` : `${time}, frame ${place}`);
    back.disabled = player.index <= 0;
    forward.disabled = player.index >= player.last;
  }
  return { bar, update, show };
}

// Step keys work wherever the focus is inside the view, except where keys mean text or a choice.
function onKey(event, player) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  const target = event.target;
  const typing = target.matches("textarea, select, input:not([type=range]), [contenteditable]");
  const pressing = target.matches("button, a, summary") && (event.key === " " || event.key === "Enter");
  if (typing || pressing) return;
  const actions = {
    " ": () => player.toggle(),
    k: () => player.toggle(),
    ArrowRight: () => player.step(1),
    ArrowLeft: () => player.step(-1),
    Home: () => player.step(-Infinity),
    End: () => player.step(Infinity),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  event.stopPropagation(); // JupyterLab has single-letter shortcuts of its own
  actions[event.key]();
}

// JupyterLab takes the keys of a field for shortcuts of its own (an arrow among radio buttons would
// go to another cell, and Enter would not send a form), unless they do not come that far.
function keepKeys(event) {
  const command = event.altKey || event.ctrlKey || event.metaKey || (event.key === "Enter" && event.shiftKey);
  if (!command && event.target.matches("input, select, textarea")) event.stopPropagation();
}

// ---- the list of events ----------------------------------------------------------------------

function eventList(player) {
  const list = html("ol", { class: "rl-event-list", tabindex: "0", "aria-label": "Events so far" });
  const box = html("div", { class: "rl-events" }, list);
  let shown = "";

  function show() {
    const now = player.zero + (player.clock ?? 0) + 1e-6;
    const { events } = player.recording;
    const past = events.filter((event) => event.time <= now);
    box.hidden = events.length === 0;
    const key = `${events.length}/${past.length}`;
    if (key === shown) return;
    shown = key;
    if (!past.length) list.replaceChildren(html("li", { class: "rl-quiet" }, "nothing yet"));
    else {
      list.replaceChildren(...past.reverse().map((event) => html(
        "li", {},
        html("button", {
          type: "button", title: "Go to this moment",
          onclick: () => { player.pause(); player.seekTime(event.time - player.zero); },
        }, format.seconds(event.time)),
        html("b", {}, event.kind),
        html("span", {}, [event.node, event.detail].filter(Boolean).join(" · ")),
      )));
    }
    list.scrollTop = 0;
  }
  return { box, show };
}

// ---- mounting --------------------------------------------------------------------------------

const packed = new Map(); // name -> text, filled by a page that has no files (see `use`)
const loaded = new Map(); // name -> promise of a module

/** Serve these files from memory: a fragment in a notebook brings them along as text. */
export function use(files) {
  for (const [name, text] of Object.entries(files)) packed.set(name, text);
}

function importText(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  return import(url).finally(() => URL.revokeObjectURL(url));
}

function kindModule(kind, text) {
  if (!/^[a-z][a-z-]*$/.test(kind)) throw new Error(`no such kind of view: ${kind}`);
  const name = `kind-${kind}.js`;
  if (!loaded.has(name)) {
    const source = text ?? packed.get(name);
    loaded.set(name, source ? importText(source) : import(new URL(name, import.meta.url).href));
  }
  return loaded.get(name);
}

function style() {
  if (document.querySelector("[data-redislab-style]")) return;
  const text = packed.get("redislab-view.css");
  document.head.append(text
    ? html("style", { "data-redislab-style": true }, text)
    : html("link", {
      rel: "stylesheet", "data-redislab-style": true,
      href: new URL("redislab-view.css", import.meta.url).href,
    }));
}

/**
 * Draw a recording on an element. `context` has `send(message)` and `live: true` in a notebook
 * with a kernel, and `source`, the text of the kind's module, where modules come as text.
 */
export async function mount(element, recording, context = {}) {
  const kind = (await kindModule(recording.kind, context.source)).default(kit);
  const stage = html("div", { class: "rl-stage" });
  const title = html("p", { class: "rl-title" }, recording.title);
  element.dataset.mounted = "";
  element.classList.add("redislab-view", `rl-kind-${recording.kind}`);
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", recording.title);
  element.replaceChildren(title, stage);

  let drawing = null;
  let bar = null;
  let events = null;
  const player = new Player(recording, () => {
    const frame = player.recording.frames[player.index];
    if (frame && drawing) drawing.show(frame, player.index, player);
    bar?.show();
    events?.show();
  }, context.live);
  if (kind.player) {
    bar = playerBar(player);
    element.append(bar.bar);
    element.addEventListener("keydown", (event) => onKey(event, player));
  }
  element.addEventListener("keydown", keepKeys);
  if (kind.events) {
    events = eventList(player);
    element.append(events.box);
  }
  drawing = kind.mount(stage, recording, { live: false, send: null, ...context, player });
  bar?.update();
  if (drawing.tools) (bar?.bar ?? stage).after(drawing.tools);
  let width = stage.clientWidth; // of before: what is drawn may bring a scroll bar
  drawing.resize?.(width);
  // A live view opens at its newest frame. A replay opens on the frame its author chose (usually
  // the last, which is the picture that print and a quick look want).
  player.seek(context.live ? player.last : recording.meta.open ?? player.last);

  const watcher = new ResizeObserver(() => {
    if (stage.clientWidth === width) return;
    width = stage.clientWidth;
    drawing.resize?.(width);
    player.onchange();
  });
  watcher.observe(stage);

  return {
    player,
    /** The run has grown, or is another one. A reader who is at the end stays at the end. */
    update(grown) {
      const before = player.index >= player.last;
      player.update(grown);
      const following = before || player.index > player.last;
      if (following) player.playing = false;
      bar?.update();
      drawing.update?.(grown);
      if (following && !player.playing) player.seek(player.last);
      else player.onchange();
    },
    receive: (message) => drawing.receive?.(message),
    destroy() {
      player.playing = false;
      watcher.disconnect();
      drawing.destroy?.();
    },
  };
}

/** Mount every fragment of the page that is not mounted yet. */
export async function mountAll(root = document) {
  style();
  const fresh = [...root.querySelectorAll(".redislab-view:not([data-mounted])")];
  for (const element of fresh) element.dataset.mounted = ""; // before the first await: others call us too
  for (const element of fresh) {
    const text = element.querySelector("script[type='application/json']").textContent;
    try {
      await mount(element, JSON.parse(text));
    } catch (error) {
      // What Python drew for pages without scripts is still there: leave it.
      console.error("redislab: a view could not be drawn", error);
    }
  }
}

// ---- time in a simulation --------------------------------------------------------------------

// While Python says that time runs, ask for a step ten times a second, and for the next one when the
// last was taken; only while the page is in sight. Each step has a number, so that two drawings of
// one view do not make time run twice as fast.
function metronome(send) {
  let turn = null;
  let timer = null;
  let asked = 0;

  function ask() {
    timer = null;
    if (turn === null || document.hidden) return;
    asked = performance.now();
    send({ type: "step", turn });
  }
  function plan() {
    if (turn === null || timer !== null || document.hidden) return;
    timer = setTimeout(ask, Math.max(0, TICK_MS - (performance.now() - asked)));
  }
  document.addEventListener("visibilitychange", plan);
  return {
    set(next) {
      turn = next;
      plan();
    },
    stop() {
      turn = null;
      document.removeEventListener("visibilitychange", plan);
    },
  };
}

// ---- anywidget -------------------------------------------------------------------------------

/** anywidget's entry: the model holds the recording so far; new frames come as messages. */
async function render({ model, el }) {
  const recording = JSON.parse(model.get("recording"));
  const view = await mount(el, recording, {
    live: model.get("live"),
    source: model.get("kind_source"),
    send: (message) => model.send(message),
  });
  const time = metronome((message) => model.send(message));
  const onMessage = (message) => {
    if (message.type === "clock") time.set(message.turn);
    else if (message.type === "all") {
      Object.assign(recording, message.recording);
      view.update(recording);
    } else if (message.type === "grow") {
      recording.frames.push(...message.frames);
      recording.events = message.events ?? recording.events;
      recording.meta = message.meta ?? recording.meta;
      view.update(recording);
    } else view.receive(message);
  };
  model.on("msg:custom", onMessage);
  if (model.get("live")) model.send({ type: "hello" }); // answered with all that we missed
  return () => {
    model.off("msg:custom", onMessage);
    time.stop();
    view.destroy();
  };
}

export default { render };
