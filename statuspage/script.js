(() => {
  const stale = document.getElementById("stale");
  if (/[?&](redriven|dropped)=/.test(location.search)) history.replaceState(null, "", location.pathname);
  let held = 0; // for how long somebody may be about to press a button
  setInterval(async () => {
    const main = document.querySelector("main");
    const busy = main.querySelector("details[open]") || main.contains(document.activeElement);
    if (document.hidden || busy && ++held < 6) return;
    held = 0;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      // The new style has another nonce, and is the one that is here already.
      const text = (await answer.text()).replace(/<style[^]*?<\/style>/, "");
      const page = new DOMParser().parseFromString(text, "text/html");
      const fresh = page.querySelector("main");
      const name = (e) => [e.closest("form")?.ariaLabel, e.textContent].join();
      const same = (old) => [...fresh.querySelectorAll("a, button, summary")].find((e) => name(e) === name(old));
      for (const asked of main.querySelectorAll("details[open] summary")) same(asked)?.parentElement.setAttribute("open", "");
      const focus = document.activeElement;
      main.replaceWith(fresh);
      if (focus !== document.activeElement) same(focus)?.focus({ preventScroll: true });
      document.title = page.title;
      document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }, 10000);
})();
