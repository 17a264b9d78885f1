// The page's texts, in the languages of strings.json.

import strings from "./strings.json";

export const languages = { en: "English", vi: "Tiếng Việt" };

let language = "en";

// useLanguage makes a language that of the texts made from now on.
export function useLanguage(name) {
  language = name in languages ? name : "en";
  document.documentElement.lang = language;
  document.title = `trainer: ${text("title")}`;
}

// firstLanguage is the one that was chosen before, or else the browser's.
export function firstLanguage() {
  const kept = keep.get("language");
  if (kept in languages) return kept;
  return navigator.language.startsWith("vi") ? "vi" : "en";
}

// text returns a text; {name} in it becomes values.name.
export function text(key, values = {}) {
  return strings[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// keep remembers choices in the browser, if it lets us.
export const keep = {
  get(key) {
    try {
      return localStorage.getItem("trainer." + key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem("trainer." + key, value);
    } catch {
      // A choice that isn't remembered is no harm.
    }
  },
};

// number returns a number with six digits.
export function number(v) {
  if (!Number.isFinite(v)) return String(v);
  if (v === 0) return "0";
  const size = Math.abs(v);
  return size >= 1e-4 && size < 1e7 ? String(Number(v.toPrecision(6))) : v.toExponential(4);
}

// count returns a whole number, with spaces between thousands: a comma or a dot there is the decimal sign of another language.
export const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, "\u202f");

// shape returns a shape as in 26×26×8.
export const shape = (s) => s.join("×");

// percent returns a share as a percentage; null is unknown.
export const percent = (x) => (x === null || x === undefined ? "–" : `${(100 * x).toFixed(2)}%`);

// moment returns a date and a time of day as in 2026-01-31 16:05, which no language reads otherwise.
export const moment = (date) => new Date(date).toLocaleString("sv", { dateStyle: "short", timeStyle: "short" });

// duration returns seconds as in 1:05:09.
export function duration(seconds) {
  const s = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

// bytes returns a number of bytes as in 1.5 MiB.
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i === 0 ? n : n.toPrecision(3)} ${units[i]}`;
}
