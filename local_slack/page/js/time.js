// Slack's timestamps and dates in the reader's locale.

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const clock = format({ timeStyle: "short" });
const day = format({ weekday: "long", day: "numeric", month: "long" });
const whole = format({ dateStyle: "full", timeStyle: "medium" });

export const toDate = (ts) => new Date(Number(ts) * 1000);
export const showTime = (ts) => clock.format(toDate(ts));
export const showWhole = (ts) => whole.format(toDate(ts));

export function showDay(ts) {
  const date = toDate(ts).toDateString();
  if (date === new Date().toDateString()) return "Today";
  if (date === new Date(Date.now() - 86_400_000).toDateString()) return "Yesterday";
  return day.format(toDate(ts));
}

const DATE_TOKENS = {
  date_num: (date) => format({ dateStyle: "short" }).format(date),
  date: (date) => format({ dateStyle: "long" }).format(date),
  date_short: (date) => format({ dateStyle: "medium" }).format(date),
  date_long: (date) => format({ dateStyle: "full" }).format(date),
  date_pretty: (date) => showDay(date.getTime() / 1000),
  date_short_pretty: (date) => showDay(date.getTime() / 1000),
  date_long_pretty: (date) => showDay(date.getTime() / 1000),
  time: (date) => clock.format(date),
  time_secs: (date) => format({ timeStyle: "medium" }).format(date),
  ago: (date) => showWhole(date.getTime() / 1000),
};

// Slack's <!date^1392734382^{date} at {time}|fallback>
export function showDate(seconds, pattern) {
  const date = toDate(seconds);
  return pattern.replace(/\{(\w+)\}/g, (all, name) => DATE_TOKENS[name]?.(date) ?? all);
}
