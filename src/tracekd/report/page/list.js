// A list of any length: only what is in sight exists.

const ROW = 50; // height of a row of the list, as in page.css

/** A list of which one row is selected; arrows, page keys, Home and End move the selection. */
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
