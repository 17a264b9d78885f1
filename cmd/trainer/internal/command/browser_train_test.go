package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// shortRecipe is mnist-basic for one epoch and a half of small networks.
func shortRecipe(t *testing.T) string {
	t.Helper()
	text := trainer(t, "recipe", "mnist-basic").stdout
	return strings.Replace(text, "epochs = 3", "epochs = 1.5", 1)
}

// setRecipe replaces the text of the editor.
func (b *browser) setRecipe(text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`(() => { const v = document.getElementById("editor").editor; v.dispatch({changes: {from: 0, to: v.state.doc.length, insert: %q}}); })()`, text), nil))
}

// fill sets the value of a field as typing does.
func (b *browser) fill(id, value string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`(() => { const e = document.getElementById(%q); e.value = %q; e.dispatchEvent(new Event("input")); e.dispatchEvent(new Event("change")); })()`, id, value), nil))
}

// click clicks an element by its id, which may have any characters.
func (b *browser) click(id string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`Boolean(document.getElementById(%q))`, id))
	b.do(chromedp.Evaluate(fmt.Sprintf(`document.getElementById(%q).click()`, id), nil))
}

// phase waits for the training to be in a phase.
func (b *browser) phase(name string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector("[data-phase]")?.dataset.phase === %q`, name))
}

// number returns a number that the page shows.
func (b *browser) number(id string) float64 {
	b.t.Helper()
	return eval[float64](b, fmt.Sprintf(`Number(document.getElementById(%q).dataset.value)`, id))
}

// TestBrowserTrain trains from the page: a recipe with a mistake and without, a training that is watched, paused, steered and
// finished, another one that the end of the program interrupts, and the list of runs.
func TestBrowserTrain(t *testing.T) {
	program := browserProgram(t)
	t.Chdir(t.TempDir())
	address, stop := serving(t, nil, "-runs", "all", "mnist-basic")
	tabs := startBrowser(t, program)
	b := openPage(t, tabs, address+"#train", 1600, 1300)
	b.until(`document.body.dataset.training === "followed"`)

	trainEditor(t, b)
	trainFirst(t, b)
	trainSecond(t, b, stop)
	b.check()

	// The program ended in the middle of the second training, which it saved.
	again, _ := serving(t, nil, "-runs", "all", "mnist-basic")
	b = openPage(t, tabs, again+"#train", 1600, 1300)
	trainRuns(t, b)
	trainLooks(t, b)
	b.check()
}

// trainEditor types recipes: mistakes stand at their lines, and the table is that of -dry-run.
func trainEditor(t *testing.T, b *browser) {
	text := shortRecipe(t)
	lines := strings.Split(text, "\n")
	wrong := 0
	for i, line := range lines {
		if strings.HasPrefix(line, "epochs") {
			wrong = i + 1
		}
	}
	b.setRecipe(strings.Replace(text, "epochs = 1.5", "epochs = -1", 1))
	b.until(fmt.Sprintf(`document.getElementById("plan-table").textContent.includes("line %d: epochs")`, wrong))
	b.until(`Boolean(document.getElementById("editor").shadowRoot.querySelector(".cm-lint-marker-error"))`)
	b.setRecipe(strings.Replace(text, `layer = "flatten"`, `layer = "relu"`, 1)) // valid by itself, but not in its place
	b.until(`document.querySelector("#plan-table .error")?.textContent.includes("layer dense") ?? false`)
	b.setRecipe(text)
	b.until(`Boolean(document.querySelector("#plan-table tfoot"))`)
	write(t, "short.toml", text)
	var table struct{ Parameters int }
	if err := json.Unmarshal([]byte(trainer(t, "-dry-run", "-json", "-recipe", "short.toml", "-device", "cpu").stdout), &table); err != nil {
		t.Fatal(err)
	}
	if got := eval[string](b, `document.querySelector("#plan-table tfoot").textContent.replace(/[^0-9]/g, "")`); table.Parameters == 0 || !strings.HasPrefix(got, fmt.Sprint(table.Parameters)) {
		t.Errorf("the table's totals are %s, want %d parameters first", got, table.Parameters)
	}
	b.screenshot("train-plan-1600")
}

// trainFirst trains a run to its end, with a pause and two changes of the rate. Its configuration repeats it to the bit.
func trainFirst(t *testing.T, b *browser) {
	b.fill("plan-name", "first")
	b.click("start")
	b.until(`Number(document.getElementById("live-step")?.dataset.value) > 20`)
	b.click("start") // one at a time
	b.until(`document.querySelector(".message").textContent.includes("first is training")`)
	b.click("order-pause")
	b.phase("paused")
	step := b.number("live-step")
	if saved := b.number("live-saved"); saved != step {
		t.Errorf("paused after step %v, saved at step %v", step, saved)
	}
	time.Sleep(300 * time.Millisecond)
	if now := b.number("live-step"); now != step {
		t.Errorf("steps %v to %v were made in a pause", step, now)
	}
	b.fill("factor", "0.5")
	b.click("order-rate")
	b.until(`document.getElementById("rate-changes").textContent.includes("0.5")`)
	b.screenshot("train-paused-1600")
	// What the reader has zoomed into stays while the curve grows.
	b.do(chromedp.Evaluate(`document.getElementById("curve-loss").plot.setScale("x", {min: 25, max: 35})`, nil))
	points := eval[int](b, `document.getElementById("curve-loss").plot.data[0].length`)
	b.click("order-continue")
	b.until(fmt.Sprintf(`Number(document.getElementById("live-step").dataset.value) > %v`, step+20))
	b.until(fmt.Sprintf(`document.getElementById("curve-loss").plot.data[0].length > %d`, points))
	zoom := func() {
		t.Helper()
		if got := eval[string](b, `(({min, max}) => min + " " + max)(document.getElementById("curve-loss").plot.scales.x)`); got != "25 35" {
			t.Errorf("the curve is shown from %s, want from 25 to 35, as the reader chose", got)
		}
	}
	zoom()
	b.do(chromedp.Evaluate(`(() => {
		const ask = window.fetch;
		window.fetch = async (path, options) => {
			const got = await ask(path, options);
			if (String(options?.body).includes('"save"')) window.saveStatus = got.status;
			return got;
		};
	})()`, nil))
	b.click("order-save")
	b.until(`window.saveStatus !== undefined`)
	if status := eval[int](b, `window.saveStatus`); status/100 != 2 {
		t.Errorf("the order to save was refused with status %d", status)
	}
	b.fill("factor", "0.25")
	b.click("order-rate")
	b.until(`document.getElementById("rate-changes").textContent.includes("0.25")`)
	b.phase("finished")
	b.until(`document.querySelectorAll("#confusion tbody tr").length === 10 && document.querySelectorAll("#mistakes li").length === 16`)
	for _, of := range []string{"gradients", "activations", "weights"} {
		b.fill("histogram-kind", of)
		b.until(`document.querySelectorAll("#histograms figure").length >= 4`)
	}
	b.until(`document.querySelector('[data-run="first"]')?.dataset.state === "finished" && document.querySelectorAll("#curve-loss canvas").length === 1`)
	b.until(`document.getElementById("curve-loss").plot.data[2].filter((v) => v != null).length === 2`) // evaluations
	zoom()
	b.do(chromedp.Evaluate(`document.getElementById("curve-loss").plot.setScale("x", {min: 0, max: 1407})`, nil))
	b.screenshot("train-1600")
	b.box("#histograms")
	b.screenshot("train-histograms-1600")

	summary := readJSON(t, filepath.Join("all", "first", "summary.json"))
	if got := eval[string](b, `document.querySelector('[data-run="first"] [data-column="test"]').textContent`); got != fmt.Sprintf("%.2f%%", 100*summary["test_accuracy"].(float64)) {
		t.Errorf("the list has the test accuracy %s, want %v", got, summary["test_accuracy"])
	}
	if got := eval[string](b, `document.querySelector('[data-run="first"] [data-column="epochs"]').textContent`); got != "1.5" {
		t.Errorf("the list has %s epochs, want 1.5", got)
	}
	config := configOf(t, filepath.Join("all", "first"))
	if !strings.Contains(config, fmt.Sprintf("rate-changes = [[%v, 0.5], [", step)) {
		t.Errorf("the configuration lacks the changes of the rate:\n%s", config)
	}
	if got := trainer(t, "-recipe", filepath.Join("all", "first", "config.toml"), "-out", "repeated", "-quiet", "-device", "cpu"); got.status != exitOK {
		t.Fatalf("repeating: %+v", got)
	}
	if !sameWeights(t, filepath.Join("all", "first"), "repeated") {
		t.Error("the repetition of a run whose rate was changed has other weights")
	}
}

// trainSecond begins another run, changes its rate, and ends the program, which saves it.
func trainSecond(t *testing.T, b *browser, stop func() outcome) {
	b.fill("plan-name", "second")
	b.fill("plan-seed", "7")
	b.click("start")
	b.until(`document.getElementById("phase").textContent.startsWith("second") && Number(document.getElementById("live-step")?.dataset.value) > 20`)
	if !eval[bool](b, `document.getElementById("answers-title").parentElement.hidden`) {
		b.t.Error("the answers of another run are shown")
	}
	b.fill("factor", "2")
	b.click("order-rate")
	b.until(`document.getElementById("rate-changes").textContent.includes("2")`)
	got := stop()
	if got.status != exitOK || !strings.Contains(got.stderr, "to continue: trainer -resume "+filepath.Join("all", "second")) {
		t.Errorf("the program ended with %+v", got)
	}
	b.until(`document.querySelector(".message").textContent !== ""`) // the page says that nobody answers
	b.mu.Lock()
	b.mistakes = nil // connections that failed
	b.mu.Unlock()
}

// trainRuns continues the interrupted run from the page, compares both, sorts, renames and deletes.
func trainRuns(t *testing.T, b *browser) {
	b.click("resume-second")
	b.phase("finished")
	if got := trainer(t, "-recipe", filepath.Join("all", "second", "config.toml"), "-seed", "7", "-out", "again", "-quiet", "-device", "cpu"); got.status != exitOK {
		t.Fatalf("repeating: %+v", got)
	}
	if !sameWeights(t, filepath.Join("all", "second"), "again") {
		t.Error("the run that was interrupted after a change of its rate has other weights than its repetition")
	}
	b.until(`document.querySelector('[data-run="second"]')?.dataset.state === "finished"`)
	b.delay("api/runs/first") // until the reader has changed their mind
	b.click("compare-first")
	b.held()
	b.click("compare-first")
	b.release()
	if runs := eval[string](b, `(async () => {
		for (const path of ["api/runs/first", "api/runs/first/histograms"]) await (await fetch(path)).arrayBuffer(); // as late as what was held
		await new Promise(requestAnimationFrame);
		return document.getElementById("curve-loss").dataset.runs;
	})()`); runs != "1" {
		b.t.Errorf("%s runs are shown, although only the present one is wanted", runs)
	}
	b.click("compare-first")
	if !eval[bool](b, `document.getElementById("compare-second").checked`) {
		b.t.Error("the curves before a run was continued are not shown beside the rest")
	}
	b.until(`document.getElementById("curve-loss")?.dataset.runs === "2"`)
	b.fill("curves-by", "epoch")
	b.until(`document.getElementById("curve-accuracy")?.dataset.runs === "2"`)
	b.fill("curves-by", "step")
	runHistograms(t, b)
	b.do(chromedp.Evaluate(`scrollTo(0, 0)`, nil))
	b.screenshot("train-compare-1600")
	b.click("learn-second") // and draw a digit for it
	b.until(`document.body.dataset.view === "learn" && document.getElementById("network").value.startsWith("all/second")`)
	b.idle()
	b.seven()
	if best := eval[string](b, `document.querySelector("#answer .best").dataset.class`); best != "7" {
		t.Errorf("the network that was trained takes a seven for %s", best)
	}
	b.click("tab-train")
	b.until(`document.body.dataset.view === "train"`)
	b.click("sort-name")
	if first := eval[string](b, `document.querySelector("[data-run]").dataset.run`); first != "first" {
		t.Errorf("sorted by name, the list begins with %s", first)
	}
	b.click("rename-second")
	b.fill("new-name", "../outside")
	b.click("question-yes")
	b.until(`document.querySelector(".message").textContent.includes("want letters")`)
	b.click("rename-second")
	b.fill("new-name", "renamed")
	b.click("question-yes")
	b.until(`Boolean(document.querySelector('[data-run="renamed"]'))`)
	b.until(`document.getElementById("curve-loss").dataset.runs === "2"`) // the renamed run is the page's own, and first is chosen
	b.click("delete-renamed")
	b.click("question-no")
	b.click("delete-renamed")
	b.screenshot("train-question")
	b.click("question-yes")
	b.until(`!document.querySelector('[data-run="renamed"]')`)
	if left, err := filepath.Glob(filepath.Join("all", "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	b.mu.Lock()
	b.mistakes = nil // the refusal of the bad name
	b.mu.Unlock()
}

// trainLooks opens the page in two languages, dark, and 360 pixels wide.
func trainLooks(t *testing.T, b *browser) {
	b.do(chromedp.EmulateViewport(360, 740))
	over := func(what string) {
		if n := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
			t.Errorf("%s: the page is %d pixels wider than a window of 360: %v", what, n, eval[[]string](b, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll")).map((e) => e.tagName + "." + e.className + "#" + e.id)`))
		}
	}
	time.Sleep(200 * time.Millisecond)
	over("English")
	b.screenshot("train-360")
	b.do(chromedp.Evaluate(`document.getElementById("live-title").scrollIntoView()`, nil))
	b.screenshot("train-360-live")
	b.fill("language", "vi")
	b.until(`document.getElementById("runs-title").textContent === "Các lần huấn luyện"`)
	over("Vietnamese")
	b.fill("theme", "dark")
	b.do(chromedp.EmulateViewport(1600, 1300))
	time.Sleep(300 * time.Millisecond)
	b.do(chromedp.Evaluate(`scrollTo(0, 0)`, nil))
	b.screenshot("train-dark-vi-1600")
	if got := eval[string](b, `document.getElementById("curves-title").textContent + getComputedStyle(document.documentElement).colorScheme`); got != "Đường congdark" {
		t.Errorf("dark and Vietnamese: %q", got)
	}
}

// runHistograms compares the histograms of two runs that are over, of which the first was trained by a program that has ended, with their files.
func runHistograms(t *testing.T, b *browser) {
	for _, of := range []string{"gradients", "activations", "weights"} {
		b.fill("histogram-kind", of)
		for _, run := range []string{"first", "second"} {
			var kept struct {
				Last struct {
					Histograms []struct {
						Name, Of  string
						Mean, Std float64
					}
				}
			}
			if err := json.Unmarshal([]byte(read(t, filepath.Join("all", run, "histograms.json"))), &kept); err != nil {
				t.Fatal(err)
			}
			shown := eval[map[string]string](b, fmt.Sprintf(`Object.fromEntries([...document.querySelectorAll('#histograms figure[data-of=%q]')].map((e) => [e.dataset.name, e.querySelector("figcaption").textContent]))`, run))
			layers := 0
			for _, h := range kept.Last.Histograms {
				if h.Of != of {
					continue
				}
				layers++
				var mean, std float64
				if _, err := fmt.Sscanf(strings.ReplaceAll(shown[h.Name], ",", " "), "mean %g standard deviation %g", &mean, &std); err != nil || !almost(mean, h.Mean) || !almost(std, h.Std) {
					t.Errorf("%s of %s in %s: %q (%v), the run has %+v", of, h.Name, run, shown[h.Name], err, h)
				}
			}
			if layers == 0 || len(shown) != layers {
				t.Errorf("%s of %s: %d histograms, want %d", of, run, len(shown), layers)
			}
		}
	}
	b.box("#histograms")
	b.screenshot("train-histograms-compared-1600")
}

// configOf returns a run's configuration.
func configOf(t *testing.T, run string) string {
	t.Helper()
	return read(t, filepath.Join(run, "config.toml"))
}

// TestBrowserShowsTerminal follows and steers a training that was started in a terminal.
func TestBrowserShowsTerminal(t *testing.T) {
	program := browserProgram(t)
	t.Chdir(t.TempDir())
	write(t, "short.toml", shortRecipe(t))
	tabs := startBrowser(t, program)
	out, written := io.Pipe()
	p := testProgram()
	p.stdout, p.stderr, p.now = io.Discard, written, time.Now
	status := make(chan int, 1)
	go func() {
		status <- run(context.Background(), p, []string{"-recipe", "short.toml", "-device", "cpu", "-out", "run", "-serve", "127.0.0.1:0"})
		written.Close()
	}()
	lines := bufio.NewReader(out)
	address, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, lines)
	b := openPage(t, tabs, strings.TrimSpace(address), 1600, 1300)
	b.until(`document.body.dataset.view === "train" && Number(document.getElementById("live-step")?.dataset.value) > 0`)
	if eval[bool](b, `Boolean(document.getElementById("start"))`) {
		t.Error("a training can be started")
	}
	b.click("order-pause")
	b.phase("paused")
	b.fill("factor", "0.1")
	b.click("order-rate")
	b.until(`document.getElementById("rate-changes").textContent.includes("0.1")`)
	b.screenshot("train-terminal-1600")
	b.click("order-continue")
	b.check() // before the program ends and its connections with it
	b.click("order-stop")
	b.phase("finished")
	if got := <-status; got != exitOK {
		t.Errorf("status %d", got)
	}
	if summary := readJSON(t, filepath.Join("run", "summary.json")); summary["stopped"] != "by hand" {
		t.Errorf("summary %v", summary)
	}
	if config := configOf(t, "run"); !strings.Contains(config, "rate-changes = [[") {
		t.Errorf("the configuration lacks the change of the rate:\n%s", config)
	}
}
