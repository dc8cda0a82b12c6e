// A conversation in RESP, byte for byte. Each message is a row of chips, one for each run of bytes
// that means one thing; hovering over a chip, or walking along with the arrow keys, explains it.
//
// state: {side: "request" | "reply", label, size, segments: [{text, hex, size, start, role, about,
// depth}]}. The player steps from message to message. With a kernel the reader's command goes to the
// node; on a page without one we can still show what the client would send.

const LEGEND = [["type", "*"], ["length", "3"], ["value", "SET"], ["crlf", "\\r\\n"]];
const NAMES = { type: "type", length: "length", value: "value", crlf: "end of line" };

export default function create({ html, format }) {
  const visible = (segment) => {
    const shown = segment.hex ? segment.hex.split(" ").length : 0;
    return segment.size > shown ? `${segment.text} …` : segment.text;
  };

  const where = (segment) => {
    const last = segment.start + segment.size - 1;
    return segment.size === 1 ? `byte ${segment.start}` : `bytes ${segment.start} to ${last}`;
  };

  // One tab stop a message: the arrow keys walk along its chips.
  function row(segments, explain, hex) {
    const chips = segments.map((segment, at) => html(
      "button",
      {
        type: "button", class: `rl-byte rl-${segment.role}`, tabindex: at ? -1 : 0,
        "aria-label": `${visible(segment)}: ${segment.about}`,
        onmouseenter: () => explain(segment),
        onfocus: () => explain(segment),
        onclick: () => explain(segment),
      },
      visible(segment), hex ? html("small", {}, segment.hex) : null,
    ));
    return html("div", {
      class: "rl-bytes", role: "group", "aria-label": "Bytes; arrow keys walk along",
      onkeydown: (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const at = chips.indexOf(event.target);
        if (!by || at < 0) return;
        event.preventDefault();
        event.stopPropagation();
        const next = chips[Math.min(Math.max(at + by, 0), chips.length - 1)];
        chips[at].tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      },
    }, chips);
  }

  // What a client makes of a typed line: an array of bulk strings. Words may be quoted; the escapes
  // of redis-cli are left to redis-cli.
  function request(line) {
    const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3]);
    const segments = [];
    let start = 0;
    const take = (text, role, about) => {
      const bytes = new TextEncoder().encode(text);
      const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      const shown = role === "crlf" ? "\\r\\n" : text;
      segments.push({ text: shown, hex, size: bytes.length, start, role, about, depth: 0 });
      start += bytes.length;
    };
    take("*", "type", "*  an array follows: first how many elements it has");
    take(String(words.length), "length", `${words.length} elements follow, each a value of its own`);
    take("\r\n", "crlf", "CR LF (0d 0a): ends the line with the length");
    words.forEach((word, at) => {
      const name = at ? `argument ${at} of ${words.length - 1}` : "the command's name";
      const size = new TextEncoder().encode(word).length;
      take("$", "type", `$  a bulk string follows: first its length, then its bytes (${name})`);
      take(String(size), "length", `${size} bytes follow after the CRLF`);
      take("\r\n", "crlf", "CR LF (0d 0a): ends the line with the length");
      if (size) take(word, "value", `${name}: ${size} byte${size === 1 ? "" : "s"}`);
      take("\r\n", "crlf", "CR LF (0d 0a): ends the value; it is not counted in the length");
    });
    return { words, segments, size: start };
  }

  return {
    player: true,
    events: false,
    mount(stage, recording, context) {
      const { player } = context;
      let hex = false;
      let typed = null; // on a page without a kernel: the reader's own command
      const talk = html("div", { class: "rl-talk", role: "group", "aria-label": "Conversation" });
      const note = html("div", { class: "rl-explain", "aria-live": "polite" });
      const quiet = "Point at a run of bytes, or tab to a message and walk with the arrow keys.";
      const rest = () => note.replaceChildren(html("span", { class: "rl-quiet" }, quiet));
      const explain = (segment) => note.replaceChildren(
        html("b", {}, visible(segment)), "  ", segment.about, html("br"),
        html("span", { class: "rl-quiet" }, `${where(segment)} · hex ${segment.hex}`),
      );

      function message(state, current) {
        const who = state.side === "request" ? "client → server" : "server → client";
        return html(
          "div", { class: `rl-message rl-${state.side}${current ? "" : " rl-past"}` },
          html("p", { class: "rl-message-head" }, html("span", {}, who),
            state.label ? html("b", {}, state.label) : null,
            html("span", {}, `${format.count(state.size)} byte${state.size === 1 ? "" : "s"}`)),
          row(state.segments, explain, hex),
        );
      }

      function draw() {
        const { frames } = player.recording;
        const shown = frames.slice(0, player.index + 1)
          .map((frame, at) => message(frame.state, at === player.index && !typed));
        if (typed) shown.push(message(typed, true));
        if (!shown.length) shown.push(html("p", { class: "rl-quiet" }, "Nothing said yet."));
        talk.replaceChildren(...shown);
        talk.scrollTop = talk.scrollHeight;
      }

      const input = html("input", {
        type: "text", "aria-label": "Command", placeholder: 'SET greeting "hello"',
        autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      });
      const status = html("p", { class: "rl-quiet", role: "status" });
      const form = html(
        "form",
        {
          class: "rl-form",
          onsubmit: (event) => {
            event.preventDefault();
            const line = input.value.trim();
            if (!line) {
              status.textContent = "Type a command first, such as GET greeting.";
              input.focus();
              return;
            }
            if (context.send && context.live) context.send({ type: "command", command: line });
            else {
              player.pause();
              const { words, segments, size } = request(line);
              typed = { side: "request", label: words.join(" "), size, segments };
              status.textContent = "These are the bytes that a client sends. "
                + "The reply needs a server: open this lesson as a notebook to get one.";
              draw();
            }
            input.select();
          },
        },
        input, html("button", { type: "submit" }, context.live ? "Send" : "Show the bytes"),
        html("button", {
          type: "button", "aria-pressed": "false",
          onclick: (event) => {
            hex = !hex;
            event.currentTarget.setAttribute("aria-pressed", String(hex));
            draw();
          },
        }, "Hex"),
      );
      const legend = html("p", { class: "rl-legend" }, LEGEND.map(([role, text]) => html(
        "span", {}, html("span", { class: `rl-byte rl-${role}` }, text), ` ${NAMES[role]}`,
      )));
      stage.append(legend, talk, note, form, status);
      rest();
      draw();
      return {
        show: () => {
          typed = null;
          draw();
        },
        receive: (message) => { if (message.type === "tell") status.textContent = message.text; },
      };
    },
  };
}
