// One question: its context, every student's output side by side, and probes.

const RIGHT = ["✓", "right"], WRONG = ["✗", "wrong"];

/** Return a sign for a verdict, with its word for those who do not see it. */
function sign(verdict) {
  const [mark, word] = verdict ? RIGHT : WRONG;
  return element("span", { class: `sign ${word}` }, mark,
    element("span", { class: "hidden" }, ` ${word} `));
}

/** Return everything about one question. */
function questionDetail(place, texts, experiments) {
  const question = texts.questions[place];
  const gold = new Set(question.gold.map((fact) => question.context[fact]));
  const students = experiments.filter((one) => question.outputs[one.number]);
  const groups = [...byRegime(students).values()];
  const quoted = (one, string) => question.outputs[one.number].marks
    .some(([, , fact]) => fact >= 0 && question.context[fact] === string);
  const facts = question.context.map((string) => {
    const by = students.filter((one) => quoted(one, string)).length;
    const words = students.length > 1 ? `quoted by ${by} of ${students.length}` : "quoted";
    return element("li", { class: gold.has(string) ? "gold" : null },
      dataText("span", texts.strings[string]),
      gold.has(string) ? element("span", { class: "tag" }, "gold") : null,
      by ? element("span", { class: "by" }, words) : null);
  });
  const probed = students.filter((one) => question.outputs[one.number].probes);
  return [
    dataText("h2", data.question[place]),
    element("dl", { class: "about" },
      element("dt", {}, "answer"), dataText("dd", data.gold[place].join("; "), { class: "strong" }),
      element("dt", {}, "class"), dataText("dd", data.class[place]),
      element("dt", {}, "id"), dataText("dd", data.id[place]),
      question.leaks?.length ? [element("dt", {}, "training gives away"),
        dataText("dd", question.leaks.join(", ").replaceAll("_", " "))] : null),
    element("h3", {}, "Context"),
    element("ol", { class: "context" }, facts),
    element("h3", {}, students.length > 1 ? "Students" : "Output"),
    element("p", { class: "legend" },
      element("mark", { class: "right" }, "gold fact"),
      element("mark", { class: "wrong" }, "another fact of the context"),
      element("mark", { class: "none" }, "not in the context")),
    element("div", { class: "students", tabindex: 0, role: "region", "aria-label": "Outputs" },
      groups.map((group) => element("section", {},
        experiments.length > 1 ? dataText("h4", group[0].regime) : null,
        group.map((one) => studentCard(one, place, question, texts, gold))))),
    probed.map((one, number) => probeTable(one, question, texts, gold, !number)),
  ];
}

/** Return a text with what it quotes marked. */
function marked(text, marks, question, gold) {
  const letters = Array.from(text), pieces = [];
  let end = 0;
  for (const [start, length, fact] of marks) {
    if (!length || start < end) continue;
    const kind = fact < 0 ? "none" : gold.has(question.context[fact]) ? "right" : "wrong";
    const words = { none: "not in the context", right: `gold fact ${fact + 1}`,
      wrong: `fact ${fact + 1}, not gold` }[kind];
    pieces.push(visible(letters.slice(end, start).join("")),
      element("mark", { class: kind, title: words },
        visible(letters.slice(start, start + length).join("")),
        element("span", { class: "hidden" }, ` (${words})`)));
    end = start + length;
  }
  pieces.push(visible(letters.slice(end).join("")));
  return element("pre", { dir: "auto", tabindex: text.length > 600 ? 0 : null }, pieces);
}

/** Return what one student made of a question. */
function studentCard(one, place, question, texts, gold) {
  const output = question.outputs[one.number];
  const lines = [];
  const add = (name, ...value) => lines.push(element("dt", {}, name), element("dd", {}, value));
  add("answer", sign(one.answer[place] === "1"), dataText("b", one.said[place] ?? "none read"));
  if (one.class[place] !== "-") {
    add("class", sign(one.class[place] === "1"), dataText("span", one.named[place] ?? "none"));
  }
  const text = texts.strings[output.text], letters = Array.from(text);
  // Different facts, and different texts that are none.
  const found = new Set(output.marks.map(([start, length, fact]) =>
    (fact < 0 ? letters.slice(start, start + length).join("") : question.context[fact])));
  if (one.trace[place] !== "-" || found.size) {
    const facts = [...found].filter((fact) => typeof fact === "number");
    const right = facts.filter((fact) => gold.has(fact)).length;
    add("facts", [[right, "gold"], [facts.length - right, "other"],
      [found.size - facts.length, "not in the context"], [gold.size - right, "missed"]]
      .filter(([n]) => n).map(([n, words]) => `${n} ${words}`).join(", ") || "none");
  }
  const remarks = [output.form === "strict" ? null : `read: ${output.form}`,
    one.cut[place] === "1" ? "cut off" : null,
    output.finish === "prompt_too_long" ? "prompt too long" : null,
    one.stated[place] === "1" ? "the trace states the gold answer" : null].filter(Boolean);
  const name = one.seed === undefined ? null
    : element("h5", {}, `seed ${one.seed} `, dataText("span", one.name, { class: "quiet" }));
  return element("div", { class: `student ${one.answer[place] === "1" ? "right" : "wrong"}` },
    name, element("dl", { class: "steps" }, lines),
    marked(text, output.marks, question, gold),
    remarks.length ? element("p", { class: "note" }, remarks.join(" · ")) : null);
}

/** Return the probes of a question: given this trace, that answer. */
function probeTable(one, question, texts, gold, open) {
  const probes = question.outputs[one.number].probes;
  const least = Math.min(-1, ...probes.map((probe) => probe.logprob ?? 0));
  const rows = probes.map((probe) => {
    const name = element("th", { scope: "row" }, probe.probe.replaceAll("_", " "));
    if (probe.trace === undefined) {
      return element("tr", {}, name, dataText("td", probe.note ?? "not run",
        { colspan: 3, class: "quiet" }));
    }
    const width = 80 * Math.max(0, 1 - probe.logprob / least);
    return element("tr", {}, name,
      element("td", {}, marked(texts.strings[probe.trace], quotes(texts.strings[probe.trace],
        question, texts), question, gold)),
      element("td", {}, sign(probe.right), dataText("span", texts.strings[probe.text])),
      element("td", { class: "number" }, probe.logprob === null ? NONE : probe.logprob.toFixed(2),
        shape("svg", { width: 80, height: 6, "aria-hidden": "true" },
          shape("rect", { width: 80, height: 6, class: "band" }),
          shape("rect", { width, height: 6, class: "full answer" }))));
  });
  const words = `Probes${one.seed === undefined ? "" : ` of ${one.regime}, seed ${one.seed}`}`;
  return element("details", { class: "probes", open }, element("summary", {}, visible(words)),
    element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": words },
      element("table", {}, element("thead", {}, element("tr", {},
        ["probe", "given this trace", "that answer", "log p of the gold answer"].map((head) =>
          element("th", { scope: "col" }, head)))), element("tbody", {}, rows))));
}

/** Return marks for the facts of the context that a text has word for word. */
function quotes(text, question, texts) {
  const found = question.context.map((string, fact) =>
    [text.indexOf(texts.strings[string]), texts.strings[string], fact]);
  return found.filter(([start]) => start >= 0).sort((a, b) => a[0] - b[0])
    .map(([start, fact, place]) => [Array.from(text.slice(0, start)).length,
      Array.from(fact).length, place]);
}
