package command

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"trainer/nn/data"
	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// What a learner does with the page, by script.

// press clicks an element as a reader does: it must be visible.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.box(selector)
	b.do(chromedp.Click(selector, chromedp.ByQuery))
	b.idle()
}

// choose chooses an option of a list.
func (b *browser) choose(id, value string) {
	b.t.Helper()
	b.fill(id, value)
	b.idle()
}

// data returns an attribute data-NAME as a number.
func (b *browser) data(selector, name string) float64 {
	b.t.Helper()
	text := eval[string](b, fmt.Sprintf(`document.querySelector(%q).dataset[%q]`, selector, name))
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		b.t.Fatalf("%s: data-%s is %q", selector, name, text)
	}
	return v
}

// goTo opens a part of the address, as a link does.
func (b *browser) goTo(hash string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`location.hash = %q`, hash), nil))
}

// want fails the test if a number of the page is not the engine's.
func (b *browser) want(what string, got, want float64) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s is %v on the page, the engine has %v", what, got, want)
	}
}

// learner is where a learner does the tasks.
type learner struct {
	network string  // that was trained for a moment
	runs    string  // where the page has its runs
	epochs  float64 // after which mnist-basic knows a seven
}

// tasks are the five tasks of a learner.
func tasks(t *testing.T, b *browser, session *inspect.Session, at learner) {
	findSource(t, b, session)
	findWinner(t, b, session, at.network)
	seeLossFall(t, b, session)
	findWorstMistake(t, b, session)
	trainOwn(t, b, at)
	b.check()
}

// findSource: where does an output of conv1 come from? From a window of the picture, a filter and a bias.
func findSource(t *testing.T, b *browser, session *inspect.Session) {
	b.seven()
	pass := must(session.Forward(b.pixels()))
	b.clickValue("#place-1 .map", 0.47, 0.3)
	got := b.asked()
	if !strings.HasPrefix(got.Name, "conv1[") || len(got.Rows) != 25+1 {
		t.Fatalf("%s has %d terms, want the 25 of its window and the bias", got.Name, len(got.Rows))
	}
	b.want(got.Name, parsed(t, got.Value), float64(pass.Values[1][got.Question.Index]))
	weights, err := session.Weights("conv1.weight")
	if err != nil {
		t.Fatal(err)
	}
	filter := weights[got.Question.Index%24*25:][:25]
	for k, row := range got.Rows[:25] {
		if parsed(t, row[1]) != float64(filter[k]) || !almost(parsed(t, row[0])*parsed(t, row[1]), parsed(t, row[2])) {
			t.Errorf("term %d is %v, want a pixel, the weight %v, and their product", k, row, filter[k])
		}
	}
	b.press(".terms tbody tr:nth-child(13) button") // the pixel in the middle of the window
	pixel := b.asked()
	if pixel.Question.Place != 0 {
		t.Errorf("the term leads to %s, want a pixel", pixel.Name)
	}
	b.want(pixel.Name, parsed(t, pixel.Value), float64(pass.Values[0][pixel.Question.Index]))
	b.want("the term", parsed(t, got.Rows[12][0]), parsed(t, pixel.Value))
}

// findWinner: which pixel does the gradient of a pooling go to? To the largest of its window.
func findWinner(t *testing.T, b *browser, session *inspect.Session, network string) {
	b.press("#gradients")
	b.until(`document.getElementById("loss") !== null`)
	pool := slices.IndexFunc(session.Places(), func(p inspect.Place) bool { return p.Kind == "max-pool2d" })
	label, err := strconv.Atoi(eval[string](b, `document.getElementById("label").value`))
	if err != nil {
		t.Fatal(err)
	}
	back := must(session.Backward(label))
	// The pooled value of largest gradient, which a reader sees as the strongest colour.
	at := 0
	for i, g := range back.Values[pool] {
		if math.Abs(float64(g)) > math.Abs(float64(back.Values[pool][at])) {
			at = i
		}
	}
	shape := session.Places()[pool].Shape
	b.goTo(fmt.Sprintf("#learn/%s/%s/value/%d,%d,%d", network, session.Places()[pool].Name, at/shape[2]/shape[1], at/shape[2]%shape[1], at%shape[2]))
	b.until(fmt.Sprintf(`JSON.parse(document.querySelector(".explain").dataset.question ?? "{}").index === %d && JSON.parse(document.querySelector(".explain").dataset.question).place === %d`, at, pool))
	b.idle()
	b.press(".terms tbody tr:first-child button") // the winner
	winner := b.asked()
	if winner.Question.Place != pool-1 {
		t.Fatalf("the pooling's value leads to %s", winner.Name)
	}
	b.press(".others button") // its gradient
	got := b.asked()
	if got.Question.Of != inspect.Gradient || got.Question.Index != winner.Question.Index {
		t.Fatalf("the panel explains %+v, want the gradient of %s", got.Question, winner.Name)
	}
	b.want("the gradient of "+got.Name, parsed(t, got.Value), float64(back.Values[pool][at]))
	b.screenshot("task-winner-1600")
}

// seeLossFall: a step in slow motion lowers the loss; going back undoes it to the bit.
func seeLossFall(t *testing.T, b *browser, session *inspect.Session) {
	before := b.data("#loss", "value")
	b.fill("rate", "0.01")
	b.press("#slow")
	b.until(`document.querySelector(".player").dataset.station === "forward"`)
	b.press("#slow-play") // pause
	b.screenshot("slow-forward-1600")
	seen := map[string]int{}
	for range 100 {
		station := eval[string](b, `document.querySelector(".player").dataset.station`)
		seen[station]++
		if seen["backward"] == 5 {
			b.screenshot("slow-backward-1600")
		}
		if station == "after" {
			break
		}
		b.do(chromedp.Evaluate(`document.getElementById("slow-next").click()`, nil))
		b.idle()
	}
	places := len(session.Places())
	if want := map[string]int{"forward": places - 1, "loss": 1, "backward": places - 2, "update": 8, "after": 1}; fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("stations %v, want %v", seen, want)
	}
	step := must(session.Step(optim.Config{Algorithm: "sgd", LR: 0.01}))
	b.want("the loss after the step", b.data("#losses", "after"), step.LossAfter)
	b.want("the loss after the step", b.data("#loss", "value"), step.LossAfter)
	if !(step.LossAfter < before) {
		t.Errorf("the loss was %v and is %v", before, step.LossAfter)
	}
	b.screenshot("slow-after-1600")
	b.press("#slow-previous")
	if station := eval[string](b, `document.querySelector(".player").dataset.station`); station != "update" {
		t.Errorf("one back is the station %q", station)
	}
	last := step.Tensors[len(step.Tensors)-1]
	shown := eval[[]float64](b, `[...document.querySelectorAll("#slow-caption output")].map((e) => Number(e.dataset.value))`)
	if want := []float64{last.Before, last.After, last.Slope}; !slices.Equal(shown, want) {
		t.Errorf("%s: %v on the page, the engine has %v", last.Tensor, shown, want)
	}
	b.press("#slow-close")
	b.want("the loss after going back", b.data("#loss", "value"), before)
	if _, _, err := session.Undo(); err != nil {
		t.Fatal(err)
	}
}

// findWorstMistake: the map of the test pictures names the wrong answer that the network is surest of, and its explanation
// leads to the logits.
func findWorstMistake(t *testing.T, b *browser, session *inspect.Session) {
	b.press("#features-draw")
	b.until(`document.getElementById("features-draw").textContent === "Draw it again"`)
	pictures, labels := testDigits(t, 500)
	features := must(session.Features(t.Context(), pictures, nil))
	projected := must(inspect.PCA(features.Values, features.Width))
	for k := range 2 {
		if got := b.data(fmt.Sprintf("#features-explained-%d", k), "value"); !almost(got, projected.Explained[k]) {
			t.Errorf("direction %d has %v of the variance on the page, the engine has %v", k, got, projected.Explained[k])
		}
	}
	// A point, found by the keyboard.
	b.do(chromedp.Focus("#features"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowUp))
	b.until(`!document.querySelector(".point").hidden`)
	i := int(b.data(".point", "number"))
	at := eval[[]float64](b, `[...document.querySelectorAll(".point [data-value]")].map((e) => Number(e.dataset.value))`)
	if scale := 1e-4 * (1 + math.Abs(at[0]) + math.Abs(at[1])); math.Abs(at[0]-float64(projected.X[i])) > scale || math.Abs(at[1]-float64(projected.Y[i])) > scale {
		t.Errorf("picture %d is at %v on the page, the engine has (%v, %v)", i, at, projected.X[i], projected.Y[i])
	}
	b.box("#features")
	b.screenshot("features-1600")
	unfold(t, b, labels)
	answer := features.Answers[10*i:][:10]
	if got := b.data(".point", "probability"); !almost(got, slices.Max(answer)) || int(b.data(".point", "answer")) != slices.Index(answer, slices.Max(answer)) || int32(b.data(".point", "label")) != labels[i] {
		t.Errorf("picture %d, a %d: probability %v on the page, the engine has %v", i, labels[i], got, answer)
	}

	worst, least := -1, 0.0
	for i, label := range labels {
		row := features.Answers[10*i:][:10]
		if p := slices.Max(row); slices.Index(row, p) != int(label) && p > least {
			worst, least = i, p
		}
	}
	if worst < 0 {
		t.Skip("the network makes no mistake") // no known training does
	}
	if got := int(b.data(".features .mistake", "image")); got != worst {
		t.Errorf("the first mistake is picture %d, want %d with probability %v", got, worst, least)
	}
	b.do(chromedp.EmulateViewport(360, 740))
	b.choose("theme", "dark")
	if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("with the map the page is %d pixels wider than a window of 360", over)
	}
	b.box("#features")
	b.screenshot("features-360-dark")
	b.choose("theme", "light")
	b.do(chromedp.EmulateViewport(1600, 1000))
	b.until(`Math.abs(document.getElementById("features").width / devicePixelRatio - document.querySelector(".feature-map").clientWidth) < 2`) // drawn again
	b.idle()
	b.press(".features .mistake")
	b.until(fmt.Sprintf(`document.getElementById("label").value === "%d" && document.getElementById("asked-name")?.textContent.startsWith("softmax[")`, labels[worst]))
	b.idle()
	got := b.asked()
	if !almost(parsed(t, got.Value), least) {
		t.Errorf("%s is %s, want the probability %v of the wrong answer", got.Name, got.Value, least)
	}
	b.press(".terms tbody tr:first-child button") // a logit, and so on
	if logit := b.asked(); logit.Question.Place != len(session.Places())-3 {
		t.Errorf("the probability leads to %s, want a logit", logit.Name)
	}
	b.screenshot("task-mistake-1600")
}

// unfold arranges the map by UMAP: afterwards, more of a picture's neighbours are of its class than by PCA. Then it draws the map again: UMAP
// makes the same of it, to the bit.
func unfold(t *testing.T, b *browser, labels []int32) {
	t.Helper()
	arranged := func(projection string) [][2]float64 {
		t.Helper()
		b.until(fmt.Sprintf(`document.getElementById("features-draw").textContent === "Draw it again" && document.getElementById("features").dataset.projection === %q`, projection))
		return eval[[][2]float64](b, `(({x, y}) => Array.from(x, (v, i) => [v, y[i]]))(document.getElementById("features").coordinates)`)
	}
	before := sameClass(arranged("pca"), labels)
	b.choose("projection", "umap")
	first := arranged("umap")
	after := sameClass(first, labels)
	t.Logf("of the 10 nearest of a picture, %.3f are of its class by PCA, %.3f by UMAP", before, after)
	if !(after > before && after > 0.8) {
		t.Errorf("of the 10 nearest of a picture, %v are of its class by PCA, and %v by UMAP", before, after)
	}
	b.box("#features")
	b.screenshot("umap-1600")
	b.press("#features-draw")
	if again := arranged("umap"); !slices.Equal(again, first) {
		t.Error("UMAP arranges the same pictures otherwise when they are drawn again")
	}
	b.choose("projection", "pca")
	if back := sameClass(arranged("pca"), labels); back != before {
		t.Errorf("back at PCA, %v of the neighbours are of the same class, want %v", back, before)
	}
}

// sameClass returns how many of the 10 nearest neighbours of a point have its label, as a fraction.
func sameClass(points [][2]float64, labels []int32) float64 {
	const near = 10
	same := 0
	for i, p := range points {
		order := make([]int, 0, len(points)-1)
		for k := range points {
			if k != i {
				order = append(order, k)
			}
		}
		distance := func(k int) float64 { return math.Hypot(points[k][0]-p[0], points[k][1]-p[1]) }
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
		for _, k := range order[:near] {
			if labels[k] == labels[i] {
				same++
			}
		}
	}
	return float64(same) / float64(near*len(points))
}

// trainOwn: a network of the learner's own is trained, its worst mistake explained, and a digit drawn for it.
func trainOwn(t *testing.T, b *browser, at learner) {
	b.press("#tab-train")
	b.until(`document.body.dataset.training === "followed" && Boolean(document.getElementById("editor")?.editor)`)
	recipe := strings.NewReplacer("epochs = 3", fmt.Sprintf("epochs = %v", at.epochs), "out = 8", "out = 6").Replace(trainer(t, "recipe", "mnist-basic").stdout)
	b.setRecipe(recipe)
	b.until(`document.querySelector("#plan-table tfoot")?.textContent.includes("10") ?? false`)
	b.fill("plan-name", "own")
	b.click("start")
	b.until(`document.getElementById("phase")?.textContent.startsWith("own")`)
	b.phase("finished")
	b.until(`document.querySelector("#mistakes .why") !== null`)
	mistake := eval[string](b, `document.querySelector("#mistakes li").textContent`)
	b.press("#mistakes .why")
	b.until(fmt.Sprintf(`document.body.dataset.view === "learn" && document.getElementById("network").value.startsWith("%s/own")`, at.runs))
	b.idle()
	if best := eval[string](b, `document.querySelector("#answer .best").dataset.class`); !strings.Contains(mistake, "for "+best) {
		t.Errorf("%q, and then the answer is %s", mistake, best)
	}
	b.seven()
	if best := eval[string](b, `document.querySelector("#answer .best").dataset.class`); best != "7" {
		t.Errorf("the network that was trained takes a seven for %s", best)
	}
	b.screenshot("task-own-1600")
}

// drop drops a picture on the page, each of whose pixels is another, and waits for the network's answer.
func (b *browser) drop() {
	b.t.Helper()
	im := image.NewGray(image.Rect(0, 0, 28, 28))
	for i := range im.Pix {
		im.Pix[i] = byte(7 * i)
	}
	var file bytes.Buffer
	if err := png.Encode(&file, im); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Evaluate(fmt.Sprintf(`(() => {
		const data = new DataTransfer();
		data.items.add(new File([Uint8Array.from(atob(%q), (c) => c.charCodeAt(0))], "picture.png", {type: "image/png"}));
		document.querySelector(".card").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
	})()`, base64.StdEncoding.EncodeToString(file.Bytes())), nil))
	b.until(`document.querySelector(".pad").getContext("2d").getImageData(3, 0, 1, 1).data[0] === 21`)
	b.idle()
	if !bytes.Equal(b.pixels(), im.Pix) {
		b.t.Error("the network's picture is not the one that was dropped")
	}
}

// compareAttention compares a value of a map of the pixels that mattered, which the keyboard reads, with the engine's.
func (b *browser) compareAttention(kind string, want *inspect.Map) {
	b.t.Helper()
	b.choose("attention", kind)
	b.until(fmt.Sprintf(`Boolean(document.querySelector(".attention .maps:not(.outdated) .range")?.textContent) && document.getElementById("attention").value === %q`, kind))
	b.idle()
	b.do(chromedp.Focus(".attention .map"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown))
	read := eval[string](b, `document.querySelector(".attention .readout").textContent`)
	_, text, _ := strings.Cut(read, "= ")
	if v := float64(want.Values[want.Columns+1]); !strings.HasPrefix(read, kind+"[1,1,0]") || math.Abs(parsed(b.t, text)-v) > 1e-5*(math.Abs(v)+1e-9)+1e-9 {
		b.t.Errorf("%q on the page, the engine has %v", read, v)
	}
}

// showTools compares maps of the pixels that mattered, and a maximised channel, with the engine's.
func showTools(t *testing.T, b *browser, session *inspect.Session) {
	b.drop()
	b.seven()
	pixels := b.pixels()
	pass := must(session.Forward(pixels))
	best := slices.Index(pass.Answer, slices.Max(pass.Answer))
	b.compareAttention("saliency", must(session.Saliency(best)))
	b.compareAttention("occlusion", must(session.Occlusion(best, 7, 3)))
	b.do(chromedp.KeyEvent(kb.Enter))
	b.screenshot("occlusion-1600")
	b.choose("attention", "none")

	found := must(session.Maximize(1, 5, inspect.Maximization{}))
	b.goTo("#learn/" + eval[string](b, `encodeURIComponent(document.getElementById("network").selectedOptions[0].textContent.replace(/ \(.*/, ""))`) + "/conv1/value/0,0,5")
	b.until(`document.getElementById("asked-name")?.textContent === "conv1[0,0,5]"`)
	b.press("#maximum")
	b.until(`document.getElementById("maximum-after") !== null`)
	b.want("the mean before", b.data("#maximum-before", "value"), found.Before)
	b.want("the mean after", b.data("#maximum-after", "value"), found.After)
	b.screenshot("maximum-1600")
	b.press("#maximum-use")
	if got := b.pixels(); !slices.Equal(got, found.Pixels) {
		t.Error("the page's picture is not the engine's")
	}
	b.check()
}

// showExample follows links of docs/backpropagation.md: the page shows the numbers that the text prints.
func showExample(t *testing.T, b *browser, text string) {
	for _, c := range []struct {
		link, name string
		value      float64
	}{
		{"conv1/value/0,2,0", "conv1[0,2,0]", 1.75},
		{"pool1/value/1,0,0", "pool1[1,0,0]", 2},
		{"dense1/value/0", "dense1[0]", 0.2},
		{"softmax/value/0", "softmax[0]", 0.3047},
		{"dense1/gradient/0", "dense1[0]", -0.6953},
		{"pool1/gradient/1,0,0", "pool1[1,0,0]", 0.2781},
		{"relu1/gradient/0,0,0", "relu1[0,0,0]", -0.2086},
		{"conv1/gradient/0,0,0", "conv1[0,0,0]", 0},
		{"conv1.weight/weight-gradient/0,0,0,0", "conv1.weight[0,0,0,0]", 0.4867},
		{"input/gradient/3,0,0", "input[3,0,0]", 0.1391},
	} {
		hash := "#learn/worked-example/" + c.link
		if !strings.Contains(text, hash+")") {
			t.Errorf("%s has no link to %s", exampleText, hash)
		}
		b.goTo(hash)
		b.until(fmt.Sprintf(`document.getElementById("asked-name")?.textContent === %q`, c.name))
		b.idle()
		if got := b.asked(); math.Abs(parsed(t, got.Value)-c.value) > 0.00005 {
			t.Errorf("%s is %s on the page, the text has %v", c.name, got.Value, c.value)
		}
	}
	b.screenshot("example-1600")
	b.goTo("#learn/worked-example/step")
	b.press("#step")
	if loss := b.data("#losses", "after"); math.Abs(loss-0.5216) > 0.00005 {
		t.Errorf("the loss is %v after the step, the text has 0.5216", loss)
	}
	b.goTo("#learn/worked-example/conv9")
	b.until(`document.querySelector(".message").textContent.includes("no conv9")`)

	// From a layer to its section of the text, and from the text to a number.
	b.goTo("#learn/worked-example/conv1")
	b.press("#place-1 .section")
	b.until(`document.getElementById("text-convolution")?.getBoundingClientRect().top < 200`)
	formulas := strings.Count(text, "```math") + strings.Count(text, "$`")
	if got := eval[int](b, `document.querySelectorAll(".read math").length`); got < formulas {
		t.Errorf("the text has %d formulas, want %d and those in single dollars", got, formulas)
	}
	if left := eval[string](b, `[...document.querySelectorAll(".temml-error, merror")].concat([...document.querySelectorAll(".read p, .read li, .read td")].filter((e) => /\$/.test(e.innerText))).map((e) => e.textContent).join("\n")`); left != "" {
		t.Errorf("formulas that are not drawn: %s", left)
	}
	if broken := eval[int](b, `[...document.querySelectorAll(".read img")].filter((e) => e.loading !== "lazy" || !e.src.includes("/text/figures/")).length`); broken > 0 {
		t.Errorf("%d figures from elsewhere", broken)
	}
	b.screenshot("text-1600")
	headings := eval[string](b, `[...document.querySelectorAll(".read :is(h1, h2, h3)")].map((e) => e.id).join()`)
	b.choose("language", "vi")
	b.until(`document.querySelector(".read h1")?.textContent.includes("học") ?? false`)
	if got := eval[string](b, `[...document.querySelectorAll(".read :is(h1, h2, h3)")].map((e) => e.id).join()`); got != headings {
		t.Errorf("in Vietnamese the sections are %s, want %s", got, headings)
	}
	b.screenshot("text-vi-1600")
	b.choose("language", "en")
	b.until(`document.querySelector(".read h1")?.textContent.includes("learns") ?? false`)
	b.do(chromedp.EmulateViewport(360, 740))
	if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("the text is %d pixels wider than a window of 360", over)
	}
	b.press(`.read a[href="#learn/worked-example/pool1/gradient/1,0,0"]`)
	b.until(`document.body.dataset.view === "learn" && document.getElementById("asked-name")?.textContent === "pool1[1,0,0]"`)
	b.screenshot("text-to-page-360")
	b.check()
}

// exampleText is the text with the worked example, as seen from this package's folder.
const exampleText = "../../../../docs/backpropagation.md"

// must returns a value of the engine.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// parsed reads a number of the page.
func parsed(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// testDigits returns the first n pictures of MNIST's test set.
func testDigits(t *testing.T, n int) (pictures [][]byte, labels []int32) {
	t.Helper()
	mnist, err := data.Open(t.Context(), "mnist", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		pixels := make([]byte, 784)
		label, err := mnist.Test.Read(i, pixels)
		if err != nil {
			t.Fatal(err)
		}
		pictures, labels = append(pictures, pixels), append(labels, label)
	}
	return pictures, labels
}
