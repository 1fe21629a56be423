(() => {
  const stale = document.getElementById("stale");
  if (/[?&](redriven|dropped)=/.test(location.search)) history.replaceState(null, "", location.pathname);
  let held = 0; // for how long somebody may be about to press a button
  setInterval(async () => {
    const main = document.querySelector("main");
    const focus = document.activeElement;
    const busy = main.querySelector("details[open]") || main.contains(focus);
    if (document.hidden || busy && ++held < 6) return;
    held = 0;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      // The new style has another nonce, and is the one that is here already.
      const text = (await answer.text()).replace(/<style[^]*?<\/style>/, "");
      const page = new DOMParser().parseFromString(text, "text/html");
      const fresh = page.querySelector("main");
      main.replaceWith(fresh);
      const name = (e) => [e.closest("form")?.ariaLabel, e.textContent].join();
      const same = (e) => name(e) === name(focus);
      if (focus !== document.activeElement) [...fresh.querySelectorAll("a, button, summary")].find(same)?.focus({ preventScroll: true });
      document.title = page.title;
      document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }, 10000);
})();
