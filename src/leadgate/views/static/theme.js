// Before anything is painted: the theme that was chosen here; the system's where none was.
"use strict";
{
  const chosen = localStorage.getItem("leadgate-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
