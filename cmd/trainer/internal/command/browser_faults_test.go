package command

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// refuse makes the requests whose path ends with a text fail with status 500 and an error, or without a body if the error is "".
func (b *browser) refuse(ending, why string) {
	b.t.Helper()
	b.intercept(ending, fmt.Sprintf(`new Response(%q && JSON.stringify({error: %q}), {status: 500, statusText: ""})`, why, why))
}

// delay makes the requests whose path has a text wait for release.
func (b *browser) delay(part string) {
	b.t.Helper()
	b.intercept(part, `new Promise((go) => { (window.held ??= []).push(go); }).then(() => window.sent(path, options))`)
}

// release lets them go on.
func (b *browser) release() {
	b.t.Helper()
	b.held()
	b.do(chromedp.Evaluate(`window.fetch = window.sent; for (const go of held.splice(0)) go()`, nil))
}

// held waits until a request is held.
func (b *browser) held() {
	b.t.Helper()
	b.until(`window.held?.length > 0`)
}

// intercept answers requests whose path has a text by an expression.
func (b *browser) intercept(part, answer string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`window.sent ??= window.fetch; window.fetch = async (path, options) => String(path).includes(%q) ? %s : window.sent(path, options); undefined`, part, answer), nil))
}

// says waits until the page's message has a text.
func (b *browser) says(words string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector(".message").textContent.includes(%q)`, words))
}

// showFaults lets requests fail and arrive late.
func showFaults(t *testing.T, b *browser) {
	// The error of a request within another is shown, although what follows succeeds.
	b.refuse("/weights", "no weights today")
	b.goTo("#learn/run/conv1.weight/weight-gradient/0,0,0,0")
	b.says("no weights today")
	b.idle()
	b.says("no weights today")
	b.refuse("/weights", "") // such as of a proxy
	b.press("#place-4 summary")
	b.says("500")
	b.do(chromedp.Evaluate(`window.fetch = window.sent; undefined`, nil))
	b.goTo("#learn/run/conv1.weight/weight-gradient/0,0,1,0")
	b.until(`document.querySelector(".message").textContent === ""`)

	// While another network arrives, the reader draws for the present one.
	b.delay("/samples")
	b.do(chromedp.Evaluate(`document.getElementById("network").selectedIndex = 1; document.getElementById("network").dispatchEvent(new Event("change"))`, nil))
	b.held()
	b.do(chromedp.Evaluate(`document.querySelector(".pad").focus()`, nil), chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.ArrowRight))
	before := eval[int](b, `document.querySelectorAll(".card").length`)
	b.release()
	b.until(fmt.Sprintf(`document.querySelectorAll(".card").length !== %d && document.querySelector("#place-5 .range").textContent !== ""`, before))
	b.idle()
	if said := eval[string](b, `document.querySelector(".message").textContent`); said != "" {
		t.Errorf("drawing while another network arrived: the page says %q", said)
	}

	// The map from before is there while it is drawn again.
	b.press("#features-draw")
	b.until(`document.querySelector(".features .mistake") !== null`)
	b.press("#features-draw")
	b.until(`document.getElementById("features-draw").textContent === "Draw it again"`)
	b.idle()
	b.delay("/features")
	b.do(chromedp.Click("#features-draw"))
	b.held()
	b.do(chromedp.Evaluate(`(() => {
		const map = document.getElementById("features");
		for (let x = 20; x < map.clientWidth; x += 20) for (let y = 20; y < map.clientHeight; y += 20) map.dispatchEvent(new PointerEvent("pointermove", {clientX: map.getBoundingClientRect().x + x, clientY: map.getBoundingClientRect().y + y}));
	})()`, nil))
	b.release()
	b.do(chromedp.Click("#features-draw")) // stop

	// Another language leaves the settings of a step as they are.
	b.press("#gradients")
	b.fill("rule", "adam")
	b.fill("rate", "0.003")
	b.choose("language", "vi")
	if got := eval[string](b, `document.getElementById("rule").value + " " + document.getElementById("rate").value`); got != "adam 0.003" {
		t.Errorf("after a change of the language, the step is by %s", got)
	}
	b.choose("language", "en") // which other tabs begin with
	b.check()
}
