package command

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/recipe"
)

// TestBrowserSite shows the static site from a plain file server, with the tests of the page of trainer serve: the engine in
// the browser computes what the pure Go kernels compute here, and trains.
func TestBrowserSite(t *testing.T) {
	if os.Getenv("TRAINER_LONG_TESTS") == "" {
		t.Skip("it compiles the engine to WebAssembly: make test-long")
	}
	program := browserProgram(t)
	script, err := filepath.Abs("../../../../scripts/site.sh")
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, exampleText)
	digits(t)
	if said, err := exec.Command(script, "site", "run/model.safetensors").CombinedOutput(); err != nil {
		t.Fatalf("site.sh: %v\n%s", err, said)
	}
	files := httptest.NewServer(http.FileServer(http.Dir("site")))
	t.Cleanup(files.Close)
	tabs := startBrowser(t, program)

	t.Run("forward", func(t *testing.T) { showForward(t, openPage(t, tabs, files.URL, 1600, 1000), generic(t)) })
	t.Run("backward", func(t *testing.T) { showBackward(t, openPage(t, tabs, files.URL, 1600, 1000), generic(t)) })
	t.Run("looks", func(t *testing.T) { showLooks(t, openPage(t, tabs, files.URL, 360, 740)) })
	t.Run("tools", func(t *testing.T) { showTools(t, openPage(t, tabs, files.URL, 1600, 1000), generic(t)) })
	t.Run("example", func(t *testing.T) { showExample(t, openPage(t, tabs, files.URL, 1600, 1000), text) })
	t.Run("tasks", func(t *testing.T) {
		tasks(t, openPage(t, tabs, files.URL, 1600, 1000), generic(t), learner{"model", "runs", 1})
	})
	t.Run("train", func(t *testing.T) { trainSite(t, openPage(t, tabs, files.URL+"#train", 1600, 1300)) })
	t.Run("broken", func(t *testing.T) {
		if err := os.Remove("site/model.safetensors"); err != nil {
			t.Fatal(err)
		}
		b := openBroken(t, tabs, files.URL)
		b.until(`document.querySelector(".error")?.textContent.includes("model.safetensors: 404") ?? false`)
	})
}

// generic opens the network in the folder run on the pure Go kernels.
func generic(t *testing.T) *inspect.Session {
	t.Helper()
	dev, err := cpu.Kind().Open(0, device.Options{Threads: 1, Instructions: "generic"})
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

// trainSite trains for some steps, with a pause, and opens the network in the Learn part.
func trainSite(t *testing.T, b *browser) {
	b.until(`document.body.dataset.training === "followed"`)
	b.setRecipe(strings.Replace(trainer(t, "recipe", "mnist-basic").stdout, "epochs = 3", "epochs = 1", 1))
	b.until(`Boolean(document.querySelector("#plan-table tfoot"))`)
	b.fill("plan-name", "first")
	b.click("start")
	b.until(`Number(document.getElementById("live-step")?.dataset.value) > 0`)
	before := b.number("live-loss")
	b.click("order-pause")
	b.phase("paused")
	b.click("order-continue")
	b.phase("finished")
	if steps := b.number("live-step"); steps != 125 {
		t.Errorf("%v steps, want an epoch of 8,000 images in batches of 64, 125", steps)
	}
	// Both are means over the epoch so far. Guessing ten classes has the loss ln 10.
	if after := b.number("live-loss"); !(after < before && after < math.Log(10)/2) {
		t.Errorf("the loss was %v and is %v, want less than half of ln 10", before, after)
	}
	t.Logf("%v images/s; the machine may be shared", b.number("live-speed"))
	b.until(`parseFloat(document.querySelector('[data-run="first"] [data-column="test"]')?.textContent) > 70`)
	b.until(`Boolean(document.querySelector("#confusion"))`)
	b.until(`document.querySelectorAll("#histograms figure").length === 4`)
	b.screenshot("site-train")

	b.click("learn-first")
	b.until(`document.getElementById("network")?.selectedOptions[0].textContent.startsWith("runs/first")`)
	b.idle()
	if answer := eval[string](b, `document.querySelector("#answer .best").dataset.class`); answer != "7" {
		t.Errorf("the first test picture, a seven, is taken for a %s", answer)
	}
	b.screenshot("site-learn")
	b.check()
}

// openBroken opens an address whose page doesn't get ready.
func openBroken(t *testing.T, tabs context.Context, address string) *browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(tabs)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	b.do(chromedp.Navigate(address))
	return b
}
