// Elements made of text only: nothing here can turn a string into markup.

export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

// The page's own icons stand in <template data-icon="tone">.
export function icon(tone) {
  const template = document.querySelector(`template[data-icon="${tone}"]`);
  return template ? template.content.cloneNode(true) : "";
}
