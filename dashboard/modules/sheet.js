// On a narrow screen the list of series is a sheet over the page; on a wide one it is always there.

const narrow = matchMedia("(max-width: 960px)");

export class Sheet {
  constructor(sheet, main, openers) {
    this.sheet = sheet;
    this.main = main;
    openers.forEach((opener) => opener.addEventListener("click", () => this.toggle(opener)));
    sheet.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    narrow.addEventListener("change", () => this.#apply(false));
    this.#apply(false);
  }

  get isOpen() {
    return this.sheet.classList.contains("open");
  }

  open() {
    if (!narrow.matches || this.isOpen) return;
    this.#apply(true);
    this.sheet.querySelector("input").focus();
  }

  close() {
    if (!this.isOpen) return;
    this.#apply(false);
    this.opener?.focus();
  }

  toggle(opener) {
    if (this.isOpen) return this.close();
    this.opener = opener;
    this.open();
  }

  #apply(isOpen) {
    this.sheet.classList.toggle("open", isOpen);
    // What is off the screen must be out of the keyboard's way too.
    this.sheet.inert = narrow.matches && !isOpen;
    this.main.inert = isOpen;
  }
}
