"use strict";
// The controls that choose rows: those of one table, and those of the whole page.
const filters = (() => {
  const CHOICES = 200; // more different values than that are searched for, not chosen from
  const { texts, owners, number, element, counted } = cells;

  function choice(values) {
    const select = element("select");
    select.append(new Option("all", ""));
    for (const value of values.sort()) if (value) select.append(new Option(value, value));
    return select;
  }

  // The filters of the page: every table shows the rows whose account and state they admit.
  function filterAll(built) {
    const row = document.querySelector("#filters .tools");
    const accounts = new Map(); // id -> its text and its states
    const idOf = (text) => text.split(" ", 1)[0];
    for (const table of built) {
      const account = table.columns.find(({ kind }) => kind === "account");
      const mark = table.columns.find(({ kind }) => kind === "mark");
      table.accountOf = (index) => texts[account.values[index]];
      table.stateOf = (index) => texts[mark ? mark.values[index] : table.state];
      account.values.forEach((_, index) => {
        const text = table.accountOf(index);
        const one = accounts.get(idOf(text)) ?? { text, states: new Set() };
        accounts.set(idOf(text), one);
        one.states.add(table.stateOf(index));
      });
    }
    if (!accounts.size) return document.getElementById("filters").remove();
    const known = new Map(Object.entries(owners));
    const owner = (id) => known.get(id) ?? [texts.indexOf(""), []];
    const control = (title, values) => {
      const distinct = [...new Set(values)].filter(Boolean);
      if (!distinct.length) return { value: "" };
      const made = field(row, distinct.length > CHOICES || title === "Account" ? element("input") : choice(distinct), title);
      made.addEventListener("input", apply);
      return made;
    };
    const ids = [...accounts.keys()];
    const account = control("Account", ids);
    const ou = control("OU", ids.map((id) => texts[owner(id)[0]]));
    const tag = control("Owner (account tag)", ids.flatMap((id) => owner(id)[1].map((each) => texts[each])));
    const state = control("State", [...accounts.values()].flatMap(({ states }) => [...states]));
    const clear = element("button", "", "Clear");
    clear.type = "button";
    clear.addEventListener("click", () => {
      for (const each of [account, ou, tag, state]) each.value = "";
      apply();
    });
    const told = element("output");
    row.append(clear, told);

    function apply() {
      const matches = ({ value, tagName }, text) =>
        !value || (tagName === "SELECT" ? text === value : text.toLowerCase().includes(value.toLowerCase()));
      const admitted = new Set(ids.filter((id) =>
        matches(account, accounts.get(id).text)
        && matches(ou, texts[owner(id)[0]] ?? "")
        && (!tag.value || owner(id)[1].some((each) => matches(tag, texts[each])))
        && (!state.value || accounts.get(id).states.has(state.value))));
      const any = [account, ou, tag, state].some(({ value }) => value);
      for (const { api, id, accountOf, stateOf } of built) {
        // An account has all the states of its rows, in whichever table they are.
        const whole = ["accounts", "map"].includes(id);
        api.search.fixed("page", any ? (_, [index]) =>
          admitted.has(idOf(accountOf(index))) && (whole || matches(state, stateOf(index))) : null).draw();
      }
      told.textContent = any ? `${number.format(admitted.size)} of ${counted(ids.length, "account")} match` : "";
    }
  }

  function field(row, control, title) {
    const label = element("label", "", title);
    label.append(control);
    row.append(label);
    return control;
  }

  return { CHOICES, choice, field, filterAll };
})();
