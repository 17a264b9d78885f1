// The page's colours: light, dark, or as the system has them.

export const themes = ["auto", "light", "dark"];

// useTheme makes a theme that of the page.
export function useTheme(name) {
  document.documentElement.dataset.theme = themes.includes(name) ? name : "auto";
}

// isDark says whether the page is dark now.
export function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

// colourOf returns the present colour of a name in app.css, such as --accent.
export const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
