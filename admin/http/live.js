/*
 * live.js - parts of a page that renew themselves. Every page works without it: a
 * part marked data-live="SECONDS" is loaded again with its page, and the reader can stop that.
 */
"use strict";
(function () {
	const parts = Array.from(document.querySelectorAll("[data-live]"));
	if (parts.length === 0)
		return;
	let paused = false, busy = false;
	const box = document.createElement("p");
	const button = document.createElement("button");
	const said = document.createElement("span");
	button.type = "button";
	button.setAttribute("aria-pressed", "false");
	button.textContent = "Pause";
	said.className = "hint";
	said.textContent = "This page renews itself. ";
	box.className = "no-print";
	box.append(said, button);
	document.querySelector(".title").append(box);
	button.addEventListener("click", function () {
		paused = !paused;
		button.setAttribute("aria-pressed", String(paused));
		said.textContent = paused ? "Paused. " : "This page renews itself. ";
	});

	/* Nothing is replaced under somebody's hands. */
	function isInUse(part) {
		const chosen = document.getSelection();
		return part.contains(document.activeElement) || (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode));
	}

	async function renew() {
		if (paused || busy || document.hidden)
			return;
		busy = true;
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
			if (!answer.ok)
				throw new Error(String(answer.status));
			const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
			for (const part of parts) {
				const other = fresh.getElementById(part.id);
				const open = Array.from(part.querySelectorAll("details")).map((d) => d.open);
				if (!other || isInUse(part))
					continue;
				part.replaceChildren(...other.childNodes);
				part.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
			}
			if (!paused)
				said.textContent = "This page renews itself. ";
		} catch (e) {
			said.textContent = "Not renewed: the page does not answer, or your session has ended. ";
		}
		busy = false;
	}
	setInterval(renew, 1000 * Math.max(2, Number(parts[0].dataset.live) || 5));
})();
