(() => {
  const stale = document.getElementById("stale");
  if (/[?&](redriven|dropped)=/.test(location.search)) history.replaceState(null, "", location.pathname);
  setInterval(async () => {
    const main = document.querySelector("main");
    if (document.hidden || main.querySelector("details[open]") || main.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      // The new style has another nonce, and is the one that is here already.
      const text = (await answer.text()).replace(/<style[^]*?<\/style>/, "");
      const page = new DOMParser().parseFromString(text, "text/html");
      main.replaceWith(page.querySelector("main"));
      document.title = page.title;
      document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }, 10000);
})();
