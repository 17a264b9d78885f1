package command

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	trainedRun(t)
	got := trainer(t, "report", "run")
	if want := filepath.Join("run", "report.html") + "\n"; got.status != exitOK || got.stdout != want {
		t.Fatalf("%+v, want %q", got, want)
	}
	page := read(t, "run/report.html")
	for _, want := range []string{
		"<title>small on pictures</title>", "test accuracy ", "Loss and accuracy by epoch", "Confusion matrix", "Reliability", "The network.", "How the weights are distributed", "<td>dark</td>", "macro mean", "FLOPs per image", "<td>dense1</td>",
		"optimizer", "default-src 'none'",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// The page needs nothing else: every picture is in it.
	for _, source := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(html.UnescapeString(source[1]), "data:image/svg+xml;base64,") {
			t.Errorf("the page needs %.60s", source[1])
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("the page has a script")
	}

	if got := trainer(t, "report", "-o", "page.html", "run"); got.status != exitOK || got.stdout != "page.html\n" || read(t, "page.html") != page {
		t.Errorf("-o: %+v", got)
	}
	refused(t, trainer(t, "report", "-o", "page.pdf", "run"), "-o page.pdf: want a name that ends in .html")
	refused(t, trainer(t, "report"), "report takes one folder of a run")
	if err := os.Mkdir("search", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "search/trials.jsonl", "")
	refused(t, trainer(t, "report", "search"), "search is a search: name the run of one of its trials")
	if err := os.Remove("run/summary.json"); err != nil {
		t.Fatal(err)
	}
	refused(t, trainer(t, "report", "run"), "run: the run has no summary yet: trainer -resume run continues it")
}

// Names are text, whatever is in them.
func TestReportOfHostileNames(t *testing.T) {
	workplace(t)
	hostile := `<img src=x onerror=alert(1)>`
	if err := os.Rename("pictures/dark", "pictures/"+hostile); err != nil {
		t.Skip(err) // no such names on this system
	}
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-quiet", "-epochs", "1"); got.status != exitOK {
		t.Fatalf("training: %+v", got)
	}
	if got := trainer(t, "report", "run"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	if page := read(t, "run/report.html"); strings.Contains(page, "<img src=x") || !strings.Contains(page, "&lt;img src=x onerror=alert(1)&gt;") {
		t.Error("a name of a class became markup")
	}
}

func TestReportRefusesSeveralRuns(t *testing.T) {
	workplace(t)
	if got := trainer(t, strings.Fields("-data pictures -recipe small.toml -quiet -epochs 1 -runs 2 -out sweep")...); got.status != exitOK {
		t.Fatalf("training: %+v", got)
	}
	refused(t, trainer(t, "report", "sweep"), "sweep has several runs: name one of them, such as "+filepath.Join("sweep", "seed-0"))
}
