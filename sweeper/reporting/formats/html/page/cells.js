"use strict";
// The data that the page carries, and how a value is shown, searched, copied and sorted. Text is only
// ever shown through textContent, or escaped.
const cells = (() => {
  const LONGEST_WORD = 40; // what is longer is broken anywhere
  // The codes of the map, as _MapState of breakdown.py has them.
  const STATES = ["none", "skipped", "empty", "compliant", "unseen"];
  const SIGNS = ["", "–", "·", "✓", "?"];
  const WORDS = ["", "skipped", "no repository", "compliant", "not checked"];
  const MARKS = {
    open: "bad", new: "bad", reopened: "bad", undetermined: "unsure", "not checked": "unsure", "not recorded": "unsure", "not known": "bad",
    "no longer visible": "unsure", fixed: "good", resolved: "good", gone: "quiet",
    "still open": "quiet", compliant: "good", empty: "quiet", skipped: "quiet",
    "not reverted": "bad", reverted: "good", planned: "quiet",
  };
  const narrow = matchMedia("screen and (max-width: 44rem)");
  const { texts, tables, owners, trend, console: template } = JSON.parse(document.getElementById("data").textContent);
  const number = new Intl.NumberFormat("en");

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const escaped = (text) =>
    text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const counted = (count, one, many = `${one}s`) => `${number.format(count)} ${count === 1 ? one : many}`;
  // A line ends after a separator, never in the middle of a word.
  const broken = (text) => {
    const cell = element("span");
    for (const part of text.split(/(?<=[/\-_.:,@\s])/)) {
      cell.append(part.length > LONGEST_WORD ? element("span", "anywhere", part) : part, element("wbr"));
    }
    return cell;
  };
  const days = (left) => {
    if (left === null) return "no end";
    if (left < 0) return `expired ${counted(-left, "day")} ago`;
    return left === 0 ? "last day" : counted(left, "day");
  };

  // The text of a value, as it is searched and copied.
  const said = {
    text: (value) => texts[value],
    mark: (value) => texts[value],
    account: (value) => texts[value],
    repository: (value) => texts[value],
    number: (value) => (value === null ? "" : String(value)),
    bad: (value) => (value === null ? "all" : String(value)),
    days,
    state: (value) => {
      if (value < 0) return `${-value} fixed`;
      return value < STATES.length ? WORDS[value] : `${value - STATES.length + 1} open`;
    },
  };
  const nameFirst = (value) => {
    const text = texts[value];
    const space = text.indexOf(" ");
    return space < 0 ? [text, ""] : [text.slice(space + 1), text.slice(0, space)];
  };
  const sortable = {
    text: said.text,
    mark: said.text,
    account: (value) => nameFirst(value).join(" "),
    repository: said.text,
    number: (value) => value,
    bad: (value) => value ?? Infinity,
    days: (value) => value ?? Infinity,
    state: (value) => value,
  };
  const shown = {
    text: (value, breaks) => (breaks ? broken(texts[value]) : element("span", "", texts[value])),
    mark: (value) => {
      const text = texts[value];
      return element("span", text && `mark ${MARKS[text.replace(/ \(.*/, "")]}`, text);
    },
    account: (value) => {
      const [name, id] = nameFirst(value);
      if (!/^\d{12}$/.test(id)) return broken(texts[value]);
      const cell = broken(name);
      cell.append(element("small", "", id));
      return cell;
    },
    repository: (value, _breaks, address) => {
      const cell = broken(texts[value]);
      if (!address) return cell;
      const link = element("a", "console");
      Object.assign(link, { href: address, target: "_blank", rel: "noreferrer", title: "Open in the AWS console" });
      link.append(cell);
      return link;
    },
    number: (value) => element("span", "", value === null ? "" : number.format(value)),
    bad: (value) => element("span", value === 0 ? "zero" : "bad", value === null ? "all" : number.format(value)),
    days: (value) =>
      element("span", value === null ? "" : value < 0 ? "mark bad" : value <= 30 ? "mark unsure" : "", days(value)),
    state: (value) => {
      if (value === 0) return element("span");
      const open = value >= STATES.length;
      const kind = value < 0 ? "closed" : open ? "open" : STATES[value];
      const sign = value < 0 ? `✓${-value}` : open ? number.format(value - STATES.length + 1) : SIGNS[value];
      const cell = element("span", `cell ${kind}`);
      cell.append(element("span", "", sign), element("span", "hidden", said.state(value)));
      cell.firstChild.setAttribute("aria-hidden", "true");
      return cell;
    },
  };

  // The page of a row's repository in the AWS console, where there is one.
  const consoleAddress = (columns, column, row) => {
    if (!column.linked?.[row]) return null;
    const [, account] = nameFirst(columns.find(({ kind }) => kind === "account").values[row]);
    const region = texts[columns.find(({ title }) => texts[title] === "Region").values[row]];
    const parts = { account, region, repository: texts[column.values[row]] };
    return template.replace(/\{(\w+)\}/g, (_, part) => parts[part]);
  };

  return {
    texts, tables, owners, trend, consoleAddress, narrow, number, element, escaped, counted, broken, nameFirst,
    said, sortable, shown, STATES, SIGNS, WORDS,
  };
})();
