package recipe

import (
	"os"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
)

// The example in docs/data.md has every key of the table [data], and loads.
func TestDocumentedDataKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```toml\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("docs/data.md has no example")
	}
	const rest = "\n[loss]\nkind = \"cross-entropy\"\n[optimizer]\nkind = \"sgd\"\nlr = 0.1\n[[network]]\nlayer = \"flatten\"\n[[network]]\nlayer = \"dense\"\nout = \"classes\"\n"
	kinds := BuiltIn()
	d, err := parseDocument("docs/data.md", []byte("name = \"x\"\nepochs = 1\nbatch = 1\n"+block+rest))
	if err != nil {
		t.Fatal(err)
	}
	r, err := kinds.parse(d)
	if err != nil {
		t.Fatal(err)
	}
	p := r.Pictures
	if p.Size != (nn.Pair{H: 64, W: 64}) || p.Resize != data.ResizeCrop || !slices.Equal(p.Classes, []string{"dog", "cat"}) || !slices.Equal(r.Data, []string{"folder"}) {
		t.Errorf("%+v of %v", p, r.Data)
	}
	for _, key := range []string{"sets", "size", "resize", "background", "orientation", "grayscale", "classes", "labels", "transpose", "balance", "cache"} {
		if !strings.Contains(block, "\n"+key+" = ") {
			t.Errorf("the example lacks %s", key)
		}
	}
}
