package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/recipe"
)

// The tests of the page, in a real browser. TRAINER_SCREENSHOTS names a folder for pictures of it.

// browser is a tab that shows the page of trainer serve.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	mistakes []string // exceptions, and refusals of the content security policy
}

// browserProgram returns the browser of this machine, or skips the test.
func browserProgram(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium or Chrome on this machine: apt-get install chromium")
	return ""
}

// startBrowser starts a browser without a window, or skips the test if that fails. Tabs are made from its context.
func startBrowser(t *testing.T, program string) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(60*time.Second))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Skipf("%s does not start on this machine: %v", program, err)
	}
	return ctx
}

// openPage opens an address in a new tab.
func openPage(t *testing.T, tabs context.Context, address string, width, height int64) *browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(tabs)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.mistakes = append(b.mistakes, e.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == cdplog.LevelError {
				b.mistakes = append(b.mistakes, e.Entry.Text)
			}
		}
	})
	b.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(address), chromedp.WaitVisible("body[data-ready]"))
	return b
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page's mistakes: %q", err, b.mistakes)
	}
}

// eval returns the value of an expression.
func eval[T any](b *browser, expression string) (value T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &value, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return value
}

// until waits for an expression to be true.
func (b *browser) until(expression string) {
	b.t.Helper()
	var ok bool
	if err := chromedp.Run(b.ctx, chromedp.Poll(expression, &ok, chromedp.WithPollingTimeout(30*time.Second))); err != nil {
		said := eval[string](b, `document.querySelector(".message")?.textContent ?? ""`)
		b.t.Fatalf("%s: %v; the page says %q; its mistakes: %q", expression, err, said, b.mistakes)
	}
}

// idle waits until the page has computed everything.
func (b *browser) idle() {
	b.t.Helper()
	b.until(`document.body.dataset.busy === "0"`)
}

// check fails the test if the page made mistakes.
func (b *browser) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mistakes) > 0 {
		b.t.Errorf("the page's mistakes: %q", b.mistakes)
	}
}

// screenshot keeps a picture of the page if somebody wants to look at it.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv("TRAINER_SCREENSHOTS")
	if folder == "" {
		return
	}
	var content []byte
	b.do(chromedp.CaptureScreenshot(&content))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), content, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// box is where an element is in the window.
type box struct{ X, Y, Width, Height float64 }

// box brings an element into view, and returns where it is once it stays there: the page may still be scrolling to what it has shown last.
func (b *browser) box(selector string) box {
	b.t.Helper()
	return eval[box](b, fmt.Sprintf(`(async () => {
		const e = document.querySelector(%q);
		const where = () => (({x, y, width, height}) => ({X: x, Y: y, Width: width, Height: height}))(e.getBoundingClientRect());
		for (let before = "", still = 0; still < 3;) {
			if (still === 0) e.scrollIntoView({block: "center", behavior: "instant"});
			await new Promise(requestAnimationFrame);
			const now = JSON.stringify(where());
			still = now === before ? still + 1 : 0;
			before = now;
		}
		return where();
	})()`, selector))
}

// stroke draws a line through points in the drawing area, which are fractions of its size.
func (b *browser) stroke(points ...[2]float64) {
	b.t.Helper()
	pad := b.box(".pad")
	at := func(p [2]float64) (x, y float64) { return pad.X + p[0]*pad.Width, pad.Y + p[1]*pad.Height }
	x, y := at(points[0])
	b.do(input.DispatchMouseEvent(input.MousePressed, x, y).WithButton(input.Left).WithClickCount(1))
	for _, p := range points[1:] {
		x, y = at(p)
		b.do(input.DispatchMouseEvent(input.MouseMoved, x, y).WithButton(input.Left))
	}
	b.do(input.DispatchMouseEvent(input.MouseReleased, x, y).WithButton(input.Left).WithClickCount(1))
	b.idle()
}

// frames logs how long frames take.
func (b *browser) frames(what string) {
	b.t.Helper()
	var took []float64
	for range 8 {
		b.stroke([2]float64{0.25, 0.25}, [2]float64{0.5, 0.24})
		took = append(took, b.data("body", "frame"))
	}
	slices.Sort(took)
	b.t.Logf("%s took %v ms, requests and drawing included, and half of them at most %v; the machine may be shared", what, took[0], took[len(took)/2])
}

// seven draws a seven.
func (b *browser) seven() {
	b.t.Helper()
	b.do(chromedp.Click("#clear"))
	b.stroke([2]float64{0.25, 0.25}, [2]float64{0.5, 0.24}, [2]float64{0.74, 0.25}, [2]float64{0.6, 0.5}, [2]float64{0.45, 0.8})
}

// pixels are those that the network got.
func (b *browser) pixels() []byte {
	b.t.Helper()
	values := eval[[]int](b, `(() => {
		const c = document.querySelector(".pad");
		return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0);
	})()`)
	pixels := make([]byte, len(values))
	for i, v := range values {
		pixels[i] = byte(v)
	}
	return pixels
}

// clickValue clicks in the middle of a map, at fractions of its size, and waits for the explanation.
func (b *browser) clickValue(selector string, x, y float64) {
	b.t.Helper()
	m := b.box(selector)
	b.do(chromedp.MouseClickXY(m.X+x*m.Width, m.Y+y*m.Height))
	b.idle()
}

// asked is what the panel explains.
type asked struct {
	Name, Value string
	Rows        [][]string // value, factor and product of each term
	Feet        []string   // sum, and what follows from it
	Question    inspect.Question
}

func (b *browser) asked() asked {
	b.t.Helper()
	return eval[asked](b, `(() => {
		const values = (e) => [...e.querySelectorAll("td")].map((c) => c.dataset.value ?? "");
		return {
			Name: document.getElementById("asked-name")?.textContent ?? "", Value: document.getElementById("asked-value")?.dataset.value ?? "",
			Rows: [...document.querySelectorAll(".terms tbody tr")].map(values), Feet: [...document.querySelectorAll(".terms tfoot td")].map((c) => c.dataset.value),
			Question: JSON.parse(document.querySelector(".explain").dataset.question),
		};
	})()`)
}

// digits trains the recipe mnist for a moment in the folder run, and returns a session of its own with the same network.
func digits(t *testing.T) *inspect.Session {
	t.Helper()
	t.Chdir(t.TempDir())
	if got := trainer(t, "-recipe", "mnist", "-epochs", "0.15", "-out", "run", "-quiet", "-device", "cpu"); got.status != exitOK {
		t.Fatalf("training: %+v", got)
	}
	dev, err := cpu.Kind().Open(0, device.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	s, err := inspect.Open("run", dev, recipe.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// almost reports whether two numbers that were rounded differently are the same.
func almost(a, b float64) bool { return math.Abs(a-b) <= 1e-5*(1+math.Abs(b)) }

// TestBrowser shows a network that was trained for a moment.
func TestBrowser(t *testing.T) {
	program := browserProgram(t)
	text := read(t, exampleText)
	session := digits(t)
	address, _ := serving(t, nil, "-runs", "all", "run", "mnist-basic")
	tabs := startBrowser(t, program)
	t.Run("forward", func(t *testing.T) { showForward(t, openPage(t, tabs, address, 1600, 1000), session) })
	t.Run("backward", func(t *testing.T) { showBackward(t, openPage(t, tabs, address, 1600, 1000), session) })
	t.Run("looks", func(t *testing.T) { showLooks(t, openPage(t, tabs, address, 360, 740)) })
	t.Run("tools", func(t *testing.T) { showTools(t, openPage(t, tabs, address, 1600, 1000), session) })
	t.Run("example", func(t *testing.T) { showExample(t, openPage(t, tabs, address, 1600, 1000), text) })
	t.Run("faults", func(t *testing.T) { showFaults(t, openPage(t, tabs, address, 1600, 1000)) })
	t.Run("tasks", func(t *testing.T) {
		tasks(t, openPage(t, tabs, address, 1600, 1000), session, learner{"run", "all", 0.4})
	})
}

// showForward draws a digit. The answer is that of trainer predict, and what a click shows is the engine's.
func showForward(t *testing.T, b *browser, session *inspect.Session) {
	b.seven()
	pixels := b.pixels()
	if bytes.Count(pixels, []byte{0}) < 500 || bytes.Count(pixels, []byte{255}) < 20 {
		t.Fatalf("nothing was drawn: %v", pixels)
	}

	// The answer.
	im := image.NewGray(image.Rect(0, 0, 28, 28))
	copy(im.Pix, pixels)
	var file bytes.Buffer
	if err := png.Encode(&file, im); err != nil {
		t.Fatal(err)
	}
	write(t, "seven.png", file.String())
	var want struct {
		Class string
		Top   []struct {
			Class       string
			Probability float64
		}
	}
	if err := json.Unmarshal([]byte(trainer(t, "predict", "-json", "-top", "10", "-device", "cpu", "run", "seven.png").stdout), &want); err != nil {
		t.Fatal(err)
	}
	bars := eval[map[string]float64](b, `Object.fromEntries([...document.querySelectorAll("#answer li")].map((e) => [e.dataset.class, Number(e.dataset.value)]))`)
	if best := eval[string](b, `document.querySelector("#answer .best").dataset.class`); best != want.Class || len(bars) != 10 {
		t.Errorf("the page says %s, predict says %s", best, want.Class)
	}
	for _, c := range want.Top {
		if !almost(bars[c.Class], c.Probability) {
			t.Errorf("class %s: %v on the page, %v by predict", c.Class, bars[c.Class], c.Probability)
		}
	}

	// Values of several layers.
	pass, err := session.Forward(pixels)
	if err != nil {
		t.Fatal(err)
	}
	for place, p := range session.Places() {
		if p.Kind == inspect.KindLoss {
			continue
		}
		b.clickValue(fmt.Sprintf("#place-%d .map", place), 0.37, 0.41)
		got := b.asked()
		if got.Question.Place != place || got.Question.Of != inspect.Value {
			t.Fatalf("place %d: the panel explains %+v", place, got.Question)
		}
		if v := fmt.Sprint(float64(pass.Values[place][got.Question.Index])); !sameNumber(got.Value, v) {
			t.Errorf("%s = %s on the page, the engine has %s", got.Name, got.Value, v)
		}
		checkSum(t, b, got)
	}
	b.screenshot("forward-1600")

	// What mattered.
	b.do(chromedp.SetValue("#attention", "grad-cam"), chromedp.Evaluate(`document.getElementById("attention").dispatchEvent(new Event("change"))`, nil))
	b.until(`Boolean(document.querySelector(".attention .range")?.textContent)`)
	b.idle()

	// The keyboard does the same.
	b.do(chromedp.Focus("#place-1 .map"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.PageDown), chromedp.KeyEvent(kb.Enter))
	b.idle()
	if got := b.asked(); !strings.HasPrefix(got.Name, "conv1[") {
		t.Errorf("the keyboard chose %q", got.Name)
	}
	b.clickValue("#place-1 .map", 0.5, 0.3)
	b.box(".pad")
	b.screenshot("serve")
	b.choose("attention", "none")
	b.frames("a frame with an explanation")
	b.do(chromedp.Click("#explain-close"))
	b.frames("a frame")

	// Another network, which is not trained.
	b.do(chromedp.Evaluate(`document.getElementById("network").selectedIndex = 1; document.getElementById("network").dispatchEvent(new Event("change"))`, nil))
	b.until(`document.querySelectorAll(".card").length === 7 && document.querySelector("#place-5 .range").textContent !== ""`)
	b.idle()
	b.check()
}

// sameNumber reports whether two texts are the same number.
func sameNumber(a, b string) bool {
	var x, y float64
	if _, err := fmt.Sscan(a, &x); err != nil {
		return false
	}
	if _, err := fmt.Sscan(b, &y); err != nil {
		return false
	}
	return x == y
}

// checkSum adds up the terms that the panel lists.
func checkSum(t *testing.T, b *browser, a asked) {
	t.Helper()
	sum := 0.0
	for _, row := range a.Rows {
		var product float64
		if _, err := fmt.Sscan(row[len(row)-1], &product); err != nil {
			t.Fatalf("%s: row %q", a.Name, row)
		}
		sum += product
	}
	var total float64
	if _, err := fmt.Sscan(a.Feet[0], &total); err != nil {
		t.Fatalf("%s: sums %q", a.Name, a.Feet)
	}
	if !almost(sum, total) {
		t.Errorf("%s: the terms add up to %v, the page says %v", a.Name, sum, total)
	}
}

// showBackward shows gradients, makes a step, takes it back, and checks a weight.
func showBackward(t *testing.T, b *browser, session *inspect.Session) {
	b.seven()
	pixels := b.pixels()
	b.do(chromedp.SetValue("#label", "3"), chromedp.Evaluate(`document.getElementById("label").dispatchEvent(new Event("change"))`, nil))
	b.idle()
	b.do(chromedp.Click("#gradients"))
	b.until(`document.getElementById("loss") !== null`)
	b.idle()
	if _, err := session.Forward(pixels); err != nil {
		t.Fatal(err)
	}
	back, err := session.Backward(3)
	if err != nil {
		t.Fatal(err)
	}
	loss := func() string { return eval[string](b, `document.getElementById("loss").dataset.value`) }
	before := loss()
	if !sameNumber(before, fmt.Sprint(back.Loss)) {
		t.Errorf("loss %s on the page, the engine has %v", before, back.Loss)
	}
	for place, p := range session.Places() {
		if len(back.Values[place]) == 0 || p.Kind == inspect.KindLoss {
			continue
		}
		b.clickValue(fmt.Sprintf("#place-%d .map-of:nth-of-type(2) .map", place), 0.37, 0.41)
		got := b.asked()
		if got.Question.Place != place || got.Question.Of != inspect.Gradient {
			t.Fatalf("place %d: the panel explains %+v", place, got.Question)
		}
		if v := fmt.Sprint(float64(back.Values[place][got.Question.Index])); !sameNumber(got.Value, v) {
			t.Errorf("gradient of %s = %s on the page, the engine has %s", got.Name, got.Value, v)
		}
		checkSum(t, b, got)
	}
	b.screenshot("backward-1600")

	// The gradient of a weight, and the check of it.
	b.do(chromedp.Click("#place-1 summary"))
	b.until(`document.querySelectorAll("#place-1 .tensor[open] .map").length === 2`)
	b.idle()
	b.clickValue("#place-1 .tensor[open] .map-of:nth-of-type(2) .map", 0.37, 0.41)
	got := b.asked()
	if v := fmt.Sprint(float64(back.Weights["conv1.weight"][got.Question.Index])); got.Question.Of != inspect.WeightGradient || !sameNumber(got.Value, v) {
		t.Errorf("%+v: %s on the page, the engine has %s", got.Question, got.Value, v)
	}
	b.do(chromedp.Click("#check"))
	b.until(`document.querySelectorAll("#check-result dd").length === 4`)
	numbers := eval[[]float64](b, `[...document.querySelectorAll("#check-result dd")].map((e) => Number(e.dataset.value))`)
	want, err := session.CheckGradient("conv1.weight", got.Question.Index, 0)
	if err != nil {
		t.Fatal(err)
	}
	if numbers[2] != want.Difference || numbers[3] != want.Gradient {
		t.Errorf("check %v on the page, the engine has %+v", numbers, want)
	}

	// A step lowers the loss, and undoing it restores every bit of it.
	b.do(chromedp.SetValue("#rate", "0.01"), chromedp.Click("#step"))
	b.until(`document.getElementById("losses") !== null`)
	b.idle()
	var was, is float64
	if _, err := fmt.Sscan(before, &was); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(loss(), &is); err != nil || is >= was {
		t.Errorf("loss %v before the step, %v after it", was, is)
	}
	b.screenshot("step-1600")
	b.do(chromedp.Click("#undo"))
	b.until(`document.getElementById("undo").disabled`)
	b.idle()
	if after := loss(); after != before {
		t.Errorf("loss %s before the step, %s after undoing it", before, after)
	}
	b.check()
}

// showSheet: in a narrow window, the explanation is a sheet that leaves room for what it explains, and leads there. The keyboard stays in it, and
// closes it.
func showSheet(t *testing.T, b *browser) {
	// visible says whether the pixel of the picture that is explained is above the sheet, and how much of the window the sheet takes.
	visible := func() (isVisible bool, share float64) {
		t.Helper()
		got := eval[struct {
			Question                            inspect.Question
			Left, Top, Width, Sheet, Height, On float64
		}](b, `(() => {
			const r = document.querySelector("#place-0 .map").getBoundingClientRect();
			const sheet = document.querySelector(".explain").getBoundingClientRect();
			return {Question: JSON.parse(document.querySelector(".explain").dataset.question), Left: r.left, Top: r.top, Width: r.width, Sheet: sheet.top, Height: sheet.height, On: innerHeight};
		})()`)
		if got.Question.Place != 0 {
			t.Fatalf("the panel explains %+v, want a pixel", got.Question)
		}
		y := got.Top + (float64(got.Question.Index/28)+0.5)*got.Width/28
		return y > 0 && y < got.Sheet, got.Height / got.On
	}
	b.do(chromedp.Evaluate(`document.querySelector(".terms tbody tr:nth-child(13) button").focus()`, nil), chromedp.KeyEvent(kb.Enter))
	b.idle()
	if ok, share := visible(); !ok || share > 0.35 {
		t.Errorf("the explained pixel is visible: %v; the sheet takes %.2f of the window", ok, share)
	}
	b.screenshot("360-source")
	if focused := eval[string](b, `document.activeElement.id`); focused != "explain-title" {
		t.Errorf("after a term was followed, the keyboard is at %q", focused)
	}
	b.do(chromedp.Click("#explain-size"))
	if ok, share := visible(); !ok || share < 0.3 {
		t.Errorf("larger: the explained pixel is visible: %v; the sheet takes %.2f of the window", ok, share)
	}
	b.screenshot("360-large")
	b.do(chromedp.KeyEvent(kb.Escape))
	if left := eval[string](b, `getComputedStyle(document.querySelector(".explain")).display + " " + document.activeElement.className`); left != "none map" {
		t.Errorf("after Escape: %q", left)
	}
	b.clickValue("#place-1 .map", 0.3, 0.3)
}

// showLooks opens the page in two languages, dark, and in windows of 360 and 1600 pixels.
func showLooks(t *testing.T, b *browser) {
	b.seven()
	over := func(language string) {
		t.Helper()
		if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("the page is %d pixels wider than a window of 360 %s: %v", over, language, eval[[]string](b, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll")).map((e) => e.tagName + "." + e.className + "#" + e.id)`))
		}
	}
	over("")
	b.clickValue("#place-1 .map", 0.3, 0.3)
	b.screenshot("360")
	showSheet(t, b)
	b.press("#gradients")
	b.press("#slow")
	b.press("#slow-play")
	b.screenshot("360-slow")
	over("")
	b.choose("language", "vi")
	if got := eval[string](b, `document.documentElement.lang + " " + document.querySelector("#answer-title").textContent`); got != "vi Trả lời" {
		t.Errorf("in Vietnamese: %q", got)
	}
	over("in Vietnamese")
	light := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
	b.choose("theme", "dark")
	if dark := eval[string](b, `getComputedStyle(document.body).backgroundColor`); dark == light {
		t.Errorf("dark looks as light: %s", dark)
	}
	b.do(chromedp.EmulateViewport(1600, 1000))
	time.Sleep(200 * time.Millisecond)
	b.idle()
	b.box(".pad")
	b.screenshot("dark-vi-1600")

	// A browser of the other language and theme begins with them.
	b.do(chromedp.Evaluate(`localStorage.clear()`, nil), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}), chromedp.Reload(), chromedp.WaitVisible("body[data-ready]"))
	if dark := eval[string](b, `getComputedStyle(document.body).backgroundColor`); dark == light {
		t.Errorf("a dark system's page looks light: %s", dark)
	}
	b.check()
}
