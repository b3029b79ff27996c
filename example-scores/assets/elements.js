// Making elements, and changing them only where something changed.

/** An element with a class and children: `el('p.note', 'Hello')`. */
export function el(name, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text without touching the document if it stands there already. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets a data attribute; null takes it away. */
export function setData(element, name, value) {
  if (value === null || value === undefined || value === false) delete element.dataset[name];
  else if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

/** Brings a list of children to exactly these, moving as few as needed. */
export function setChildren(parent, children) {
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Plays an animation, and returns it, unless the visitor asked for less motion. */
export function animate(element, frames, options) {
  return calm.matches ? null : element.animate(frames, options);
}
