// What is kept in the browser, of each page for itself. Where it keeps nothing, a visitor is new each time.

const page = new URL("./", location.href).pathname.split("/").at(-2);

export const kept = {
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(`openclawmu.${page}.${name}`));
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(`openclawmu.${page}.${name}`);
      else localStorage.setItem(`openclawmu.${page}.${name}`, JSON.stringify(value));
    } catch {
      // Then it is as long as the page is.
    }
  },
};
