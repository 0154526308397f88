// Buttons that take a text along. A page opened from disk may be refused the clipboard: then the text is
// selected and copied the old way.
(() => {
  "use strict";
  const selectAndCopy = (element) => {
    const selection = window.getSelection();
    selection.selectAllChildren(element);
    const done = document.execCommand("copy");
    if (done) selection.removeAllRanges();
    return done;
  };
  for (const box of document.querySelectorAll(".copyable")) {
    const button = box.querySelector("button"), text = box.querySelector("code");
    const say = (word) => {
      button.textContent = word;
      window.setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        say("Copied");
      } catch {
        say(selectAndCopy(text) ? "Copied" : "Select it");
      }
    });
  }
})();
