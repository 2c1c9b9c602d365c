// Three kinds of picture (see figures.py), each with the table behind it and downloads of both.

const WIDTH = 640;
const LETTER = 6.3; // average width of a letter in a picture

/** Return the text of a label, cut to a number of letters. */
function short(text, letters) {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}

/** Return a legend; each name in the colour of its place. */
function legend(names) {
  return element("p", { class: "legend" }, names.map((name, place) =>
    dataText("span", name, { class: `c${place % 8}` })));
}

/** Return a line of the frame. */
function rule(x1, y1, x2, y2, name = "grid") {
  return shape("line", { x1, y1, x2, y2, class: name });
}

/** Return a text within a picture. */
function label(x, y, text, attributes = {}) {
  return shape("text", { x, y, ...attributes }, visible(text));
}

/** Draw shares with their intervals, a row for each label. */
function drawEstimates({ rows, series, differences }) {
  const longest = Math.max(...rows.map((row) => row.label.length));
  const left = Math.min(240, longest * LETTER + 14);
  const right = WIDTH - (series.length > 2 ? 14 : 52 * series.length + 14);
  const step = Math.max(25, 9 * series.length + 9);
  const bottom = rows.length * step + 8;
  const ends = rows.flatMap((row) => row.values.flatMap((value) =>
    value ? [value.mean, value.low, value.high, ...(value.points ?? [])] : []));
  const reach = Math.max(0.05, ...ends.map((end) => Math.abs(end ?? 0))) * 1.05;
  const [from, to] = differences ? [-reach, reach] : [0, 1];
  const x = (share) => left + ((share - from) / (to - from)) * (right - left);
  const ticks = differences ? roundTicks(-reach, reach) : [0, 0.25, 0.5, 0.75, 1];
  const frame = ticks.flatMap((tick) => [
    rule(x(tick), 4, x(tick), bottom, tick === 0 ? "zero" : "grid"),
    label(x(tick), bottom + 16, percent(tick, 0), { class: "tick", "text-anchor": "middle" }),
  ]);
  const drawn = rows.flatMap((row, number) => {
    const middle = 6 + (number + 0.5) * step;
    const marks = row.values.flatMap((value, place) => {
      if (!value || value.mean === null) return [];
      const y = middle + (place - (series.length - 1) / 2) * 9;
      const bar = value.low === null || value.low === undefined ? []
        : [rule(x(value.low), y, x(value.high), y, "bar")];
      const points = (value.points ?? []).filter((point) => point !== null).map((point) =>
        rule(x(point), y - 4, x(point), y + 4, "point"));
      const given = series.length > 2 ? [] : [label(right + 52 * (place + 1), middle + 4,
        percent(value.mean), { class: "value", "text-anchor": "end" })];
      const tip = shape("title", {}, `${row.label}, ${series[place]}: ${withInterval(value)}`);
      return [shape("g", { class: `c${row.quiet ? 6 : place % 8}` }, bar, points,
        shape("circle", { cx: x(value.mean), cy: y, r: 4 }), given, tip)];
    });
    const limit = row.detectable === null || row.detectable === undefined ? [] : [shape("rect", {
      x: x(Math.max(-reach, -row.detectable)), y: middle - step * 0.36, height: step * 0.72,
      width: x(Math.min(reach, row.detectable)) - x(Math.max(-reach, -row.detectable)),
      class: "band" })];
    return [...limit, label(left - 10, middle + 4, short(row.label, 36),
      { "text-anchor": "end" }), ...marks];
  });
  return { shapes: [...frame, ...drawn], height: bottom + 24 };
}

/** Draw the 2x2 of trace and answer of each row, its cells as large as their counts. */
function drawMosaics({ rows }) {
  const across = Math.min(rows.length, 4), gap = 36, named = rows.length > 1;
  const wide = Math.min(300, (WIDTH - gap * (across - 1)) / across), high = 150;
  const shapes = rows.flatMap((row, number) => {
    const left = (number % across) * (wide + gap) + 1;
    const top = Math.floor(number / across) * (high + 90) + (named ? 44 : 26);
    const [a, b, c, d] = row.counts;
    const split = ((a + b) / (a + b + c + d)) * (wide - 3);
    const column = (right, wrong, start, width, trace, given) => {
      if (!(right + wrong)) return [];
      const height = (right / (right + wrong)) * high;
      const part = (n, y, tall, answer) => shape("a",
        { href: link({ v: "questions", i: row.scope, t: trace, a: answer }) },
        shape("rect", { x: start, y, width, height: tall, class: `t-${trace} a-${answer}` }),
        tall > 15 && width > 24 ? label(start + width / 2, y + tall / 2 + 4, String(n),
          { "text-anchor": "middle", class: `t-${trace} a-${answer}` }) : null,
        shape("title", {}, `trace ${trace}, answer ${answer}: ${n}`));
      const end = trace === "right" ? { x: left } : { x: left + wide, "text-anchor": "end" };
      return [
        shape("text", { ...end, y: top - 7 }, `${percent(given.mean, 0)} %`,
          shape("title", {}, `trace ${trace}: ${withInterval(given)} % of the answers right`)),
        part(wrong, top, high - height, "wrong"), part(right, top + high - height, height, "right"),
        shape("text", { ...end, y: top + high + 16, class: "tick" }, `trace ${trace}`),
        shape("text", { ...end, y: top + high + 30, class: "tick" }, String(right + wrong)),
      ];
    };
    return [
      named ? label(left, top - 28, short(row.label, 22), { class: "strong" }) : null,
      ...column(a, b, left, split, "right", row.given[0]),
      ...column(c, d, left + split + 3, wide - 3 - split, "wrong", row.given[1]),
    ];
  });
  return { shapes, height: Math.ceil(rows.length / across) * (high + 90) - (named ? 6 : 26) };
}

/** Return round numbers that divide a range. */
function roundTicks(from, to, log) {
  if (log) {
    const all = [];
    for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power += 1) {
      for (const digit of [1, 2, 5]) all.push(digit * 10 ** power);
    }
    return all.filter((tick) => tick >= from * 0.999 && tick <= to * 1.001);
  }
  const rough = (to - from) / 4 || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to * 1.001; tick += step) ticks.push(tick);
  return ticks.map((tick) => Number(tick.toPrecision(6)));
}

/** Draw lines, with intervals where they are known. */
function drawCurves({ series, log, x: across, y: upward }) {
  const left = 52, right = WIDTH - 12, top = 26, bottom = 240;
  const numbers = (names) => series.flatMap((line) => names.flatMap((name) => line[name] ?? []))
    .filter((number) => number !== null && (!log || number > 0));
  const xs = series.flatMap((line) => line.x), ys = numbers(["y", "low", "high"]);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const [y0, y1] = [log ? Math.min(...ys) : Math.min(0, ...ys), Math.max(...ys)];
  const scale = log ? Math.log10 : (number) => number;
  const part = (at) => (scale(at) - scale(y0)) / (scale(y1) - scale(y0) || 1);
  const x = (at) => left + ((at - x0) / (x1 - x0 || 1)) * (right - left);
  const y = (at) => bottom - part(at) * (bottom - top);
  const frame = [
    ...roundTicks(y0, y1, log).flatMap((tick) => [rule(left, y(tick), right, y(tick)),
      label(left - 8, y(tick) + 4, String(tick), { class: "tick", "text-anchor": "end" })]),
    ...roundTicks(x0, x1).map((tick) => label(x(tick), bottom + 16, String(tick),
      { class: "tick", "text-anchor": "middle" })),
    label(right, bottom + 32, across, { class: "tick", "text-anchor": "end" }),
    label(2, 11, upward, { class: "tick" }),
  ];
  const drawn = series.map((line) => {
    const places = line.x.map((_, place) => place).filter((place) => line.y[place] !== null
      && (!log || line.y[place] > 0));
    const dots = line.marks || line.low;
    const path = places.map((place) => [x(line.x[place]), y(line.y[place])]
      .map((number) => number.toFixed(1)));
    return shape("g", { class: `c${line.colour % 8}` },
      line.marks ? null : shape("path", { d: `M${path.join("L")}`, class: "curve" }),
      dots ? places.map((place) => shape("circle",
        { cx: x(line.x[place]), cy: y(line.y[place]), r: 3.5 })) : null,
      line.low ? places.filter((place) => line.low[place] !== null).map((place) =>
        rule(x(line.x[place]), y(line.low[place]), x(line.x[place]), y(line.high[place]), "bar"))
        : null,
      shape("title", {}, line.name));
  });
  return { shapes: [...frame, ...drawn], height: bottom + 40 };
}

/** Return the numbers of a figure as a table. */
function tableOf({ kind, rows, series, x }) {
  const three = (value) => ["mean", "low", "high"].map((end) => value?.[end] ?? null);
  const bounds = (name) => [name, `${name}, low`, `${name}, high`];
  if (kind === "mosaic") {
    const sides = ["trace right", "trace wrong"];
    return { columns: ["", ...sides.flatMap((side) => [`${side}, answer right`,
      `${side}, answer wrong`]), ...sides.flatMap((side) => bounds(`answers right if ${side}`))],
    rows: rows.map((row) => [row.label, ...row.counts, ...row.given.flatMap(three)]) };
  }
  if (kind === "estimates") {
    return { columns: ["", "questions", ...series.flatMap(bounds)],
      rows: rows.map((row) => [row.label, row.n ?? null, ...row.values.flatMap(three)]) };
  }
  return { columns: ["", x, "value", "low", "high"],
    rows: series.flatMap((line) => line.x.map((at, place) => [line.name, at, line.y[place],
      line.low?.[place] ?? null, line.high?.[place] ?? null])) };
}

/** Return an SVG that looks the same outside the page: what its classes say, in attributes. */
function standalone(picture) {
  const copy = picture.cloneNode(true);
  const names = ["fill", "stroke", "stroke-width", "stroke-opacity", "font-size", "font-family",
    "font-weight"];
  const before = [picture, ...picture.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, place) => {
    const style = getComputedStyle(before[place]);
    for (const name of names) node.setAttribute(name, style.getPropertyValue(name));
    node.removeAttribute("class");
  });
  copy.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(copy);
}

/** Return a figure: its title, picture, notes, the table behind it and downloads. */
function figureElement(figure) {
  const draw = { estimates: drawEstimates, mosaic: drawMosaics, curve: drawCurves }[figure.kind];
  const { shapes, height } = draw(figure);
  const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`,
    role: figure.kind === "mosaic" ? "group" : "img", // a picture has no links
    "aria-label": figure.title, class: "picture" }, shapes);
  const table = tableOf(figure);
  const file = figure.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  const names = figure.names ?? figure.series ?? [];
  const button = (text, act) => element("button", { type: "button", click: act,
    "aria-label": `${text}: ${figure.title}` }, text);
  return element("figure", {},
    element("figcaption", {}, element("h3", {}, figure.title)),
    names.length > 1 ? legend(names) : null,
    picture,
    figure.note ? element("p", { class: "note" }, figure.note) : null,
    element("div", { class: "behind" },
      element("details", {}, element("summary", {}, "Table"), tableElement(table, figure.title)),
      button("CSV", () => download(`${file}.csv`, "text/csv", csv(table))),
      button("SVG", () => download(`${file}.svg`, "image/svg+xml", standalone(picture)))));
}
