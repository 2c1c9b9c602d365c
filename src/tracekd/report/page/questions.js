// Questions: a list that filters, and one question with every student's output side by side.

const ROW = 50; // height of a row of the list, as in page.css

/**
 * A list of any length of which only what is in sight exists. One row is selected; arrows, page
 * keys, Home and End move the selection.
 */
class LongList {
  constructor(name, render, choose) {
    Object.assign(this, { render, choose, items: [], selected: -1, name });
    this.space = element("div", { class: "space", role: "presentation" });
    this.node = element("div", { class: "list", role: "listbox", tabindex: 0, "aria-label": name,
      scroll: () => this.draw(), keydown: (event) => this.key(event) }, this.space);
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  /** Show other items; `selected` is one of them, if any. */
  set(items, selected) {
    this.items = items;
    this.selected = items.indexOf(selected);
    this.space.style.height = `${items.length * ROW}px`;
    this.reveal();
    this.draw();
  }

  reveal() {
    const top = this.selected * ROW, height = this.node.clientHeight;
    if (this.selected < 0 || !height) return;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    if (top + ROW > this.node.scrollTop + height) this.node.scrollTop = top + ROW - height;
  }

  draw() {
    const first = Math.max(0, Math.floor(this.node.scrollTop / ROW) - 5);
    const last = Math.ceil((this.node.scrollTop + this.node.clientHeight) / ROW) + 5;
    const rows = this.items.slice(first, last).map((item, offset) => {
      const place = first + offset;
      const row = element("div", { class: "row", role: "option", id: `${this.name}-${place}`,
        "aria-selected": String(place === this.selected), "aria-posinset": place + 1,
        "aria-setsize": this.items.length, click: () => this.choose(item, true) },
        this.render(item));
      row.style.top = `${place * ROW}px`;
      return row;
    });
    this.space.replaceChildren(...rows);
    if (this.selected < 0) this.node.removeAttribute("aria-activedescendant");
    else this.node.setAttribute("aria-activedescendant", `${this.name}-${this.selected}`);
  }

  /** Select the item that is some rows further on. */
  move(by) {
    if (!this.items.length) return;
    const place = Math.min(this.items.length - 1, Math.max(0, this.selected + by));
    this.choose(this.items[place], false);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.node.clientHeight / ROW) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -this.items.length, End: this.items.length }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.move(by);
  }
}

/** Return two marks for each student, by regime: is the answer right, and below it the trace? */
function strip(place, experiments) {
  const wide = experiments.length > 24 ? 5 : 9;
  const full = { answer: "", trace: "" }, empty = { answer: "", trace: "" };
  let x = 0.5, before = null, right = 0, asked = 0;
  for (const one of experiments) {
    if (before && regimeKey(before) !== regimeKey(one)) x += 5;
    before = one;
    for (const [name, y, height] of [["answer", 0.5, 9], ["trace", 12.5, 4]]) {
      const sign = one[name][place];
      const box = `M${x} ${y}h${wide - 2}v${height}h${2 - wide}z`;
      if (sign === "1") full[name] += box;
      if (sign === "0") empty[name] += box;
    }
    right += one.answer[place] === "1";
    asked += one.answer[place] !== " ";
    x += wide;
  }
  const words = `${right} of ${asked} right`;
  const size = { width: x + 1, height: 18 };
  return shape("svg", { ...size, class: "strip", role: "img", "aria-label": words },
    shape("title", {}, words),
    ["answer", "trace"].flatMap((name) => [shape("path", { d: full[name], class: `full ${name}` }),
      shape("path", { d: empty[name], class: `empty ${name}` })]));
}

/** Return one row of a list of questions; `remark` takes the place of the strip. */
function questionRow(place, experiments, remark = null) {
  const one = experiments.length === 1 ? experiments[0] : null;
  return [
    dataText("span", data.question[place], { class: "asked" }),
    remark ?? strip(place, experiments),
    element("span", { class: "under" }, dataText("span", data.class[place]), " · ",
      dataText("b", data.gold[place].join("; ")),
      one && one.answer[place] === "0" ? [" · ", dataText("i", one.said[place] ?? "no answer")]
        : null),
  ];
}

const GROUPS = {
  a: ["Answer", { "": "any", right: "right", wrong: "wrong" }],
  t: ["Trace", { "": "any", right: "right", wrong: "wrong" }],
  d: ["Regimes disagree", { "": "any", yes: "yes", no: "no" }],
  l: ["Leaked", { "": "any", yes: "yes", no: "no" }],
  k: ["Cut off", { "": "any", yes: "yes", no: "no" }],
};
const HINTS = {
  a: "At least one of the chosen students: what is asked of answer, trace, leakage and cut holds "
    + "for the same student",
  t: "Exact match of every step that the regime teaches",
  d: "One regime is right in most of its seeds, another wrong in most of its",
  l: "Training teaches all gold facts of the question",
  k: "The output reached infer.max_new_tokens",
};

/** The view of questions: made once, then updated. */
class QuestionsView {
  constructor() {
    this.list = new LongList("questions", (place) => questionRow(place, this.experiments),
      (place, step) => go({ v: "questions", q: data.id[place] }, step));
    this.search = element("input", { type: "search", id: "search", placeholder: "Search (/)",
      "aria-label": "Search in questions, contexts and outputs",
      input: () => go({ s: this.search.value }, false) });
    const chooser = (name, words, options) => {
      const select = element("select", { "aria-label": words,
        change: () => go({ [name]: select.value }) }, options);
      this.selects[name] = select;
      return select;
    };
    this.selects = {};
    this.radios = {};
    this.total = element("p", { class: "total", role: "status" });
    const several = data.experiments.length > 1;
    const groups = Object.entries(GROUPS).filter(([key]) =>
      (key !== "d" || several) && (key !== "l" || this.varies("leaked"))
      && (key !== "k" || this.varies("cut")) && (key !== "t" || this.varies("trace")));
    this.detail = element("article", { class: "detail", "aria-label": "Question" });
    this.node = element("div", { class: "questions" },
      element("h1", { class: "hidden" }, "Questions"),
      element("section", { class: "finder", "aria-label": "Filters and list" },
        element("div", { class: "filters" }, this.search,
          several ? chooser("i", "Students", this.scopes()) : null,
          chooser("c", "Class", [element("option", { value: "" }, "all classes"),
            data.classes.map((name) => element("option", { value: name }, name))]),
          chooser("o", "Order", Object.entries(ORDERS).map(([value, [words]]) =>
            element("option", { value }, words))),
          groups.map(([key, [words, options]]) => this.radio(key, words, options))),
        element("div", { class: "above" }, this.total,
          element("button", { type: "button", click: () => this.reset() }, "Reset"),
          several ? dataText("p", `Marks: answer above, trace below; ${
            [...byRegime(data.ordered).values()].map(([one]) => one.regime).join(", ")}`,
          { class: "note" }) : null),
        this.list.node),
      this.detail);
  }

  /** Return whether a verdict has both values. */
  varies(name) {
    return data.experiments.some((one) => one[name].includes("1"));
  }

  scopes() {
    const option = (value, words) => element("option", { value }, visible(words));
    return [option("", "all students"), data.cells.filter(Boolean).map((cell) =>
      element("optgroup", { label: cell },
        data.cells.length > 1 ? option(cell, "all of these") : null,
        [...byRegime(data.ordered.filter((one) => one.cell === cell))].map(([key, group]) => [
          option(key, `regime ${group[0].regime}`),
          group.map((one) => option(one.name, `  seed ${one.seed} (${one.name})`)),
        ])))];
  }

  radio(key, words, options) {
    this.radios[key] = {};
    return element("fieldset", { title: HINTS[key] }, element("legend", {}, words),
      Object.entries(options).map(([value, text]) => {
        const number = element("span", { class: "counted" });
        const input = element("input", { type: "radio", name: key, value,
          change: () => go({ [key]: value }) });
        this.radios[key][value] = { input, number };
        return element("label", {}, input, element("span", {}, text, number));
      }));
  }

  reset() {
    go(Object.fromEntries(FILTERS.map((key) => [key, ""])));
  }

  /** Show a state: filters and their counts, the list, the question. */
  async update(now) {
    const turn = (this.turn ?? 0) + 1;
    this.turn = turn;
    const filters = Object.fromEntries(FILTERS.map((key) => [key, now[key] ?? ""]));
    const asked = JSON.stringify(filters);
    const place = data.place.get(now.q);
    if (asked !== this.asked) {
      const found = filters.s ? await search(filters.s) : null;
      if (this.turn !== turn) return;
      this.asked = asked;
      this.experiments = inScope(filters.i);
      this.places = sorted(passing(filters, found), filters.o, this.experiments);
      this.total.textContent = `${this.places.length.toLocaleString("en")} of ${
        count(data.size, "question")}`;
      this.counts(filters, found);
    }
    this.list.set(this.places, place ?? -1);
    await this.one(place);
  }

  counts(filters, found) {
    for (const [key, options] of Object.entries(this.radios)) {
      for (const [value, { input, number }] of Object.entries(options)) {
        input.checked = filters[key] === value;
        number.textContent = passing({ ...filters, [key]: value }, found).length;
      }
    }
    const others = passing({ ...filters, c: "" }, found);
    const sizes = new Map();
    for (const place of others) {
      sizes.set(data.class[place], (sizes.get(data.class[place]) ?? 0) + 1);
    }
    for (const option of this.selects.c.options) {
      option.textContent = option.value ? `${option.value} (${sizes.get(option.value) ?? 0})`
        : `all classes (${others.length})`;
    }
    for (const [key, select] of Object.entries(this.selects)) {
      select.value = filters[key];
      if (select.selectedIndex < 0) select.value = ""; // a link to what is not here
    }
    if (document.activeElement !== this.search) this.search.value = filters.s;
  }

  async one(place) {
    if (place === undefined) {
      this.detail.replaceChildren(element("p", { class: "quiet" },
        "Choose a question: what it asks, its context, and what each student made of it."));
      this.shown = null;
      return;
    }
    const texts = await data.texts;
    if (this.shown === place + this.asked) return;
    this.shown = place + this.asked;
    this.detail.replaceChildren();
    fill(this.detail, {}, questionDetail(place, texts, this.experiments));
  }
}

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
