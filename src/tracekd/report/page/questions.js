// Questions: a list that filters, beside one question.

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
